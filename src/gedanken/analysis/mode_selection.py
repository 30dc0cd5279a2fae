"""Which mode wins, how fast it grows and when: measured growth rates, cluster counts and clocks against the theory.

The inputs are arrays over time or one value per run: amplitudes |μ̂_k| (square roots of mode_power), counts
(cluster_count), times. Predictions come from theory/clustering.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float, Int
from scipy import stats

from gedanken.analysis.intervals import Estimate, bootstrap, slope, wilson
from gedanken.theory.clustering.mode_growth import SATURATION, dominant_mode
from gedanken.theory.gegenbauer import log_harmonic_dimension

QUIET = 1e-4
"""Largest amplitude of a quiet start that still counts as linear: what it adds to its own rate is of order |μ̂|² = 1e−8."""


@dataclass(frozen=True, slots=True)
class GrowthRate:
    """A rate with its interval, and the window (first and last index) that it was fitted in."""

    value: float
    low: float
    high: float
    first: int
    last: int

    def relative_error(self, predicted: float) -> float:
        """(measured − predicted)/|predicted|."""
        return (self.value - predicted) / abs(predicted)


def growth_rate(
    time: Float[np.ndarray, " t"],
    amplitude: Float[np.ndarray, " t"],
    ceiling: float = QUIET,
    others: Float[np.ndarray, " t"] | None = None,
) -> GrowthRate:
    """λ: the slope of ln |μ̂_k| on time.

    Window, by rule: from the first state to the last one before the amplitude (or the largest of `others`) first exceeds
    `ceiling`. Interval: that of least squares, widened to hold the slopes of both halves of the window, so that a
    drift of the rate shows in it although each run is deterministic. From random data, where modes start at N^{−1/2},
    a higher ceiling is needed and λ is good to about that ceiling.
    Raises ValueError if the window has fewer than six states, or an amplitude in it is zero.
    """
    largest = amplitude if others is None else np.maximum(amplitude, others)
    beyond = np.flatnonzero(largest > ceiling)
    stop = int(beyond[0]) if len(beyond) else len(time)
    if stop < 6:
        raise ValueError(f"only {stop} states lie below the ceiling {ceiling:g}: too few for a growth rate")
    if not np.all(amplitude[:stop] > 0):
        raise ValueError("an amplitude of zero has no growth rate")
    at, logs = time[:stop], np.log(amplitude[:stop])
    whole, half = slope(at, logs), stop // 2
    parts = [slope(at[:half], logs[:half]).value, slope(at[half:], logs[half:]).value]
    return GrowthRate(whole.value, min(whole.low, *parts), max(whole.high, *parts), 0, stop - 1)


def saturation_time(
    time: Float[np.ndarray, " t"], amplitudes: Float[np.ndarray, "t k"], threshold: float = SATURATION
) -> float | None:
    """First time at which the largest amplitude reaches the threshold, log-linear between states; None if it never does."""
    largest = amplitudes.max(axis=1)
    reached = np.flatnonzero(largest >= threshold)
    if not len(reached):
        return None
    index = int(reached[0])
    if index == 0:
        return float(time[0])
    before, after = np.log(largest[index - 1 : index + 1])
    return float(time[index - 1] + (time[index] - time[index - 1]) * (math.log(threshold) - before) / (after - before))


def leading_degree(power: Float[np.ndarray, " degrees"], d: int, per_component: bool = False) -> int:
    """The degree ℓ ≥ 1 with most power, from mode_power at ℓ = 1, 2 …; the total dim_ℓ P_ℓ of a degree, or one component's."""
    degrees = np.arange(1, len(power) + 1)
    sizes = np.array([0.0 if per_component else log_harmonic_dimension(int(degree), d) for degree in degrees])
    with np.errstate(divide="ignore"):
        return int(degrees[np.argmax(np.log(power) + sizes)])


def logarithmic_law(
    counts: Float[np.ndarray, " run"], times: Float[np.ndarray, " run"], rate: float, rng: np.random.Generator
) -> Estimate:
    """2λ × the slope of the saturation time on ln N, which the simplest clock ln N/(2λ) puts at 1.

    Bootstrap over runs within each N. Slower modes keep it above 1 at any N in use: compare with
    theory.clustering.mode_growth.expected_linear_time. Raises ValueError for fewer than two values of N.
    """
    sizes = np.unique(counts)
    if len(sizes) < 2:
        raise ValueError("a law in ln N needs runs at two values of N or more")
    groups = [np.stack([np.log(counts[counts == n]), times[counts == n]], axis=1) for n in sizes]

    def statistic(strata: list[np.ndarray]) -> float:
        rows = np.concatenate(strata)
        x = rows[:, 0] - rows[:, 0].mean()
        return 2 * rate * float(x @ rows[:, 1] / (x @ x))

    return bootstrap(groups, statistic, rng)


@dataclass(frozen=True, slots=True)
class Clock:
    """Measured times against predicted ones: slope, correlation, and whether each N alone shows it.

    `within`: N → (correlation, the 99 % point of correlations with the prediction permuted among the runs of that N).
    """

    slope: Estimate
    correlation: float
    within: dict[float, tuple[float, float]]

    @property
    def beats_permutation(self) -> bool:
        return all(found > null for found, null in self.within.values())


def clock(
    predicted: Float[np.ndarray, " run"],
    measured: Float[np.ndarray, " run"],
    counts: Float[np.ndarray, " run"],
    rng: np.random.Generator,
    permutations: int = 1000,
) -> Clock:
    """The regression of saturation times on t*, with the permutation of t* within each N as its null."""
    within = {}
    for size in np.unique(counts):
        x, y = predicted[counts == size], measured[counts == size]
        null = [np.corrcoef(rng.permutation(x), y)[0, 1] for _ in range(permutations)]
        within[float(size)] = float(np.corrcoef(x, y)[0, 1]), float(np.quantile(null, 0.99))
    return Clock(slope(predicted, measured), float(np.corrcoef(predicted, measured)[0, 1]), within)


def count_probability(counts: Int[np.ndarray, " run"] | Iterable[int], expected: int) -> Estimate:
    """The share of runs with exactly `expected` clusters, with Wilson's interval."""
    counts = np.asarray(list(counts))
    return wilson(int(np.count_nonzero(counts == expected)), len(counts))


def count_map(runs: pl.DataFrame) -> pl.DataFrame:
    """P(count = k_max) by β and N, from one row per run with columns `inverse_temperature`, `n`, `cluster_count`.

    A column `d` is used where there is one (2 otherwise). Adds `k_max`, `probability`, `low`, `high`, `runs`, and
    `counts`: "2:42 3:213" in words of the table. Rows without a count are left out.
    """
    runs = runs.drop_nulls("cluster_count")
    runs = runs if "d" in runs.columns else runs.with_columns(d=pl.lit(2))
    rows = []
    for (d, beta, n), cell in runs.group_by("d", "inverse_temperature", "n"):
        counts = cell["cluster_count"].cast(pl.Int64).to_numpy()
        mode = dominant_mode(float(beta), int(d))
        found = count_probability(counts, mode)
        values, times = np.unique(counts, return_counts=True)
        rows.append(
            {
                "d": d, "inverse_temperature": beta, "n": n, "k_max": mode, "probability": found.value,
                "low": found.low, "high": found.high, "runs": found.n,
                "counts": " ".join(f"{value}:{many}" for value, many in zip(values, times, strict=True)),
            }
        )  # fmt: skip
    return pl.DataFrame(rows).sort("d", "inverse_temperature", "n") if rows else pl.DataFrame()


def agrees_with(counts: Iterable[int], published: dict[int, int], rng: np.random.Generator) -> float:
    """p of Fisher's exact test that two samples of counts have one distribution; `published` maps count → runs.

    Exact for two different counts; for more, the runs are permuted among the samples, 1,999 times: p = 0.01 is then known
    to 0.002.
    """
    values, times = np.unique(np.asarray(list(counts)), return_counts=True)
    ours = dict(zip(values.tolist(), times.tolist(), strict=True))
    both = sorted(set(ours) | set(published))
    table = np.array([[ours.get(k, 0) for k in both], [published.get(k, 0) for k in both]])
    if table.shape[1] == 1:
        return 1.0
    if table.shape[1] == 2:
        return float(stats.fisher_exact(table).pvalue)
    return float(stats.fisher_exact(table, method=stats.PermutationMethod(n_resamples=1999, rng=rng)).pvalue)
