"""Intervals of 95 % for proportions, for statistics of exchangeable runs, and for slopes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

RESAMPLES = 10_000
"""Of a bootstrap: the ends of the interval are then known to 1 % of its width."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval and the number of exchangeable things (runs, seeds) behind it."""

    value: float
    low: float
    high: float
    n: int


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


def slope(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Estimate:
    """Least-squares slope of y on x with its t interval; three points at least, not all at one x."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(x) < 3 or np.ptp(x) == 0:
        raise ValueError(f"a slope with an interval needs three points at different x, got {len(x)}")
    fit = stats.linregress(x, y)
    half = float(stats.t.ppf(0.975, len(x) - 2) * fit.stderr)
    return Estimate(float(fit.slope), float(fit.slope) - half, float(fit.slope) + half, len(x))
