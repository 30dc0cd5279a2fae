"""SL1, SL2: the compression wave, and the gradient that peaks and reverses."""

import math
from collections.abc import Iterator

import numpy as np

from gedanken.analysis import fronts
from gedanken.analysis.intervals import Estimate, t_interval
from gedanken.studies.base import Judgement
from gedanken.studies.spectral_lifecycle import power
from gedanken.studies.spectral_lifecycle.evidence import Evidence
from gedanken.studies.spectral_lifecycle.units import Unit
from gedanken.studies.spectral_lifecycle.verdicts import (
    GATE,
    LEVEL,
    SURE,
    UnitVerdict,
    Word,
    combined,
    untestable,
)

NEEDS = "No run has snapshots from step 0 on: gedanken train --preset cpu8, with three seeds."
AIC_MARGIN = 10.0
"""By which a travelling model must beat the one in which nothing travels (spectral-lifecycle, §4.2)."""


def travels(evidence: Evidence) -> Iterator[Judgement]:
    """SL1."""
    yield from combined([_travels(unit, evidence) for unit in evidence.trained], NEEDS)


def reverses(evidence: Evidence) -> Iterator[Judgement]:
    """SL2."""
    yield from combined([reversing(unit, evidence) for unit in evidence.trained], NEEDS)


def _travels(unit: Unit, evidence: Evidence) -> UnitVerdict:
    if why := evidence.unfit(unit):
        return untestable(unit.name, why)
    front, spacing = unit.front, float(np.median(np.diff(unit.steps)))
    reached = front.arrivals[np.isfinite(front.arrivals)]
    if not front.moves:
        return untestable(unit.name, "It does not move: the median layer's |u| at the end is below 0.1.")
    if len(reached) < 3 or np.ptp(reached) <= spacing:
        return untestable(unit.name, "The front crosses within one snapshot: gedanken train --early 5.")
    if (chance := power.order(unit.layers)) < GATE:
        return untestable(unit.name, f"With {unit.layers} layers the power is {chance:.2f}.")
    tau = t_interval(np.array([fronts.kendall(fronts.arrivals(unit.steps, fronts.smoothed(one))) for one in unit.u]))
    margin = unit.fits["M4"].aic - min(unit.fits[name].aic for name in ("M3", "M5"))
    late = front.lag.value >= 2 * spacing
    ordered = front.tau.value > 0 and front.tau_p < LEVEL
    last = f"{abs(front.lag.value):.0f} steps {'after' if front.lag.value >= 0 else 'before'} the first"
    said = (
        f"The seeds' mean arrives by depth with τ_b = {front.tau.value:.2f} (p = {front.tau_p:.2g}), its last third {last}; "
        f"a travelling model beats the one without travel by ΔAIC = {margin:.1f}.{_controls(unit)}"
    )
    inner = fronts.kendall(front.arrivals[1:-1])
    if ordered and late and margin > AIC_MARGIN:
        word = Word.positive if inner > 0 else Word.undecided
        said += "" if inner > 0 else f" The interior layers alone have τ_b = {inner:.2f}."
    elif ordered:
        word, said = Word.undecided, f"{said} Ordered, not shown to travel."
    else:
        word = Word.negative if front.tau.value <= 0 and chance >= SURE else Word.undecided
    return UnitVerdict(
        unit.name,
        word,
        said,
        "τ_b of arrival with layer, mean over seeds [1]",
        Estimate(tau.value, max(tau.low, -1.0), min(tau.high, 1.0)),
        len(unit.u),
        front.tau_p,
        "layers in random order; no-delay model M4",
        opposite=tau.high < 0,
        family=unit.family,
    )


def _controls(unit: Unit) -> str:
    """What the control runs say: a constant learning rate, and none at all."""
    said = []
    for name in ("frozen", "no-warm-up"):
        control = unit.controls.get(name)
        if control is None:
            said.append(f"No {name} run: gedanken train --control {name}.")
        elif name == "frozen":
            said.append(f"Frozen, u stays within {np.abs(control.u).max():.1g}.")
        else:
            arrived = fronts.arrivals(control.steps, fronts.smoothed(control.u.mean(axis=0)))
            said.append(f"With a constant learning rate τ_b = {fronts.kendall(arrived):.2f}.")
    return " " + " ".join(said)


def reversing(unit: Unit, evidence: Evidence) -> UnitVerdict:
    """SL2 of one unit."""
    if why := evidence.unfit(unit):
        return untestable(unit.name, why)
    chance = power.turn(unit.layers, len(unit.steps))
    if chance < GATE:
        return untestable(unit.name, f"With {unit.layers} layers the power is {chance:.2f}.")
    front = unit.front
    gradients = np.stack([fronts.depth_gradient(fronts.smoothed(one)) for one in unit.u])
    end = t_interval(np.array([fronts.end_value(one) for one in gradients]))
    slope = t_interval(np.array([_last_slope(one) for one in gradients]))
    reversed_at = front.reversal_step.value
    when = f"reverses at step {reversed_at:.0f}" if math.isfinite(reversed_at) else "never reverses"
    course = f"peaks at {front.peak.value:.2f} nat (step {front.peak_step.value:.0f}), {when}"
    said = (
        f"The gradient {course if front.peak.value > 0 else 'is never positive'}, and ends at {end:.2f} nat; "
        f"turn Z = {front.turn.value:.2f} (p = {front.turn_p:.2g})."
    )
    if front.turn.value > 0 and front.turn_p < LEVEL and math.isfinite(reversed_at) and end.high < 0:
        inner = fronts.end_value(fronts.depth_gradient(fronts.smoothed(unit.u.mean(axis=0))[:, 1:-1]))
        word = Word.positive if inner < 0 else Word.undecided
        said += "" if inner < 0 else f" The interior layers alone end at {inner:.2f}."
    elif end.low > 0 and slope.high < 0:
        word, said = Word.undecided, f"{said} It is still falling: the run is too short (gedanken train --steps)."
    elif end.low > 0 and chance >= SURE:
        word = Word.negative
    else:
        word = Word.undecided
    return UnitVerdict(
        unit.name,
        word,
        said,
        "depth gradient at the end, G_end [nat]",
        end,
        len(unit.u),
        front.turn_p,
        "layers in random order",
        opposite=word == Word.negative,
        family=unit.family,
    )


def _last_slope(gradient: np.ndarray) -> float:
    """Slope of G over the last 10 % of snapshots, at least three."""
    last = gradient[-max(3, len(gradient) // 10) :]
    return float(np.polyfit(np.arange(len(last)), last, 1)[0])
