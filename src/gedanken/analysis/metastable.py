"""How long metastable states last: survival with censoring, rates, and the growth of lifetimes with β.

A run that is still metastable when its record ends says only that its lifetime is longer: it is censored, not left out
and not counted as an end. Inputs: one time per run, and whether its end was `observed`.
"""

import math
from collections.abc import Mapping

import numpy as np
import polars as pl
from jaxtyping import Bool, Float
from scipy import stats

from gedanken.analysis.intervals import Estimate, bootstrap, slope


def survival(times: Float[np.ndarray, " run"], observed: Bool[np.ndarray, " run"]) -> pl.DataFrame:
    """S(t) = P(lifetime > t) by Kaplan and Meier [@kaplan1958nonparametric], one row per distinct observed end.

    Columns `time`, `at_risk`, `ends`, `survival`, `low`, `high` (95 %, log-log transform of Greenwood's variance).
    Raises ValueError for no run, or times that are negative or not finite.
    """
    times, observed = _checked(times, observed)
    if not observed.any():
        schema = {"time": pl.Float64, "at_risk": pl.Int64, "ends": pl.Int64, "survival": pl.Float64}
        return pl.DataFrame(schema=schema | {"low": pl.Float64, "high": pl.Float64})
    at, ends = np.unique(times[observed], return_counts=True)
    risk = np.array([np.count_nonzero(times >= t) for t in at])
    kept = np.cumprod(1 - ends / risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.cumsum(ends / (risk * (risk - ends)))) / np.log(kept)
        low, high = (kept ** np.exp(sign * 1.959963984540054 * spread) for sign in (-1, 1))
    # at S = 0 the transform has no value; there the interval is that of the step before, from 0
    gone = kept == 0
    low, high = np.where(gone, 0.0, low), np.where(gone, np.concatenate([[1.0], high[:-1]]), high)
    return pl.DataFrame({"time": at, "at_risk": risk, "ends": ends, "survival": kept, "low": low, "high": high})


def median_lifetime(times: Float[np.ndarray, " run"], observed: Bool[np.ndarray, " run"]) -> Estimate:
    """First t with S(t) ≤ ½, with the interval in which the band of S holds ½ [@brookmeyer1982confidence].

    inf where the curve, or its band, never falls to ½.
    """
    curve = survival(times, observed)

    def first(column: str) -> float:
        below = curve.filter(pl.col(column) <= 0.5)["time"]
        return float(below[0]) if len(below) else math.inf

    return Estimate(first("survival"), first("low"), first("high"), len(times))


def escape_rate(times: Float[np.ndarray, " run"], observed: Bool[np.ndarray, " run"]) -> Estimate:
    """Rate of an exponential lifetime: ends per total time under observation; interval from 2rΣt ~ χ².

    The χ² has twice the number of ends as degrees of freedom (two more at the upper end): exact if each run is watched
    until its end. 0 with an upper bound if no end was seen.
    """
    times, observed = _checked(times, observed)
    ends, total = int(observed.sum()), float(times.sum())
    if total == 0:
        raise ValueError("no time was spent under observation")
    low = stats.chi2.ppf(0.025, 2 * ends) / (2 * total) if ends else 0.0
    return Estimate(ends / total, float(low), float(stats.chi2.ppf(0.975, 2 * ends + 2) / (2 * total)), len(times))


def lifetime_exponent(
    lifetimes: Mapping[float, tuple[Float[np.ndarray, " run"], Bool[np.ndarray, " run"]]], rng: np.random.Generator,
    resamples: int = 2000,
) -> Estimate:  # fmt: skip
    """s: the slope of ln(median lifetime) on β, from β → (times, observed); bootstrap over the runs of each β.

    s > 0 by more than its interval is "exponentially long in β". Raises ValueError for fewer than three β, or where a
    median is not reached.
    """
    betas = np.array(sorted(lifetimes))
    if len(betas) < 3:
        raise ValueError("an exponent needs three values of β or more")
    groups = [np.stack([np.asarray(part, dtype=float) for part in lifetimes[beta]], axis=1) for beta in betas]

    def statistic(strata: list[np.ndarray]) -> float:
        medians = [median_lifetime(group[:, 0], group[:, 1] > 0).value for group in strata]
        if not np.all(np.isfinite(medians)):
            raise ValueError("at some β fewer than half of the runs ended: the median lifetime is not reached")
        return slope(betas, np.log(medians)).value

    return bootstrap(groups, statistic, rng, resamples)


def defect_slope(
    counts: Float[np.ndarray, " run"], defects: Float[np.ndarray, " run"]
) -> Estimate:  # fmt: skip
    """The slope of ln min_t A on ln N over runs, A the periodicity defect; predicted −(1 − λ_2nd/λ_max)."""
    return slope(np.log(counts), np.log(defects))


def plateau_share(energy: Float[np.ndarray, " t"], along: Float[np.ndarray, " t"], levels: list[float]) -> float:
    """The share of `along` (arc length, time) on which the energy lies within 1 % of one of the predicted levels."""
    energy, along = np.asarray(energy, dtype=float), np.asarray(along, dtype=float)
    near = np.any([np.abs(energy - level) <= 0.01 * level for level in levels], axis=0)
    lengths = np.diff(along)
    return float(np.sum(lengths * (near[1:] & near[:-1])) / np.sum(lengths))


def _checked(times, observed) -> tuple[np.ndarray, np.ndarray]:
    times, observed = np.asarray(times, dtype=float), np.asarray(observed, dtype=bool)
    if len(times) == 0 or len(times) != len(observed) or not np.all(np.isfinite(times) & (times >= 0)):
        raise ValueError("lifetimes are finite times ≥ 0, each with whether its end was observed, one run at least")
    return times, observed
