"""Power-law tails: maximum likelihood with a Kolmogorov–Smirnov choice of where the tail starts.

The density is (a − 1)/s · (x/s)^(−a) for x ≥ s > 0 [@clauset2009power, eq. 2.2]. All candidates for s are fitted at once
from cumulative sums of logarithms; their distances are taken in blocks of candidates, so memory stays bounded.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import erfcx, ndtr

BLOCK = 1 << 14
"""Differences formed at a time: 128 kB, which stays in a core's cache (at r = 768, twice as many take 1.8 × as long)."""

FINENESS, PROMISING = 16, 8
"""The search for the start looks first at some FINENESS differences a factor e of ranks, then at the PROMISING best in
full. They decide its speed and nothing else: about the best for 300 to 3000 values."""

LEAST_SPREAD = 1e-12
"""Mean of ln(x/s) below which a tail counts as one repeated value: rounding of a decomposition reaches 1e-14."""


@dataclass(frozen=True, slots=True)
class PowerLawFit:
    """Exponent a of the density and its standard error, start s of the tail, number of values in it, KS distance."""

    exponent: float
    stderr: float
    start: float
    count: int
    ks_distance: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Mean log-likelihood of the power law minus that of a rival, per observation, and Vuong's two-sided p."""

    ratio: float
    p: float


def fit(values: Float[np.ndarray, " n"], minimum_count: int = 10) -> PowerLawFit:
    """The power-law tail of positive values in ascending order, with at least `minimum_count` values in the tail.

    For each start s among the values, a = 1 + n/Σ ln(x/s) [@clauset2009power, eq. 3.1]; the start is the one of least
    KS distance [§3.3], where the empirical distribution counts the values below x, as its authors' programs and those
    that follow them do (the two-sided supremum is larger by at most 1/n). stderr = (a − 1)/√n [eq. 3.2].
    Raises ValueError with fewer than `minimum_count` values or if all candidate tails are one repeated value.
    """
    if len(values) < max(minimum_count, 2):
        raise ValueError(f"a power-law tail needs {max(minimum_count, 2)} values, got {len(values)}")
    logs = np.log(values)
    last = len(values) - minimum_count + 1
    counts = np.arange(len(values), len(values) - last, -1)
    spreads = np.cumsum(logs[::-1])[::-1][:last] / counts - logs[:last]
    # A repeated value starts a tail only at its first occurrence: the tail is every value from it on.
    allowed = spreads > LEAST_SPREAD
    allowed[1:] &= logs[1:last] > logs[: last - 1]
    starts = np.flatnonzero(allowed)
    if not len(starts):
        raise ValueError("all values are equal: they have no tail")
    slopes = 1.0 / spreads[starts]
    best, distance = _closest(logs, starts, slopes)
    start, slope, count = int(starts[best]), float(slopes[best]), int(counts[starts[best]])
    return PowerLawFit(1 + slope, slope / math.sqrt(count), float(values[start]), count, distance)


def _closest(logs: Float[np.ndarray, " n"], starts: np.ndarray, slopes: Float[np.ndarray, " c"]) -> tuple[int, float]:
    """The candidate of least KS distance (the first of equals), and that distance.

    Exact: the differences at a few values bound each distance from below; candidates whose bound lies above the
    distance of the most promising ones are out, and only the rest is looked at in full.
    """
    everything = np.arange(len(logs))
    bounds = _ks_distances(logs, starts, slopes, _thinned(len(logs)))
    promising = np.sort(np.argsort(bounds)[:PROMISING])
    least = _ks_distances(logs, starts[promising], slopes[promising], everything).min()
    # The margin covers an exp that rounds differently in another position of an array.
    left = np.flatnonzero(bounds <= least * (1 + 1e-12))
    distances = _ks_distances(logs, starts[left], slopes[left], everything)
    best = int(np.argmin(distances))
    return int(left[best]), float(distances[best])


@lru_cache(maxsize=64)
def _thinned(n: int) -> np.ndarray:
    """Indices below n, ascending: all of the last, then ever sparser, in proportion to how far they lie from the end."""
    from_end = [0]
    while from_end[-1] < n - 1:
        from_end.append(min(n - 1, from_end[-1] + 1 + from_end[-1] // FINENESS))
    return n - 1 - np.array(from_end[::-1])


def _ks_distances(
    logs: Float[np.ndarray, " n"], starts: np.ndarray, slopes: Float[np.ndarray, " c"], at: np.ndarray
) -> Float[np.ndarray, " c"]:
    """max of |F(x) − (share of the tail below x)| for each candidate start s, F = 1 − (x/s)^(−slope).

    x runs over the values numbered `at` (ascending, the last value among them) that belong to the tail.
    """
    n = len(logs)
    distances = np.empty(len(starts))
    done = 0
    while done < len(starts):
        columns = at[np.searchsorted(at, starts[done]) :]
        block = slice(done, done + max(1, BLOCK // len(columns)))
        rows, slope = starts[block, None], slopes[block, None]
        # Values before a row's own start do not belong to its tail: with x = s and a share of 0 they differ by 0.
        gap = np.maximum(logs[columns] - logs[rows], 0.0)
        gap *= -slope
        np.exp(gap, out=gap)
        # 1 − F − (1 − share below); the share below x_j is (j − i)/(n − i).
        gap += np.maximum(columns - rows, 0) / (n - rows)
        gap -= 1.0
        distances[block] = np.maximum(gap.max(axis=1), -gap.min(axis=1))
        done = block.stop
    return distances


def hill(values: Float[np.ndarray, " n"], count: int) -> tuple[float, float]:
    """Hill's exponent a = 1 + k/Σ ln(x_i/x_(k+1)) of the k largest of positive ascending values, and (a − 1)/√k.

    [@hill1975simple, eq. 2.2]. Raises ValueError unless 1 ≤ k < n and the k + 1 largest values differ.
    """
    if not 1 <= count < len(values):
        raise ValueError(f"Hill's estimator needs 1 ≤ k < n, got k = {count} of {len(values)}")
    spread = float(np.mean(np.log(values[-count:]))) - math.log(values[-count - 1])
    if spread <= LEAST_SPREAD:
        raise ValueError("all values are equal: they have no tail")
    return 1 + 1 / spread, 1 / spread / math.sqrt(count)


def against_exponential(tail: Float[np.ndarray, " n"], start: float, exponent: float) -> Comparison:
    """Power law against the shifted exponential law of the same start, fitted by maximum likelihood."""
    excess = tail - start
    rate = 1 / float(np.mean(excess))
    return _vuong(_log_density(tail, start, exponent) - (math.log(rate) - rate * excess))


def against_lognormal(tail: Float[np.ndarray, " n"], start: float, exponent: float) -> Comparison:
    """Power law against the log-normal law truncated to x ≥ start, fitted by maximum likelihood.

    In y = ln(x/start) the rival is a normal law truncated to y ≥ 0. Its likelihood has a maximum only if the
    coefficient of variation of y is below 1; otherwise the supremum is the exponential law of y, which is the power law
    itself [@castillo1994singly, §3], and the ratio is 0 with p = 1. The ratio is never positive: the rival
    contains the power law as a limit.
    """
    y = np.log(tail / start)
    mean, square = float(np.mean(y)), float(np.mean(y**2))
    depth = _truncation_depth(square / mean**2)
    if depth is None:
        return Comparison(0.0, 1.0)
    hazard = _hazard(depth)
    sigma = mean / (hazard - depth)
    # ln of φ(depth + y/σ)/(σ·(1 − Φ(depth)))/x; hazard = φ/(1 − Φ) carries the normalisation.
    rival = math.log(hazard / sigma) - depth * y / sigma - 0.5 * (y / sigma) ** 2 - y - math.log(start)
    return _vuong(_log_density(tail, start, exponent) - rival)


DEEPEST, SHALLOWEST = 100.0, -30.0
"""Range searched for the truncation point (start − μ)/σ. Beyond 100 the law differs from the power law by less than
1e-7 nat per value; below −30 the truncation removes less than 1e-190."""


def _truncation_depth(moment_ratio: float) -> float | None:
    """ξ with E y²/(E y)² = (1 − ξ(h − ξ))/(h − ξ)², h the normal hazard at ξ; None if the ratio asks for ξ → ∞."""

    def difference(depth: float) -> float:
        excess = _hazard(depth) - depth
        return (1 - depth * excess) / excess**2 - moment_ratio

    if difference(DEEPEST) <= 0:
        return None
    if difference(SHALLOWEST) >= 0:
        return SHALLOWEST
    return brentq(difference, SHALLOWEST, DEEPEST, xtol=1e-10)


def _hazard(x: float) -> float:
    """φ(x)/(1 − Φ(x)) of the standard normal law."""
    if x < -35:
        return 0.0
    return math.sqrt(2 / math.pi) / float(erfcx(x / math.sqrt(2)))


def _log_density(tail: Float[np.ndarray, " n"], start: float, exponent: float) -> Float[np.ndarray, " n"]:
    return math.log((exponent - 1) / start) - exponent * np.log(tail / start)


def _vuong(differences: Float[np.ndarray, " n"]) -> Comparison:
    """Mean of the pointwise log-likelihood differences and its two-sided normal p [@vuong1989likelihood, eq. 5.6]."""
    mean, sd = float(np.mean(differences)), float(np.std(differences))
    if sd == 0:
        return Comparison(mean, 1.0)
    return Comparison(mean, 2 * float(ndtr(-abs(mean) / sd * math.sqrt(len(differences)))))


def sample(exponent: float, start: float, count: int, rng: np.random.Generator) -> Float[np.ndarray, " count"]:
    """Independent draws from the power law, by inversion [@clauset2009power, eq. D.4]."""
    return start * (1 - rng.random(count)) ** (-1 / (exponent - 1))


def bootstrap_p(
    values: Float[np.ndarray, " n"], found: PowerLawFit, draws: int, rng: np.random.Generator, minimum_count: int = 10
) -> float:
    """Goodness of fit: the share of synthetic samples that fit their own best power law worse than the data fit theirs.

    Each sample of n values takes the body from the data and the tail from the fitted law, in the proportion
    count/n, and the start of its tail is searched anew [@clauset2009power, §4.1]. p = (1 + #worse)/(draws + 1)
    [@phipson2010permutation, eq. 2].
    """
    n = len(values)
    body = values[: n - found.count]
    worse = 0
    for _ in range(draws):
        in_tail = int(rng.binomial(n, found.count / n))
        tail = sample(found.exponent, found.start, in_tail, rng)
        synthetic = np.concatenate([rng.choice(body, n - in_tail), tail]) if len(body) else tail
        worse += fit(np.sort(synthetic), minimum_count).ks_distance >= found.ks_distance
    return (1 + worse) / (draws + 1)
