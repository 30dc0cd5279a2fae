"""LO5, LO6 and LO13: what sizes and families of models say. Only here may the word transition be earned."""

from collections.abc import Iterator

import numpy as np

from gedanken.analysis.depth.finite_size import SEEDS, SIZES
from gedanken.analysis.depth.pooled import pooled
from gedanken.analysis.wording import count
from gedanken.status import Refusal
from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.latent_object_permanence.depth import step_of_sparsity
from gedanken.studies.latent_object_permanence.evidence import DEPTH, TARGET, WITHOUT, Evidence, Model

FAMILIES = 3
"""Fewest families behind a common depth (section 9, LO13)."""


def lo5(evidence: Evidence) -> Judgement:
    return not_testable(
        f"{_there(evidence)} A scaling test needs {SIZES} sizes of one family × {SEEDS} training seeds of each, "
        f"{SIZES * SEEDS} models of {DEPTH} blocks or more on the same data and tokens ({_lacking(evidence)}); then width, "
        "jump, susceptibility and Binder cumulant of Ω are compared over sizes. Of a few models none makes a transition.",
        reason="gate",
    )


def lo6(evidence: Evidence) -> Judgement:
    return not_testable(
        f"{_there(evidence)} A threshold needs LO1 judged at {SIZES} sizes of one family × {SEEDS} training seeds "
        f"({_lacking(evidence)}); different families are no axis of size.",
        reason="gate",
    )


def _families(evidence: Evidence) -> dict[str, dict[tuple[int, int], list[Model]]]:
    """Models by family, and in it by size: blocks and width. Those that are too shallow for a depth are left out."""
    found: dict[str, dict[tuple[int, int], list[Model]]] = {}
    for model in evidence.models:
        if model.blocks >= DEPTH:
            found.setdefault(model.family, {}).setdefault((model.blocks, model.dimension), []).append(model)
    return found


def _there(evidence: Evidence) -> str:
    """The models there are, by name."""
    words = "; ".join(f"{m.family}: {m.run} ({m.blocks} blocks, d = {m.dimension})" for m in evidence.models)
    return f"There {'is' if len(evidence.models) == 1 else 'are'} {count(len(evidence.models), 'run')} ({words})."


def _lacking(evidence: Evidence) -> str:
    """What the fullest family has of what is needed."""
    families = _families(evidence)
    if not families:
        return f"of {DEPTH} blocks or more there is none"
    name, sizes = max(families.items(), key=lambda item: len(item[1]))
    runs = [len(models) for models in sizes.values()]
    return (
        f"the fullest family, {name}, has {len(sizes)} of {SIZES} sizes with {min(runs)} of {SEEDS} seeds at the least"
    )


def lo13(evidence: Evidence) -> Iterator[Judgement]:
    deep = [model for model in evidence.models if model.blocks >= DEPTH]
    yield _common(deep)
    yield not_testable(
        "The stacked model (Fimbulvetr, SOLAR) is not at hand: an event at 0.27 and at 0.60 in place of 0.42 would speak "
        "against a computation of its own.", "stacked model", "gate",
    )  # fmt: skip


def _common(deep: list[Model]) -> Judgement:
    part, located = "common depth", [model for model in deep if _error(model)]
    depths = ", ".join(f"{model.run} {model.get(WITHOUT).place}" for model in located) or "none"
    said = f"γ̂(Ω_−16): {depths}."
    if len(deep) < FAMILIES:
        return not_testable(
            f"{len(deep)} of {FAMILIES} families of at least {DEPTH} blocks. {said}", part, reason="gate"
        )
    supported = [model for model in deep if step_of_sparsity(model).verdict == Verdict.supported]
    if len(located) >= FAMILIES:
        found = pooled([model.critical_depth for model in located], [_error(model) for model in located])
        if found.depth is None:
            spread = [model.critical_depth for model in located]
            return Judgement(
                Verdict.not_supported, f"The depths disagree (Cochran's Q = {found.q:.3g}, p = {found.p:.2g}). {said}",
                "contradicted", "γ̂ of Ω_−16 [relative depth]", float(np.mean(spread)), min(spread), max(spread),
                len(located), part=part,
            )  # fmt: skip
        if len(supported) >= FAMILIES and found.low <= TARGET <= found.high:
            return Judgement(
                Verdict.supported, f"The depths agree (Q p = {found.p:.2g}). {said}", "", "pooled γ̂ [relative depth]",
                found.depth, found.low, found.high, len(located), part=part,
            )  # fmt: skip
    return Judgement(
        Verdict.inconclusive, f"{len(supported)} of {len(deep)} models support LO1. {said}", "unresolved", part=part
    )


def _error(model: Model) -> float | None:
    """Standard error of γ̂(Ω_−16), from its interval; None if it has no located depth."""
    found = model.get(WITHOUT)
    if found is None or isinstance(found.located, Refusal) or not found.located.agree:
        return None
    place = found.located.place
    return (place.high - place.low) / place.blocks / (2 * 1.96)


OF_SIZES = (
    Claim(
        "LO5",
        "The change is a phase transition with broken symmetry, Ω being its order parameter.",
        "–",
        "Finite-size rule over at least four sizes of one family, three training seeds of each; the most that it says is "
        "'consistent with'. With less: not testable.",
        lo5,
    ),
    Claim(
        "LO6",
        "It shows only in sufficiently large models.",
        "threshold not given",
        "Supported: LO1 at the two largest sizes of a family, not at the two smallest, the jump growing with ln size. "
        "Contradicted: a step at every size, or at none. Mixed families: not testable.",
        lo6,
    ),
)

OF_FAMILIES = (
    Claim(
        "LO13",
        "LO1 to LO4 hold across several open families.",
        "1.5B to 30B parameters",
        "Supported: three families or more each support LO1, depths agree (Cochran's Q p ≥ 0.05), the pooled interval meets "
        "0.42. Contradicted: p < 0.05, or events at 0.27 and 0.60 in the stacked model.",
        lo13,
    ),
)
