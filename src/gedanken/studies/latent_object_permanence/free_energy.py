"""LO11: does the free energy of attention fall with depth? By rank correlation over layers, each the mean of its heads."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata, spearmanr

from gedanken.analysis.depth.locate import LEVEL
from gedanken.analysis.depth.series import Series
from gedanken.status import Refusal
from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.latent_object_permanence.comparisons import (
    corrected,
    exceeding,
    interval,
    lost_to,
    needed_nulls,
    told,
    unresolved,
)
from gedanken.studies.latent_object_permanence.evidence import ENERGY, ENERGY_WITHOUT, OF_HEADS, ROWS, Evidence, Model

LAYERS = 5
"""Fewest layers whose perfect order would be rarer than 5 % by chance, in either direction: 2/5! = 0.017, but 2/4! = 0.083."""

MIXTURE = "The mixture free energy Φ of held-out tokens, which must agree, needs classes of tokens and is not measured."


def correlation(series: Series) -> tuple[float, float, float]:
    """Spearman's ρ of a profile with its layer, and the interval of its replicates."""
    found = correlations(np.concatenate([series.values[None], series.replicates]))
    low, high = np.quantile(found[1:], LEVEL)
    return float(found[0]), float(low), float(high)


def correlations(profiles: Float[np.ndarray, "k layer"]) -> Float[np.ndarray, " k"]:
    """Spearman's ρ of each profile with the layer."""
    ranks = rankdata(profiles, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    layer = np.arange(profiles.shape[1]) - (profiles.shape[1] - 1) / 2
    return ranks @ layer / np.maximum(np.linalg.norm(ranks, axis=1) * np.linalg.norm(layer), np.finfo(float).tiny)


def lo11(evidence: Evidence) -> Iterator[Judgement]:
    for model in evidence.models:
        yield falls_with_depth(model)


def falls_with_depth(model: Model) -> Judgement:
    """LO11 on one model."""
    part = model.run
    whole, without = (model.heads.get(name) for name in (ENERGY, ENERGY_WITHOUT))
    for name, found in ((ENERGY, whole), (ENERGY_WITHOUT, without)):
        if not isinstance(found, Series):
            return not_testable(f"{name} over layers: {found or 'not measured'}.", part, "gate")
    if model.blocks < LAYERS or model.rows < ROWS:
        return not_testable(
            f"{model.blocks} layers and {model.rows:,} tokens, where {LAYERS} and {ROWS:,} are needed.", part, "gate"
        )
    rho, apart = correlation(whole), correlation(without)
    p = corrected(_nulls(model, ENERGY) | _nulls(model, ENERGY_WITHOUT))
    facts = {"quantity": "Spearman's ρ of F* + T ln n with the layer", "n": model.rows, "against": told(p)}
    facts |= dict(zip(("effect", "low", "high"), rho, strict=True))
    said = f"{_said(model)} Null runs: {model.ran}."
    falls = rho[2] < 0 and apart[2] < 0
    if falls and (lost := lost_to(p)):
        return Judgement(
            Verdict.not_supported, f"It falls, but {lost[0]} does as much. {said}", f"explained by null {lost[0]}",
            part=part, **facts,
        )  # fmt: skip
    if rho[1] > 0:
        return Judgement(Verdict.not_supported, f"It rises with depth. {said}", "contradicted", part=part, **facts)
    if not falls:
        return unresolved(f"No fall is shown both with and without the sink. {said}", part, **facts)
    if missing := needed_nulls(model, "N1", "N2"):
        return not_testable(f"{missing} {said}", part, "null runs missing")
    return Judgement(
        Verdict.not_testable,
        f"It falls, with and without the sink. {MIXTURE} {said}",
        "not measured",
        part=part,
        **facts,
    )


def _nulls(model: Model, name: str) -> dict[str, float]:
    """p of every null run: the share of resamplings in which its correlation is at least as far below 0."""
    own = correlations(model.heads[name].replicates)
    return {
        f"{kind} {run.rpartition('~')[2]}, {name}": exceeding(own, correlations(other.replicates), -1)
        for run, kind in model.kinds.items()
        if isinstance(other := model.null_heads[run].get(name), Series)
    }


def _said(model: Model) -> str:
    told = []
    for name in OF_HEADS:
        found = model.heads.get(name)
        if isinstance(found, Refusal) or found is None:
            continue
        chance = spearmanr(np.arange(len(found.values)), found.values).pvalue
        ends = f"{found.values[0]:.2f} → {found.values[-1]:.2f}"
        told.append(f"{name} {ends}, ρ = {interval(correlation(found))}, in random order p = {chance:.2g}")
    return f"{'; '.join(told)}. A vector added to all keys moves F* + ln n, and not the centred one.".replace("-", "−")


CLAIM = Claim(
    "LO11",
    "Free energy decreases with depth.",
    "–",
    "Supported: rank correlation of F* + T ln n with the layer below 0, without sink mass as well, N1 and N2 beaten, and "
    "the mixture free energy of held-out tokens agrees. Contradicted: correlation above 0. Without the mixture's: what is "
    "neither contradicted nor explained by a null is not testable.",
    lo11,
)
