"""LO1 and LO2: a sharp change of sparsity and of dimension at one depth."""

from collections.abc import Iterator

import numpy as np

from gedanken.analysis.depth.locate import LEVEL
from gedanken.analysis.depth.rule import explained_by_massive
from gedanken.status import Refusal
from gedanken.studies.base import Claim, Judgement, Verdict, not_testable
from gedanken.studies.latent_object_permanence.comparisons import (
    corrected,
    gate,
    is_crossover,
    is_step,
    lost_to,
    needed_nulls,
    other_sign,
    step_nulls,
    step_of,
    told,
    unresolved,
)
from gedanken.studies.latent_object_permanence.evidence import (
    RAW,
    STANDARDISED,
    TARGET,
    VARIANTS,
    WITHOUT,
    Evidence,
    Model,
)

MASSIVE = 0.90
"""Share of the variance of Ω over depth from which massive activations explain it (sections 3.5 and 9)."""

FLAT, FLAT_LOG = 0.02, 0.1
"""|step| within which Ω, and the logarithm of a dimension, do not change (section 9)."""

FALL = float(np.log(1.25))
"""Least fall of ln dimension (section 9, LO2)."""

NARROW = 0.03
"""Half-width up to which a depth can contradict the target (section 9, LO1)."""


def massive_share(model: Model) -> tuple[float, float, float] | None:
    """R²_MA over the states, with the interval of its replicates; None if Ω hardly varies or is refused."""
    raw, predicted = model.get(RAW), model.get("Ω_MA")
    if raw is None or predicted is None:
        return None
    whole = explained_by_massive(raw.series.values, predicted.series.values)
    if whole is None:
        return None
    pairs = zip(raw.series.replicates, predicted.series.replicates, strict=True)
    found = [share for a, b in pairs if (share := explained_by_massive(a, b)) is not None]
    low, high = np.quantile(found, LEVEL)
    return whole, float(low), float(high)


def lo1(evidence: Evidence) -> Iterator[Judgement]:
    for model in evidence.models:
        yield step_of_sparsity(model)


def step_of_sparsity(model: Model) -> Judgement:
    """LO1 on one model."""
    part = model.run
    if refused := gate(model, part, *VARIANTS, "Ω_MA"):
        return refused
    raw, other, without = (model.get(name) for name in (RAW, STANDARDISED, WITHOUT))
    # A null can only do as much as a step that is there.
    stepping = [name for name in (RAW, STANDARDISED, WITHOUT) if is_step(model.get(name))] or [RAW]
    p = corrected({k: v for name in stepping for k, v in step_nulls(model, name).items()})
    share = massive_share(model)
    facts = {"n": model.rows, "against": told(p)}
    step = dict(
        zip(("effect", "low", "high"), step_of(without), strict=True), quantity="step of Ω_−16 over depth", **facts
    )
    said = f"R²_MA {share[0]:.2f} ({share[1]:.2f}–{share[2]:.2f}). " if share else "R²_MA undefined. "
    said += f"{_shapes(model, VARIANTS)}. {model.footing}"
    if is_step(raw):
        explained = _explanations(share, other, without, p)
        if explained:
            all_of = ", ".join(dict.fromkeys(number for number, _ in explained))
            effect = share or step_of(raw)
            name = "share of Ω's course that massive activations explain" if share else "step of Ω_raw"
            return Judgement(
                Verdict.not_supported, f"Ω steps, but {explained[0][1]} (all nulls that explain it: {all_of}). {said}",
                f"explained by null {explained[0][0]}", name, *effect, part=part, **facts,
            )  # fmt: skip
    if flat := _inside(step_of(without), FLAT):
        return Judgement(Verdict.not_supported, f"{flat} {said}", "contradicted", part=part, **step)
    if is_step(without) and (elsewhere := _elsewhere(without)):
        return Judgement(Verdict.not_supported, f"{elsewhere} {said}", "contradicted", part=part, **step)
    if is_crossover(without):
        why = f"Ω_−16 changes smoothly: {without.judged.reason}."
        return Judgement(Verdict.not_supported, f"{why} {said}", "crossover", part=part, **step)
    if not all(is_step(profile) for profile in (raw, other, without)):
        return unresolved(f"Neither a step in every variant nor a crossover is shown. {said}", part, **step)
    if missing := needed_nulls(model, "N1", "N2"):
        return not_testable(f"{missing} {said}", part, "null runs missing")
    if not _together(raw, other, without) or not _met(without):
        return unresolved(f"Every variant steps, but not at one depth that meets {TARGET}. {said}", part, **step)
    place = without.located.place
    return Judgement(
        Verdict.supported, f"Every variant steps at one depth, which meets {TARGET}. {said}", "step within resolution",
        "γ̂ of Ω_−16 [relative depth]", place.depth, place.low / place.blocks, place.high / place.blocks, part=part, **facts,
    )  # fmt: skip


def _explanations(share, other, without, p: dict[str, float]) -> list[tuple[str, str]]:
    """(null, why) of all that explain a step of raw Ω, lowest number first."""
    found = [(null, f"{null} does as much") for null in lost_to(p)]
    if share and share[0] >= MASSIVE:
        found.append(("N4", f"massive activations alone give R²_MA = {share[0]:.2f} of its course"))
    gone = [name for name, profile in ((STANDARDISED, other), (WITHOUT, without)) if not is_step(profile)]
    if gone:
        found.append(("N4", f"{' and '.join(gone)} have no step" if len(gone) > 1 else f"{gone[0]} has no step"))
    return sorted(found, key=lambda pair: int(pair[0][1:]))


def _shapes(model: Model, names) -> str:
    told = []
    for name in names:
        found = model.get(name)
        word = "refused" if found is None or isinstance(found.judged, Refusal) else str(found.judged.shape)
        told.append(f"{name} {word}")
    return ", ".join(told)


def _inside(step: tuple[float, float, float], bound: float) -> str:
    inside = -bound <= step[1] and step[2] <= bound
    return f"The step lies between {step[1]:.3g} and {step[2]:.3g}, inside ±{bound}." if inside else ""


def _elsewhere(profile) -> str:
    if isinstance(profile.located, Refusal) or not profile.located.agree:
        return ""
    place = profile.located.place
    low, high = place.low / place.blocks, place.high / place.blocks
    out = not low <= TARGET <= high and (high - low) / 2 <= NARROW
    return f"The step stands at {low:.3g} to {high:.3g}, which excludes {TARGET}." if out else ""


def _met(profile) -> bool:
    located = profile.located
    return not isinstance(located, Refusal) and located.agree and located.place.meets(TARGET)


def _together(*profiles) -> bool:
    """Whether all are located, in intervals that share a depth."""
    located = [profile.located for profile in profiles]
    if any(isinstance(found, Refusal) or not found.agree for found in located):
        return False
    places = [found.place for found in located]
    return max(place.low for place in places) <= min(place.high for place in places)


def lo2(evidence: Evidence) -> Iterator[Judgement]:
    for model in evidence.models:
        yield step_of_dimension(model)


def step_of_dimension(model: Model) -> Judgement:
    """LO2 on one model."""
    part = model.run
    names = ("ln PR", "ln energy rank")
    if refused := gate(model, part, *names, "ln energy rank, n/2", WITHOUT):
        return refused
    profiles = [model.get(name) for name in names]
    half = model.get("ln energy rank, n/2")
    p = corrected({k: v for name in names for k, v in step_nulls(model, name, -1).items()})
    steps = [step_of(profile) for profile in profiles]
    facts = {"quantity": "step of ln PR over depth", "n": model.rows, "against": told(p)}
    facts |= dict(zip(("effect", "low", "high"), steps[0], strict=True))
    said = ", ".join(
        f"{name} {profile.judged.shape} at {profile.place}, step {step[0]:.2f} ({step[1]:.2f}–{step[2]:.2f})"
        for name, profile, step in zip(names, profiles, steps, strict=True)
    )
    said = f"{said}. {model.footing}"
    falls = all(is_step(profile) and step[0] <= -FALL for profile, step in zip(profiles, steps, strict=True))
    if falls and (lost := lost_to(p)):
        why = f"Both dimensions step down, but {lost[0]} does as much (of all: {', '.join(lost)})."
        return Judgement(Verdict.not_supported, f"{why} {said}", f"explained by null {lost[0]}", part=part, **facts)
    if other_sign(step_of(half), steps[1]):
        why = "At half the prompts the step of the energy rank has another sign or significance."
        return Judgement(Verdict.not_supported, f"{why} {said}", "explained by null N10", part=part, **facts)
    if steps[0][1] > 0 or steps[1][1] > 0:
        rising = [name for name, step in zip(names, steps, strict=True) if step[1] > 0]
        return Judgement(
            Verdict.not_supported,
            f"{' and '.join(rising)} {'rise' if len(rising) > 1 else 'rises'} with depth. {said}",
            "contradicted",
            part=part,
            **facts,
        )
    if flat := _inside(steps[0], FLAT_LOG):
        return Judgement(Verdict.not_supported, f"{flat} {said}", "contradicted", part=part, **facts)
    if any(is_crossover(profile) for profile in profiles):
        smooth = [name for name, profile in zip(names, profiles, strict=True) if is_crossover(profile)]
        return Judgement(
            Verdict.not_supported, f"{' and '.join(smooth)} falls smoothly. {said}", "crossover", part=part, **facts
        )
    if not falls:
        return unresolved(f"Neither a fall in one layer nor a smooth one is shown. {said}", part, **facts)
    if missing := needed_nulls(model, "N1", "N2"):
        return not_testable(f"{missing} {said}", part, "null runs missing")
    if not _together(*profiles, model.get(WITHOUT)) or not all(map(_met, profiles)):
        return unresolved(
            f"Both fall in one layer, but not where Ω_−16 changes and {TARGET} is met. {said}", part, **facts
        )
    return Judgement(Verdict.supported, f"Both fall in one layer, where Ω_−16 steps. {said}", "step within resolution",
                     part=part, **facts)  # fmt: skip


CLAIMS = (
    Claim(
        "LO1",
        "Object integrity Ω = 1 − ‖h‖₁/(√d‖h‖₂) changes discontinuously at a critical relative depth.",
        "γ_c ≈ 0.42",
        "Explained by N4: a step in Ω_raw, but R²_MA ≥ 0.90 or none in Ω_z or Ω_−16; by another null: it does as much. "
        "Contradicted: a step of Ω_−16 whose interval excludes 0.42 (half-width ≤ 0.03), or its |step| inside ±0.02. "
        "Crossover: the step's interval excludes 0 and the width exceeds one layer. Supported: steps in Ω_raw, Ω_z and "
        "Ω_−16 that overlap, 0.42 met, every null (N1–N4, N8) beaten.",
        lo1,
    ),
    Claim(
        "LO2",
        "The effective dimension falls sharply at the same depth.",
        "0.42",
        "On ln PR (unbiased) and ln energy rank, centred, first positions out. Explained by a null: both step down by "
        "≥ ln 1.25 and N1, N2 or N8 does as much, or (N10) sign or significance differs at half the prompts. "
        "Contradicted: a rise, or |step| inside ±0.1. Crossover: wider than one layer. Supported: both step down, at the "
        "depth of Ω_−16, which meets 0.42.",
        lo2,
    ),
)  # fmt: skip
