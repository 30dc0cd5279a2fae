"""Resampling: permutation p-values, permutations of layers, bootstrap intervals. One rule for all: p = (1 + b)/(1 + B)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

DRAWS = 9_999
"""Permutations unless all can be listed: p then resolves 0.0001."""
BOOTSTRAPS = 2_000
"""Resamples behind a 95 % interval: its ends are then the 50th values from either side."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval. `defined`: the share of resamples in which it exists (1 but for events)."""

    value: float
    low: float
    high: float
    defined: float = 1.0


def permutation_p(observed: float, null: Float[np.ndarray, " draws"], *, complete: bool = False) -> float:
    """One-sided p: how often the null is at least `observed`. (1 + b)/(1 + B) [@phipson2010permutation, eq. 2].

    complete: the null lists every permutation, the observed one among them; then p = b/B.
    """
    # A null value equal to the observed one but for rounding counts as at least as large.
    reached = int(np.count_nonzero(null >= observed - 1e-12 * max(1.0, abs(observed))))
    return reached / len(null) if complete else (1 + reached) / (1 + len(null))


def orders(count: int, rng: np.random.Generator, draws: int = DRAWS) -> tuple[Int[np.ndarray, "draws count"], bool]:
    """Orders of `count` things: all of them (then True) if there are no more than `draws`, else random ones."""
    if math.factorial(count) <= draws:
        return np.array(list(permutations(range(count)))), True
    return rng.permuted(np.tile(np.arange(count), (draws, 1)), axis=1), False


def bootstrap(
    replicates: Float[np.ndarray, "replicate ..."],
    statistic: Callable[[np.ndarray], float],
    rng: np.random.Generator,
    draws: int = BOOTSTRAPS,
) -> Estimate:
    """A statistic of the mean over replicates (seeds, or matrices of one layer), with its percentile interval.

    One replicate, or a statistic that no resample has, gives NaN ends. Percentiles of few replicates are too narrow
    (three seeds cover about 75 %): `t_interval` of the replicates' own values is the honest one there.
    """
    value = statistic(replicates.mean(axis=0))
    if len(replicates) < 2:
        return Estimate(value, math.nan, math.nan)
    chosen = rng.integers(len(replicates), size=(draws, len(replicates)))
    # Few replicates have few different resamples: each is evaluated once.
    unique, counts = np.unique(np.sort(chosen, axis=1), axis=0, return_counts=True)
    found = np.array([statistic(replicates[rows].mean(axis=0)) for rows in unique])
    found, counts = found[np.isfinite(found)], counts[np.isfinite(found)]
    if len(found) == 0:
        return Estimate(value, math.nan, math.nan, 0.0)
    low, high = np.quantile(np.repeat(found, counts), [0.025, 0.975])
    return Estimate(value, float(low), float(high), float(counts.sum() / draws))


def t_interval(values: Float[np.ndarray, " n"]) -> Estimate:
    """Mean of independent values with its 95 % interval by Student's t; NaN ends below two finite values."""
    finite = values[np.isfinite(values)]
    n = len(finite)
    if n < 2:
        return Estimate(float(finite.mean()) if n else math.nan, math.nan, math.nan, n / max(len(values), 1))
    half = stats.t.ppf(0.975, n - 1) * finite.std(ddof=1) / math.sqrt(n)
    mean = float(finite.mean())
    return Estimate(mean, mean - half, mean + half, n / len(values))
