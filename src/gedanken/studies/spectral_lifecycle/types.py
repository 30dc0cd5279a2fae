"""SL6, SL7: whether values and outputs compress uniformly, and queries and keys carry the depth-dependent dynamics."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from gedanken.analysis import fronts
from gedanken.analysis.asymmetry import asymmetry, uniformity
from gedanken.analysis.intervals import Estimate, t_interval
from gedanken.analysis.layer_series import ATTENTION
from gedanken.analysis.p_values import DRAWS, orders, permutation_p
from gedanken.studies.base import Judgement
from gedanken.studies.spectral_lifecycle import power
from gedanken.studies.spectral_lifecycle.evidence import Evidence
from gedanken.studies.spectral_lifecycle.units import Unit, at_end
from gedanken.studies.spectral_lifecycle.verdicts import (
    GATE,
    LEVEL,
    SETTINGS_OF_PARTS,
    SURE,
    UnitVerdict,
    Word,
    combined,
    robust,
    untestable,
)
from gedanken.studies.spectral_lifecycle.wave import NEEDS

EVEN = 0.15
"""Coefficient of variation over depth up to which a compression is called uniform (spectral-lifecycle, §4.2)."""
SHARE = 0.8


def uniform(evidence: Evidence) -> Iterator[Judgement]:
    """SL6."""
    yield from combined([_uniform(unit, evidence) for unit in evidence.trained], NEEDS)


def carried(evidence: Evidence) -> Iterator[Judgement]:
    """SL7."""
    yield from combined([_carried(unit, evidence) for unit in evidence.units], NEEDS)


def gradient_peak_p(
    steps: np.ndarray, u: Float[np.ndarray, "step layer"], rng: np.random.Generator, draws: int = DRAWS
) -> float:
    """One-sided p of the largest depth gradient in the first half of training, layers standing at random depths."""
    order, complete = orders(u.shape[1], rng, draws)
    k, early = max(1, u.shape[1] // 3), u[steps <= steps[-1] / 2]
    null = (early[:, order[:, -k:]].mean(axis=-1) - early[:, order[:, :k]].mean(axis=-1)).max(axis=0)
    return permutation_p(fronts.peak(steps, fronts.depth_gradient(u))[1], null, complete=complete)


def _uniform(unit: Unit, evidence: Evidence) -> UnitVerdict:
    if why := evidence.unfit(unit):
        return untestable(unit.name, why)
    if not np.median(np.abs(unit.u[:, -1])) > fronts.MOVES:
        return untestable(unit.name, "It does not move: the median layer's |u| at the end is below 0.1.")
    worst, peaks, told = None, [], []
    for part in ("W_V", "W_O"):
        u = unit.compression[:, ATTENTION.index(part)]
        # spread of each seed, so that the interval is Student's over seeds
        spread = t_interval(np.array([uniformity(1 - np.exp(one[None]), unit.rng).value for one in at_end(u)]))
        peaks.append(gradient_peak_p(unit.steps, fronts.smoothed(u.mean(axis=0)), unit.rng))
        told.append(f"{part}: CV {spread:.2f}, peak p = {peaks[-1]:.2g}")
        worst = spread if worst is None or spread.high > worst.high else worst
        if spread.low > EVEN:
            word = Word.negative
            return UnitVerdict(
                unit.name,
                word,
                f"{'; '.join(told)}.",
                "coefficient of variation over depth [1]",
                spread,
                len(u),
                None,
                "uniform to 0.15",
                family=unit.family,
            )
    word = Word.positive if worst.high <= EVEN and min(peaks) > LEVEL else Word.undecided
    return UnitVerdict(
        unit.name,
        word,
        f"{'; '.join(told)}.",
        "coefficient of variation over depth [1]",
        worst,
        len(unit.u),
        None,
        "uniform to 0.15; layers in random order",
        family=unit.family,
    )


def _carried(unit: Unit, evidence: Evidence) -> UnitVerdict:
    if unit.trained and (why := evidence.unfit(unit)):
        return untestable(unit.name, why, unit.family)
    chance = power.asymmetric(unit.layers) if unit.layers >= 4 else 0.0
    if chance < GATE:
        return untestable(unit.name, f"With {unit.layers} layers the power is {chance:.2f}.", unit.family)
    end = unit.alpha[:, :, -max(1, len(unit.steps) // 10) :].mean(axis=2, keepdims=True)
    found = {"α": asymmetry(end, unit.rng)}
    seeds = {"α": _seeds(end)}
    if unit.ladder:
        later = unit.steps >= unit.front.peak_step.value / 2
        found["u"] = asymmetry(unit.compression[:, :, later], unit.rng)
        seeds["u"] = _seeds(unit.compression[:, :, later])
    told = [
        f"of {name}: A = {a.asymmetry.value:.2f} (p = {a.p:.2g}), share {seeds[name][1]:.2f}"
        for name, a in found.items()
    ]
    significant = all(a.asymmetry.value > 0 and a.p < LEVEL for a in found.values())
    whole = all(share.low >= SHARE for _, share in seeds.values())
    products = _products(unit)
    said = f"Queries and keys against values and outputs, {'; '.join(told)}. {products[1]}"
    worst = min(seeds, key=lambda name: seeds[name][0].value)
    others = {name: _seeds(values[:, :, None])[0].value for name, values in unit.parts.items()}
    if significant and whole and products[0] and len(found) == 2:
        word = Word.positive
    elif any(one.high <= 0 for one, _ in seeds.values()) and chance >= SURE:
        word = Word.negative
    else:
        word = Word.undecided
        said += " Queries and keys carry more, not shown to carry all." if significant and not whole else ""
        said += "" if unit.ladder else " The dynamics of u need snapshots from step 0 on."
    word, said = robust(word, said, 1.0, others, SETTINGS_OF_PARTS)
    p = max(a.p for a in found.values())
    return UnitVerdict(
        unit.name,
        word,
        said,
        f"asymmetry of {worst} [1]",
        seeds[worst][0],
        len(unit.alpha),
        p,
        "labels shuffled within layers, centred; per-head products",
        word == Word.negative,
        unit.family,
    )


def _seeds(values: Float[np.ndarray, "seed type step layer"]) -> tuple[Estimate, Estimate]:
    """A and S of the mean over seeds, with Student's intervals of the seeds' own values."""
    rng = np.random.default_rng(0)
    whole = asymmetry(values, rng, 1)
    each = [asymmetry(one[None], rng, 1) for one in values]
    a, s = t_interval(np.array([x.asymmetry.value for x in each])), t_interval(np.array([x.share.value for x in each]))
    return Estimate(whole.asymmetry.value, a.low, a.high), Estimate(whole.share.value, s.low, s.high)


def _products(unit: Unit) -> tuple[bool, str]:
    """Whether W_QK varies more over depth than W_OV in both variables, and a sentence."""
    if not unit.products:
        run = unit.runs[0]
        return False, (
            "The products W_QK and W_OV were not measured: gedanken scan CHECKPOINT --product W_QK --product W_OV --run "
            f"{run}-products."
        )
    found = {}
    for name, values in unit.products.items():
        spread = values.mean(axis=0)[:, 1:-1].std(axis=-1, ddof=1)
        found[name] = float((spread[0] - spread[1]) / spread.sum())
    told = ", ".join(f"{value:.2f} of the {name.replace('_', ' ')}" for name, value in found.items())
    return all(value > 0 for value in found.values()), f"Of the products, A = {told}."
