"""Intervals of 95 %: of proportions, means, slopes, and of statistics of exchangeable runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

RESAMPLES = 10_000
"""Of a bootstrap: the ends of the interval are then known to 1 % of its width."""
BOOTSTRAPS = 2_000
"""The same where the statistic is dear: the ends are then the 50th values from either side."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval and the number of exchangeable things (runs, seeds) behind it, where counted.

    defined: the share of resamples in which it exists (1 but for events).
    """

    value: float
    low: float
    high: float
    n: int = 0
    defined: float = 1.0

    def __format__(self, spec: str) -> str:
        """The value and, in parentheses, its interval where there is one; `spec` is that of each number."""
        said = format(self.value, spec)
        ends = f" ({format(self.low, spec)} to {format(self.high, spec)})"
        return said + (ends if math.isfinite(self.low) and math.isfinite(self.high) else "")


def wilson(successes: int, n: int) -> Estimate:
    """A proportion with Wilson's interval [@wilson1927probable]. Raises ValueError for n = 0."""
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"a proportion needs 0 ≤ successes ≤ n and n > 0, got {successes} of {n}")
    found = stats.binomtest(successes, n).proportion_ci(method="wilson")
    return Estimate(successes / n, float(found.low), float(found.high), n)


def bootstrap(
    strata: list[np.ndarray],
    statistic: Callable[[list[np.ndarray]], float],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Estimate:
    """A statistic of several groups of runs with its percentile interval: runs are resampled within each group.

    Each array of `strata` has one row per run. Raises ValueError for an empty group.
    """
    if not strata or min(map(len, strata)) == 0:
        raise ValueError("a bootstrap needs at least one run in every group")
    draws = [statistic([group[rng.integers(0, len(group), len(group))] for group in strata]) for _ in range(resamples)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(statistic(strata)), float(low), float(high), sum(map(len, strata)))


def bootstrap_mean(
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
        return Estimate(value, math.nan, math.nan, len(replicates))
    chosen = rng.integers(len(replicates), size=(draws, len(replicates)))
    # Few replicates have few different resamples: each is evaluated once.
    unique, counts = np.unique(np.sort(chosen, axis=1), axis=0, return_counts=True)
    found = np.array([statistic(replicates[rows].mean(axis=0)) for rows in unique])
    found, counts = found[np.isfinite(found)], counts[np.isfinite(found)]
    if len(found) == 0:
        return Estimate(value, math.nan, math.nan, len(replicates), defined=0.0)
    low, high = np.quantile(np.repeat(found, counts), [0.025, 0.975])
    return Estimate(value, float(low), float(high), len(replicates), defined=float(counts.sum() / draws))


def t_interval(values: Float[np.ndarray, " n"]) -> Estimate:
    """Mean of independent values with its 95 % interval by Student's t; NaN ends below two finite values."""
    finite = values[np.isfinite(values)]
    n = len(finite)
    if n < 2:
        return Estimate(float(finite.mean()) if n else math.nan, math.nan, math.nan, n, n / max(len(values), 1))
    half = stats.t.ppf(0.975, n - 1) * finite.std(ddof=1) / math.sqrt(n)
    mean = float(finite.mean())
    return Estimate(mean, mean - half, mean + half, n, n / len(values))


def slope(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Estimate:
    """Least-squares slope of y on x with its t interval; three points at least, not all at one x."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(x) < 3 or np.ptp(x) == 0:
        raise ValueError(f"a slope with an interval needs three points at different x, got {len(x)}")
    fit = stats.linregress(x, y)
    half = float(stats.t.ppf(0.975, len(x) - 2) * fit.stderr)
    return Estimate(float(fit.slope), float(fit.slope) - half, float(fit.slope) + half, len(x))
