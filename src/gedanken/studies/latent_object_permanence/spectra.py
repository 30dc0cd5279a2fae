"""LO3 and LO4: a spectrum like noise before the critical depth, gaps and a collapsed tail after it."""

from collections.abc import Iterator

import numpy as np

from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.latent_object_permanence.comparisons import (
    corrected,
    difference,
    difference_nulls,
    gate,
    interval,
    lost_to,
    needed_nulls,
    other_sign,
    told,
    unresolved,
)
from gedanken.studies.latent_object_permanence.evidence import Evidence, Model


def lo3(evidence: Evidence) -> Iterator[Judgement]:
    for model in evidence.models:
        yield _lo3(model, model.run)


def _lo3(model: Model, part: str) -> Judgement:
    names = ("ks distance", "ks ratio", "outliers", "ks distance, n/2", "outliers, n/2")
    if refused := gate(model, part):
        return refused
    if why := model.missing(*names):
        needed = "surrogate edges are drawn by gedanken scan MODEL --text stdlib --nulls"
        return not_testable(f"A variable that is needed is missing ({why}); {needed}. {model.footing}", part, "gate")
    ratio = model.get("ks ratio").series.values[model.sides[0]]
    inside = ratio <= 1
    change, more, change_half, more_half = (
        difference(model, model.get(name)) for name in ("ks distance", "outliers", "ks distance, n/2", "outliers, n/2")
    )
    p = corrected(difference_nulls(model, "ks distance", 1) | difference_nulls(model, "outliers", 1))
    facts = {"quantity": "change of the distance from Marchenko–Pastur, solid minus liquid", "n": model.rows}
    facts |= dict(zip(("effect", "low", "high"), change, strict=True)) | {"against": told(p)}
    said = (
        f"{np.count_nonzero(inside)} of {len(inside)} shallow states inside the surrogates' band (D/D₉₅ {ratio.min():.2g} to "
        f"{ratio.max():.2g}, N6); beyond γ* = {model.critical_depth:.2f} the distance changes by {interval(change)} and the "
        f"deflated outliers by {interval(more)}; at half the prompts (N10) by {interval(change_half)} and "
        f"{interval(more_half)}. {model.footing}"
    )
    claimed = change[1] > 0 and more[1] > 0 and inside.mean() >= 0.5
    lost = lost_to(p) if claimed else []
    if claimed and (other_sign(change_half, change) or other_sign(more_half, more)):
        lost.append("N10")
    if lost:
        return Judgement(Verdict.not_supported, said, f"explained by null {lost[0]}", part=part, **facts)
    if not inside.any() or change[2] < 0:
        return Judgement(Verdict.not_supported, said, "contradicted", part=part, **facts)
    if not claimed:
        return unresolved(said, part, **facts)
    if missing := needed_nulls(model, "N1"):
        return not_testable(f"{missing} {said}", part, "null runs missing")
    return Judgement(Verdict.supported, said, "", part=part, **facts)


def lo4(evidence: Evidence) -> Iterator[Judgement]:
    for model in evidence.models:
        yield _lo4(model, model.run)


def _lo4(model: Model, part: str) -> Judgement:
    if refused := gate(model, part, "ln gap", "tail share"):
        return refused
    gap, tail = difference(model, model.get("ln gap")), difference(model, model.get("tail share"))
    p = corrected(difference_nulls(model, "ln gap", 1) | difference_nulls(model, "tail share", -1))
    facts = {"quantity": "change of ln gap, solid minus liquid", "n": model.rows, "against": told(p)}
    facts |= dict(zip(("effect", "low", "high"), gap, strict=True))
    said = (
        f"Beyond γ* = {model.critical_depth:.2f}, ln gap changes by {interval(gap)} and the tail share by {interval(tail)}. "
        f"{model.footing}"
    )
    both = gap[1] > 0 and tail[2] < 0
    if both and (lost := lost_to(p)):
        return Judgement(Verdict.not_supported, said, f"explained by null {lost[0]}", part=part, **facts)
    if gap[2] < 0 or tail[1] > 0:
        return Judgement(Verdict.not_supported, said, "contradicted", part=part, **facts)
    if not both:
        return unresolved(said, part, **facts)
    if missing := needed_nulls(model, "N1", "N2"):
        return not_testable(f"{missing} {said}", part, "null runs missing")
    return Judgement(Verdict.supported, said, "", part=part, **facts)


CLAIMS = (
    Claim(
        "LO3",
        "Before the critical depth the stream is liquid: the covariance spectrum is like a Marchenko–Pastur bulk.",
        "–",
        "Contradicted: the distance from the law lies above the block-shift band (N6) at every shallow state, or falls with "
        "depth. Supported: inside the band at half of them or more, distance and outliers rise, N1 beaten. Explained by N10: "
        "sign or significance of either rise differs at half the prompts.",
        lo3,
    ),
    Claim(
        "LO4",
        "Beyond the critical depth the stream is solid: spectral gaps and a collapsed tail.",
        "–",
        "Means of ln g and of the tail share beyond rank 64 over deep minus shallow states. Contradicted: either with the "
        "opposite sign. Supported: gap up, tail down, every null beaten.",
        lo4,
    ),
)
