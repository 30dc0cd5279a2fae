"""Rows of a temperature sweep: merged from blocks of keys, and summed into what an ensemble keeps.

For each row and each inverse temperature b the sweep keeps the largest logit m, w = Σ e^{b(z−m)}, and of the weights
e^{b(z−m)}/w the mean of z − m and the sum of squared deviations V (times w). Two sets of keys are merged as two weighted
samples are [@milakov2018online; @chan1983algorithms, eq. 2.1]; ⟨z²⟩ − ⟨z⟩² is never formed.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gedanken.theory import schottky

GRID = 2.0 ** (np.arange(-8, 9) / 4)
"""τ = T'/T from 1/4 to 4 in steps of 2^¼: each fourth exponential is the square of an earlier one."""

MODEL = 8
"""Where τ = 1 stands in GRID."""

GROUPS = 64
"""Groups of prompts: a standard error from them has a relative error of 1/√(2·64) = 9 %."""

BINS = np.concatenate([np.arange(2, 16), np.round(2.0 ** (np.arange(16, 81) / 4))])
"""Lower ends of the bins of n: every n up to 15, then four to an octave, to about a million."""


class Sweep(NamedTuple):
    """Statistics of rows of logits z at inverse temperatures b, the first of which is 0: the unweighted row.

    `peak` is max z, `second` the next largest (−∞ if there is none); `weight`, `mean` (of z − peak) and `deviation` have
    the inverse temperatures along the last axis. A row without keys has peak −∞ and weight 0.
    """

    peak: Float[np.ndarray, "*row"]
    second: Float[np.ndarray, "*row"]
    weight: Float[np.ndarray, "*row b"]
    mean: Float[np.ndarray, "*row b"]
    deviation: Float[np.ndarray, "*row b"]


def inverse(temperatures: Float[np.ndarray, " temperature"]) -> Float[np.ndarray, " b"]:
    """0, then 1/τ."""
    return np.concatenate([[0.0], 1 / np.asarray(temperatures, dtype=np.float64)])


def single(logit: Float[np.ndarray, "*row"], count: int) -> Sweep:
    """Rows of one key each; a logit of −∞ is no key."""
    there = np.isfinite(logit)[..., None] & np.ones(count, bool)
    zero = np.zeros(there.shape)
    return Sweep(logit, np.full(logit.shape, -np.inf), there.astype(np.float64), zero, zero.copy())


def merged(a: Sweep, b: Sweep, inverse_temperatures: Float[np.ndarray, " b"]) -> Sweep:
    """The sweep of the keys of both."""
    peak = np.maximum(a.peak, b.peak)
    second = np.maximum(np.minimum(a.peak, b.peak), np.maximum(a.second, b.second))
    drop_a, drop_b = (np.where(part.weight[..., 0] > 0, part.peak - peak, 0.0)[..., None] for part in (a, b))
    factor_a, factor_b = np.exp(inverse_temperatures * drop_a), np.exp(inverse_temperatures * drop_b)
    weight_a, weight_b = a.weight * factor_a, b.weight * factor_b
    weight = weight_a + weight_b
    share = weight_b / np.where(weight > 0, weight, 1.0)
    apart = (b.mean + drop_b) - (a.mean + drop_a)
    mean = a.mean + drop_a + apart * share
    deviation = a.deviation * factor_a + b.deviation * factor_b + apart**2 * weight_a * share
    return Sweep(peak, second, weight, mean, deviation)


def dense(logits: Float[np.ndarray, "*row n"], inverse_temperatures: Float[np.ndarray, " b"]) -> Sweep:
    """The sweep of rows given whole, by two passes; −∞ is no key. For small arrays."""
    there = np.isfinite(logits)
    peak = logits.max(axis=-1, initial=-np.inf)
    x = np.where(there, logits - np.where(np.isfinite(peak), peak, 0.0)[..., None], 0.0)[..., None, :]
    weights = np.exp(inverse_temperatures[:, None] * x) * there[..., None, :]
    weight = weights.sum(axis=-1)
    mean = np.sum(weights * x, axis=-1) / np.where(weight > 0, weight, 1.0)
    deviation = np.sum(weights * (x - mean[..., None]) ** 2, axis=-1)
    second = np.sort(logits, axis=-1)[..., -2] if logits.shape[-1] > 1 else np.full(peak.shape, -np.inf)
    return Sweep(peak, second, weight, mean, deviation)


def thermodynamics(sweep: Sweep, temperatures: Float[np.ndarray, " temperature"]) -> dict[str, np.ndarray]:
    """row × temperature: log_partition ln Σ e^{z/τ}, logit ⟨z⟩_p, entropy and heat_capacity Var_p(z/τ) of rows with keys."""
    b, peak = 1 / temperatures, sweep.peak[..., None]
    weight, mean = sweep.weight[..., 1:], sweep.mean[..., 1:]
    above = np.log(weight)
    return {
        "log_partition": above + b * peak,
        "logit": mean + peak,
        "entropy": above - b * mean,
        "heat_capacity": b**2 * sweep.deviation[..., 1:] / weight,
    }


def prompt_sums(
    whole: Sweep,
    without: Sweep,
    first: Float[np.ndarray, "head row"],
    temperatures: Float[np.ndarray, " temperature"],
) -> dict[str, dict]:
    """What the rows of one prompt add to an ensemble, for several heads: the fields of `Ensemble` without the group axis.

    `whole` and `without` are head × row, of all keys and of all but the first; `first` is the logit of that key, −∞ where
    it is not visible.
    """
    n = np.rint(whole.weight[..., 0]).astype(np.int64)
    fewer = np.rint(without.weight[..., 0]).astype(np.int64)
    # Which rows see how many keys is the same for every head: masks have no heads, or the caller comes head by head.
    several, enough = n[0] > 1, fewer[0] > 1
    whole = Sweep(*(part[:, several] for part in whole))
    sums = _shares(thermodynamics(whole, temperatures), n[:, several])
    energy = -sums["logit"] / temperatures
    seen = Sweep(*(part[:, enough] for part in without))
    sums |= {f"{name}_without": x for name, x in _shares(thermodynamics(seen, temperatures), fewer[:, enough]).items()}
    first, n = first[:, several], n[:, several]
    sums["sink"] = np.exp((first - whole.peak)[..., None] / temperatures) / whole.weight[..., 1:]
    uniform, squares = whole.peak + whole.mean[..., 0], whole.deviation[..., 0]
    gap, gap_mean = whole.peak - whole.second, -whole.mean[..., 0] * n / (n - 1)
    for name, of in (("schottky_share", gap), ("schottky_mean_share", gap_mean)):
        of_two = schottky.heat_capacity(of[..., None] / temperatures, n[..., None])
        sums[name] = of_two / schottky.largest(n)[..., None]
    two = gap[..., None] / temperatures, n[..., None]
    entropy, sums["schottky_energy"] = schottky.entropy(*two), temperatures * schottky.energy(*two)
    sums["schottky_entropy_share"] = entropy / np.log(n)[..., None]
    sums["schottky_free_energy"] = sums["schottky_energy"] - temperatures * entropy
    rows = np.full(len(n), float(n.shape[1]))
    counts = {
        "rows": rows,
        "rows_without": np.full(len(n), float(enough.sum())),
        "log_n_without": np.log(fewer[:, enough]).sum(axis=1),
        "sink_rows": np.isfinite(first).sum(axis=1).astype(float),
        "prompts": (rows > 0).astype(float),
        "alone": np.full(len(n), float((~several).sum())),
        "uniform_mean": uniform.sum(axis=1),
        "uniform_variance": (squares / n).sum(axis=1),
        "gap": gap.sum(axis=1),
        "gap_mean": gap_mean.sum(axis=1),
    }
    return {
        "sums": {name: values.sum(axis=1) for name, values in sums.items()},
        "counts": counts,
        "by_n": _by_n(n, squares),
        "spreads": _spreads(energy, uniform, squares, n),
    }


def _shares(found: dict[str, np.ndarray], n: Int[np.ndarray, "head row"]) -> dict[str, np.ndarray]:
    """With S/ln n and C/C_max(n)."""
    found["entropy_share"] = found["entropy"] / np.log(n)[..., None]
    found["heat_capacity_share"] = found["heat_capacity"] / schottky.largest(n)[..., None]
    return found


def _by_n(n: Int[np.ndarray, "head row"], squares: Float[np.ndarray, "head row"]) -> dict[str, np.ndarray]:
    place = np.searchsorted(BINS, n, side="right") - 1
    place += len(BINS) * np.arange(len(n))[:, None]

    def summed(values: np.ndarray) -> np.ndarray:
        found = np.bincount(place.ravel(), values.ravel(), minlength=len(n) * len(BINS))
        return found.reshape(len(n), len(BINS))

    return {
        "rows": summed(np.ones(n.shape)),
        "log_n": summed(np.log(n)),
        "freedom": summed(n - 1.0),
        "squares": summed(squares),
    }


Spread = tuple[float | np.ndarray, float | np.ndarray, float | np.ndarray]
"""Weight, weighted mean and sum of squared deviations."""


def _spreads(energy: np.ndarray, uniform: np.ndarray, squares: np.ndarray, n: np.ndarray) -> dict[str, Spread]:
    rows = np.full(energy.shape[::2], float(n.shape[1]))
    if not n.shape[1]:
        zero = np.zeros(energy.shape[::2])
        nothing = np.zeros(len(n))
        return {"energy": (zero,) * 3, "prompt_energy": (zero,) * 3, "landscape": (nothing,) * 3}
    mean = energy.mean(axis=1)
    pairs = n.sum(axis=1).astype(float)
    centre = np.sum(n * uniform, axis=1) / pairs
    around = squares.sum(axis=1) + np.sum(n * (uniform - centre[:, None]) ** 2, axis=1)
    return {
        "energy": (rows, mean, np.sum((energy - mean[:, None]) ** 2, axis=1)),
        "prompt_energy": (rows, mean, np.zeros_like(mean)),
        "landscape": (pairs, centre, around),
    }


def pooled(a: Spread, b: Spread) -> Spread:
    """The spread of both samples together [@chan1983algorithms, eq. 2.1]."""
    weight = a[0] + b[0]
    share = b[0] / np.where(weight > 0, weight, 1.0)
    apart = b[1] - a[1]
    return weight, a[1] + apart * share, a[2] + b[2] + apart**2 * a[0] * share


def over_groups(spread: Spread, left_out: bool = False) -> Spread:
    """The spread of all groups together (along the first axis), or of all but each in turn: then that axis stays.

    The deviations are taken from the common mean of all groups before anything is left out, so nothing cancels.
    """
    weight, mean, squares = spread
    total = weight.sum(axis=0)
    centre = np.sum(weight * mean, axis=0) / np.where(total > 0, total, 1.0)
    first, second = weight * (mean - centre), squares + weight * (mean - centre) ** 2
    if not left_out:
        return total, centre, second.sum(axis=0)
    weight, first, second = (part.sum(axis=0) - part for part in (weight, first, second))
    shift = first / np.where(weight > 0, weight, 1.0)
    return weight, centre + shift, np.maximum(second - first * shift, 0.0)


def add_into(total: Mapping[str, dict], part: Mapping[str, dict], group: int) -> None:
    """Add one prompt's sums to arrays head × group × …, in place."""
    for field in ("sums", "counts", "by_n"):
        for name, values in part[field].items():
            total[field][name][:, group] += values
    for name, spread in part["spreads"].items():
        kept = total["spreads"][name]
        for whole, values in zip(kept, pooled(tuple(x[:, group] for x in kept), spread), strict=True):
            whole[:, group] = values


def empty_like(part: Mapping[str, dict]) -> dict[str, dict]:
    """Zeros head × group × … for sums such as `part`."""

    def zeros(values: np.ndarray) -> np.ndarray:
        return np.zeros((len(values), GROUPS, *values.shape[1:]))

    found = {field: {name: zeros(x) for name, x in part[field].items()} for field in ("sums", "counts", "by_n")}
    spreads = {name: tuple(map(zeros, spread)) for name, spread in part["spreads"].items()}
    return found | {"spreads": spreads}


def of_head(total: Mapping[str, dict], head: int) -> dict[str, dict]:
    """One head's part of such arrays."""
    found = {field: {name: x[head] for name, x in total[field].items()} for field in ("sums", "counts", "by_n")}
    return found | {"spreads": {name: tuple(x[head] for x in spread) for name, spread in total["spreads"].items()}}
