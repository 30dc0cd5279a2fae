"""SL8, SL9: rank is transient and shape persists; and whether two timescales and a travelling front describe both."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from gedanken.analysis import fronts
from gedanken.analysis.intervals import t_interval
from gedanken.analysis.rank_correlation import partial_spearman
from gedanken.analysis.timescales import parameter_intervals
from gedanken.studies.base import Judgement
from gedanken.studies.spectral_lifecycle.evidence import Evidence
from gedanken.studies.spectral_lifecycle.importance import NEEDS_IMPORTANCE, interval
from gedanken.studies.spectral_lifecycle.profile import persistent
from gedanken.studies.spectral_lifecycle.pruned import Pruned
from gedanken.studies.spectral_lifecycle.units import Unit
from gedanken.studies.spectral_lifecycle.verdicts import LEVEL, UnitVerdict, Word, combined, untestable
from gedanken.studies.spectral_lifecycle.wave import AIC_MARGIN, NEEDS, reversing

COVERED = 0.9
APART = 2.0
"""τ_s/τ_f that two timescales must exceed (spectral-lifecycle, §4.2)."""
TEN = 10


def dissociates(evidence: Evidence) -> Iterator[Judgement]:
    """SL8: (a, b) in time and fate, and (c) in what each says of a layer's importance."""
    yield from combined([_in_time(unit, evidence) for unit in evidence.trained], NEEDS, part="time and fate")
    yield from combined([_information(model) for model in evidence.pruned], NEEDS_IMPORTANCE, part="information")


def two_timescales(evidence: Evidence) -> Iterator[Judgement]:
    """SL9."""
    yield from combined([_two_timescales(unit, evidence) for unit in evidence.trained], NEEDS)


def covered_step(steps: np.ndarray, series: Float[np.ndarray, "step layer"]) -> Float[np.ndarray, " layer"]:
    """First step at which each layer has covered 90 % of its own total change."""
    total = series[-1] - series[0]
    share = np.divide(series - series[0], total, out=np.zeros_like(series), where=total != 0)
    return steps[np.argmax(share >= COVERED, axis=0)].astype(float)


def _in_time(unit: Unit, evidence: Evidence) -> UnitVerdict:
    if why := evidence.unfit(unit):
        return untestable(unit.name, why)

    def ratio(u: np.ndarray, alpha: np.ndarray) -> float:
        fast, slow = (covered_step(unit.steps, fronts.smoothed(one)) for one in (u, alpha))
        return float(np.median(slow[fast > 0] / fast[fast > 0])) if (fast > 0).any() else math.nan

    found = t_interval(np.array([ratio(u, alpha) for u, alpha in zip(unit.u, unit.shape, strict=True)]))
    wave, profile = reversing(unit, evidence).word, persistent(unit, evidence).word
    said = (
        f"A layer's rank exponent covers 90 % of its change after {found.value:.2f} times the steps that its stable rank "
        f"needs; the reversal is {wave}, the persistent profile {profile}."
    )
    if found.low > 1 and wave == profile == Word.positive:
        word = Word.positive
    elif found.high < 1 or profile == Word.negative:
        word = Word.negative
    else:
        word = Word.undecided
    return UnitVerdict(
        unit.name,
        word,
        said,
        "t90 of shape over t90 of rank [1]",
        found,
        len(unit.u),
        None,
        "one timescale (ratio 1)",
        found.high < 1,
        unit.family,
    )


def _information(model: Pruned) -> UnitVerdict:
    inner = model.interior
    n = len(inner)
    if n < TEN:
        return untestable(
            model.run, f"{n} interior layers have an importance, and {TEN} are needed. {NEEDS_IMPORTANCE}"
        )
    importance, shape, rank = (
        np.asarray(x)[inner] for x in (model.importance, model.score("rank_exponent"), model.score("stable_rank"))
    )
    first = partial_spearman(shape, importance, rank, model.rng)
    second = partial_spearman(rank, importance, shape, model.rng)
    ends, others = interval(first.rho, n, given=1), interval(second.rho, n, given=1)
    said = (
        f"Given the stable rank, the rank exponent goes with importance by ρ = {first.rho:.2f} (p = "
        f"{first.p_greater:.2g}); given "
        f"the rank exponent, the stable rank by ρ = {second.rho:.2f} (p = {second.p:.2g})."
    )
    if first.rho > 0 and first.p_greater < LEVEL and others.low <= 0 <= others.high and second.rho < ends.low:
        word = Word.positive
    else:
        reverse = abs(second.rho) > abs(first.rho) and second.p < LEVEL and ends.low <= 0 <= ends.high
        word = Word.negative if reverse else Word.undecided
    return UnitVerdict(
        model.run,
        word,
        said,
        "partial ρ of α and importance given the stable rank [1]",
        ends,
        n,
        first.p_greater,
        "residual ranks in random order",
        word == Word.negative,
        model.family,
    )


def _two_timescales(unit: Unit, evidence: Evidence) -> UnitVerdict:
    if why := evidence.unfit(unit):
        return untestable(unit.name, why)
    fits = unit.fits
    best = min(("M3", "M5"), key=lambda name: fits[name].aic)
    rivals = {name: fits[name] for name in ("M0", "M1", "M2", "M4")}
    rival = min(rivals, key=lambda name: rivals[name].aic)
    wins = rivals[rival].aic - fits[best].aic > AIC_MARGIN
    predicts = all(fits[best].left_out < other.left_out for other in rivals.values())
    spread = parameter_intervals(unit.steps, unit.u, unit.shape, unit.noise, unit.rng, model=best, starts=6)["ratio"]
    gradient = fronts.depth_gradient(fits[best].u)
    at, _ = fronts.peak(unit.steps, gradient)
    seen = unit.front.peak_step.value
    close = abs(at - seen) <= max(2 * float(np.median(np.diff(unit.steps))), 0.2 * seen)
    sign = np.sign(fronts.end_value(gradient)) == np.sign(unit.front.end.value)
    said = (
        f"{best} against its best rival {rival}: ΔAIC = {rivals[rival].aic - fits[best].aic:.1f}, error on layers left out "
        f"{fits[best].left_out:.1f} against {rivals[rival].left_out:.1f} noise variances, R² of u "
        f"{fits[best].r_squared['u']:.2f} and "
        f"of α {fits[best].r_squared['alpha']:.2f}; τ_s/τ_f = {spread.value:.1f}; the gradient's peak is predicted at step "
        f"{at:.0f} and seen at {seen:.0f}. The equations are this study's own."
    )
    if wins and predicts and spread.low > APART and close and sign:
        word = Word.positive
    elif rival in ("M1", "M2") and rivals[rival].aic < fits[best].aic:
        word = Word.negative
    else:
        word = Word.undecided
    if fits[best].at_bound:
        said += f" At an end of their range: {', '.join(fits[best].at_bound)}."
    return UnitVerdict(
        unit.name,
        word,
        said,
        "τ_s/τ_f [1]",
        spread,
        len(unit.u),
        None,
        "M0, M1, M2, M4 by AIC and by layers left out",
        family=unit.family,
    )
