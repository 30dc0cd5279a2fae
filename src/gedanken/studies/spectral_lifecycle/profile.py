"""SL3, SL4, SL5, SL10: the profile of the rank exponent over depth, its persistence, shape and scaling."""

import math
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from gedanken.analysis import depth_scaling
from gedanken.analysis.depth_profile import delta_range, delta_smooth, inverted_u, persistence, profile_p, smooth
from gedanken.analysis.intervals import Estimate, t_interval
from gedanken.analysis.p_values import orders, permutation_p
from gedanken.studies.base import Judgement
from gedanken.studies.spectral_lifecycle import power
from gedanken.studies.spectral_lifecycle.evidence import Evidence
from gedanken.studies.spectral_lifecycle.units import Unit, bare
from gedanken.studies.spectral_lifecycle.verdicts import (
    GATE,
    LEVEL,
    SETTINGS,
    SURE,
    UnitVerdict,
    Word,
    combined,
    robust,
    single,
    untestable,
)

NEEDS = "No run has rank exponents of attention matrices: gedanken scan MODEL, or gedanken train --preset cpu12."
LADDER = "for L in 6 8 12 16 24 32: gedanken train --preset depth-ladder --set layers=L, with three seeds each."
DEEP = 12
"""Layers that an inverted U needs: below, both tests together find a bump of 5 noise units in fewer than ⅔ of draws."""
CLAIMED_EXPONENT = 0.26


def persists(evidence: Evidence) -> Iterator[Judgement]:
    """SL3."""
    yield from combined([persistent(unit, evidence) for unit in evidence.units if unit.ladder], NEEDS)


def bends(evidence: Evidence) -> Iterator[Judgement]:
    """SL4."""
    yield from combined([bent(unit, evidence) for unit in evidence.units], NEEDS)


def persistent(unit: Unit, evidence: Evidence) -> UnitVerdict:
    """SL3 of one unit."""
    if why := evidence.unfit(unit):
        return untestable(unit.name, why, unit.family)
    chance = power.profile(unit.layers)
    if chance < GATE:
        return untestable(unit.name, f"With {unit.layers} layers the power is {chance:.2f}.", unit.family)
    delta, p = profile_p(unit.end.mean(axis=0), unit.rng)
    start_p = profile_p(unit.shape[:, 0].mean(axis=0), unit.rng)[1]
    kept = t_interval(np.array([persistence(one) for one in unit.shape]))
    frozen = unit.controls.get("frozen")
    still = f"; frozen, p = {profile_p(frozen.end.mean(axis=0), unit.rng)[1]:.2g}" if frozen else "; no frozen run"
    said = (
        f"Δ_smooth = {delta:.3f} at the end (p = {p:.2g}; at step 0 p = {start_p:.2g}{still}), persistence "
        f"{kept.value:.2f}."
    )
    if p < LEVEL and kept.value >= 0.8 and kept.low >= 0.6:
        word = Word.positive
    elif kept.high < 0.8 and chance >= SURE:
        word = Word.negative
    else:
        word = Word.undecided
    if word == Word.positive and start_p < LEVEL:
        word, said = Word.undecided, f"{said} The profile is not flat at step 0."
    end = unit.end.mean(axis=0)
    others = {name: _alike(smooth(end), smooth(values.mean(axis=0))) for name, values in unit.profiles.items()}
    others["interior layers"] = _alike(smooth(end)[1:-1], smooth(end[1:-1]))
    word, said = robust(word, said, 1.0, others, SETTINGS + 1)
    return UnitVerdict(
        unit.name,
        word,
        said,
        "persistence of Δ_smooth [1]",
        kept,
        len(unit.end),
        p,
        "layers in random order; step 0; frozen run",
        family=unit.family,
    )


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """Covariance of two profiles over depth: positive if they rise and fall together."""
    return float(np.cov(one, other)[0, 1])


def bent(unit: Unit, evidence: Evidence) -> UnitVerdict:
    """SL4 of one unit."""
    if unit.trained and (why := evidence.unfit(unit)):
        return untestable(unit.name, why, unit.family)
    if unit.layers < DEEP:
        return untestable(
            unit.name,
            f"It has {unit.layers} layers, and an inverted U needs {DEEP} (gedanken train --preset cpu12).",
            unit.family,
        )
    found = inverted_u(unit.end.mean(axis=0))
    others = {name: inverted_u(values.mean(axis=0)).curvature for name, values in unit.profiles.items()}
    p = max(found.first_slope_p, found.last_slope_p, found.rise_p, found.fall_p)
    said = (
        f"Vertex at depth {found.vertex.value:.2f}, curvature {found.curvature:.2f}; end slopes p = "
        f"{found.first_slope_p:.2g} and {found.last_slope_p:.2g}, two lines p = {found.rise_p:.2g} and {found.fall_p:.2g}; "
        f"power {power.bumped(unit.layers):.2f} for a bump of 5 noise units."
    )
    if found.holds:
        word = Word.positive
    elif (found.curvature >= 0 or not found.between_ends) and power.bumped(unit.layers) >= SURE:
        word = Word.negative
    else:
        word = Word.undecided
    word, said = robust(word, said, found.curvature, others, SETTINGS)
    vertex = (
        found.vertex
        if np.isfinite([found.vertex.low, found.vertex.high]).all()
        else Estimate(found.vertex.value, math.nan, math.nan)
    )
    return UnitVerdict(
        unit.name,
        word,
        said,
        "vertex of the profile [relative depth]",
        vertex,
        len(unit.end),
        p,
        "a monotone profile that flattens",
        family=unit.family,
    )


def ladders(evidence: Evidence, *, fixed_width: bool) -> list[list[Unit]]:
    """Groups of trained units that differ in depth (and in width and heads unless it is fixed)."""
    free = ("layers",) if fixed_width else ("layers", "width", "heads", "preset", "learning_rate")
    groups = defaultdict(list)
    for unit in evidence.trained:
        if not evidence.unfit(unit):
            groups[bare(unit.recipe, *free)].append(unit)
    ladder = [sorted(group, key=lambda unit: unit.layers) for group in groups.values()]
    return sorted((g for g in ladder if len({u.layers for u in g}) == len(g) > 1), key=len, reverse=True)


def moves_up(evidence: Evidence) -> Judgement:
    """SL5."""
    bent_ones = [
        [u for u in group if bent(u, evidence).word == Word.positive] for group in ladders(evidence, fixed_width=True)
    ]
    best = max(bent_ones, key=len, default=[])
    if len(best) < 3:
        wide = max(
            (sum(bent(u, evidence).word == Word.positive for u in g) for g in ladders(evidence, fixed_width=False)),
            default=0,
        )
        if wide >= 3:
            return single(
                UnitVerdict("", Word.undecided, f"{wide} depths have an inverted U, but their width grows too.")
            )
        return single(
            untestable("", f"{len(best)} depths of one width have an inverted U, and three are needed: {LADDER}")
        )
    x = np.log([u.layers for u in best])
    seeds = min(len(u.end) for u in best)
    slopes = t_interval(np.array([_vertex_slope(x, [u.end[s] for u in best]) for s in range(seeds)]))
    vertex = np.array([inverted_u(u.end.mean(axis=0)).vertex.value for u in best])
    slope = float(np.polyfit(x, vertex, 1)[0])
    order, complete = orders(len(best), best[0].rng)
    centred = x - x.mean()
    p = permutation_p(-slope, -(vertex[order] @ centred) / (centred @ centred), complete=complete)
    word = Word.positive if slope < 0 and p < LEVEL else Word.negative if slopes.low > 0 else Word.undecided
    said = (
        f"Over {len(best)} depths of one width the vertex moves by {slope:.3f} for each e-fold of depth (p = {p:.2g})."
    )
    others = {name: _vertex_slope(x, found) for name, found in _other_settings(best).items()}
    word, said = robust(word, said, slope, others, SETTINGS + 1)
    return single(
        UnitVerdict(
            "",
            word,
            said,
            "slope of the vertex on ln L [1]",
            Estimate(slope, slopes.low, slopes.high),
            len(best),
            p,
            "depths in random order",
        )
    )


def _vertex_slope(x: np.ndarray, profiles: list[np.ndarray]) -> float:
    return float(np.polyfit(x, [inverted_u(profile).vertex.value for profile in profiles], 1)[0])


def _other_settings(units: list[Unit]) -> dict[str, list[np.ndarray]]:
    """End profiles of all units in each setting that all have, and of their interior layers."""
    names = [name for name in units[0].profiles if all(name in unit.profiles for unit in units)]
    found = {name: [unit.profiles[name].mean(axis=0) for unit in units] for name in names}
    return found | {"interior layers": [unit.end.mean(axis=0)[1:-1] for unit in units]}


def scales(evidence: Evidence) -> Judgement:
    """SL10."""
    found = ladders(evidence, fixed_width=True)
    group = found[0] if found else []
    if len(group) < 4:
        wide = max((len(g) for g in ladders(evidence, fixed_width=False)), default=0)
        also = f" {wide} depths of growing width do not decide." if wide > len(group) else ""
        return single(
            untestable("", f"{len(group)} depths of one width with three seeds, and four are needed: {LADDER}{also}")
        )
    depths = np.array([u.layers for u in group], float)
    profiles = [u.end.mean(axis=0) for u in group]
    scaling = depth_scaling.exponent(depths, np.array([float(delta_smooth(p)) for p in profiles]))
    ranged = depth_scaling.exponent(depths, np.array([float(delta_range(p)) for p in profiles]))
    rivals = depth_scaling.rivals(depths, np.array([float(delta_smooth(p)) for p in profiles]))
    power_law = next(r for r in rivals if r.name == "power")
    null_range, null_smooth = depth_scaling.null_exponents(depths, group[0].rng)
    e = scaling.exponent
    said = (
        f"Δ_smooth ∝ L^{e.value:.2f} (R² {scaling.r_squared:.2f}) over {len(group)} depths; Δ_range ∝ L^"
        f"{ranged.exponent.value:.2f}; layers without structure give {null_smooth:.2f} and {null_range:.2f}; "
        f"the best law by AICc "
        f"is {rivals[0].name}."
    )
    inside = e.low <= CLAIMED_EXPONENT <= e.high
    decided = inside and not e.low <= 0 <= e.high and (e.high - e.low) / 2 <= 0.15 and scaling.r_squared >= 0.9
    if decided and len(group) >= 5 and power_law.aicc <= rivals[0].aicc + 2:
        word = Word.positive
    else:
        word = Word.undecided if inside else Word.negative
    if word == Word.negative and ranged.exponent.low <= CLAIMED_EXPONENT <= ranged.exponent.high:
        word, said = Word.undecided, f"{said} Only Δ_range agrees, as it does without any depth structure."
    others = {
        name: depth_scaling.exponent(depths, np.array([float(delta_smooth(p)) for p in found])).exponent.value
        for name, found in _other_settings(group).items()
    }
    word, said = robust(word, said, e.value, others, SETTINGS + 1)
    return single(
        UnitVerdict(
            "",
            word,
            said,
            "exponent of Δ_smooth on L [1]",
            e,
            len(group),
            None,
            "range null; flat noise; constant, logarithmic and linear laws",
        )
    )
