"""Depth scaling: how the depth gradient of a profile grows with the number of layers, and what a null would give.

ln Δ is fitted on ln L. Rivals, all in ln Δ and compared by AICc: power, a + b ln L, a + b L, constant, and A·d_L with
d_L the expected range of L independent standard normals: layer values without any depth structure already give
Δ_range an exponent near 0.26 over 8 … 36 layers (spectral-lifecycle, §3.8).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import integrate, optimize, stats

from gedanken.analysis.depth_profile import delta_range, delta_smooth
from gedanken.analysis.intervals import Estimate

FEWEST = 3
"""Depths that an exponent with an interval needs."""


@dataclass(frozen=True)
class Exponent:
    """Δ ∝ L^value with its 95 % t-interval, R², two-sided p, and the range of leave-one-depth-out exponents."""

    exponent: Estimate
    r_squared: float
    p: float
    left_out: tuple[float, float]
    depths: int


def exponent(depths: Float[np.ndarray, " n"], deltas: Float[np.ndarray, " n"]) -> Exponent:
    """Least squares of ln Δ on ln L. Raises ValueError with fewer than three depths, or a Δ that is not positive."""
    if len(depths) < FEWEST or len(np.unique(depths)) < FEWEST:
        raise ValueError(f"an exponent with its interval needs {FEWEST} depths, not {len(np.unique(depths))}")
    if np.min(deltas) <= 0:
        raise ValueError("the logarithm of a depth gradient needs it to be positive")
    x, y = np.log(depths), np.log(deltas)
    fit = stats.linregress(x, y)
    half = stats.t.ppf(0.975, len(x) - 2) * fit.stderr
    others = [np.delete(np.arange(len(x)), i) for i in range(len(x))]
    slopes = [float(np.polyfit(x[i], y[i], 1)[0]) for i in others]
    value = Estimate(float(fit.slope), float(fit.slope - half), float(fit.slope + half))
    return Exponent(value, float(fit.rvalue**2), float(fit.pvalue), (min(slopes), max(slopes)), len(x))


@lru_cache(maxsize=512)
def expected_range(count: int) -> float:
    """d_L: expected range of `count` independent standard normals, ∫ 1 − Φ^n − (1 − Φ)^n [@tippett1925]."""

    def beyond(x: float) -> float:
        return 1.0 - stats.norm.cdf(x) ** count - stats.norm.sf(x) ** count

    return 2 * float(integrate.quad(beyond, 0.0, 12.0, limit=200)[0])


def null_exponents(
    depths: Float[np.ndarray, " n"], rng: np.random.Generator, draws: int = 2_000
) -> tuple[float, float]:
    """Exponents of Δ_range (exactly, from d_L) and of Δ_smooth (mean of `draws`) of layers without depth structure."""
    x = np.log(depths)
    ranges = np.log([expected_range(int(depth)) for depth in depths])
    smooth = np.log([delta_smooth(rng.standard_normal((draws, int(depth)))).mean() for depth in depths])
    return float(np.polyfit(x, ranges, 1)[0]), float(np.polyfit(x, smooth, 1)[0])


def range_null(
    depths: Float[np.ndarray, " n"], spread: Float[np.ndarray, " n"], rng: np.random.Generator, draws: int = 2_000
) -> Float[np.ndarray, " draws"]:
    """Exponents of Δ_range of ladders whose layers are independent normals of a depth's own spread."""
    x = np.log(depths)
    x = x - x.mean()
    drawn = [s * delta_range(rng.standard_normal((draws, int(d)))) for d, s in zip(depths, spread, strict=True)]
    return np.log(np.stack(drawn, axis=1)) @ x / (x @ x)


@dataclass(frozen=True)
class Rival:
    """One law of Δ(L): its AICc, parameters and R² in ln Δ."""

    name: str
    aicc: float
    parameters: tuple[float, ...]
    r_squared: float


def rivals(depths: Float[np.ndarray, " n"], deltas: Float[np.ndarray, " n"]) -> list[Rival]:
    """The laws by AICc, best first. AICc is infinite where there are too few depths for a law's parameters."""
    y = np.log(deltas)
    logs, mean = np.log(depths), float(deltas.mean())
    ranges = np.log([expected_range(int(depth)) for depth in depths])
    tried = {
        "constant": (lambda p: np.full_like(y, p[0]), [y.mean()]),
        "range null": (lambda p: p[0] + ranges, [float(np.mean(y - ranges))]),
        "power": (lambda p: p[0] + p[1] * logs, np.polyfit(logs, y, 1)[::-1]),
        "logarithmic": (_positive(lambda p: p[0] + p[1] * logs), np.polyfit(logs, deltas, 1)[::-1]),
        "linear": (_positive(lambda p: p[0] + p[1] * depths), np.polyfit(depths, deltas, 1)[::-1]),
    }
    found = []
    for name, (law, start) in tried.items():
        fit = optimize.least_squares(lambda p, law=law: law(p) - y, np.asarray(start, float), x_scale=max(mean, 1e-12))
        residual = 2 * fit.cost
        total = float(np.sum((y - y.mean()) ** 2))
        share = 1 - residual / total if total > 0 else math.nan
        found.append(Rival(name, aicc(residual, len(y), len(start) + 1), tuple(map(float, fit.x)), share))
    return sorted(found, key=lambda rival: rival.aicc)


def aicc(residual: float, n: float, parameters: int) -> float:
    """n ln(RSS/n) + 2k + 2k(k + 1)/(n − k − 1) [@burnham2002, § 2.4]; infinite where n ≤ k + 1."""
    if n <= parameters + 1:
        return math.inf
    fit = n * math.log(max(residual, np.finfo(float).tiny) / n)
    return fit + 2 * parameters + 2 * parameters * (parameters + 1) / (n - parameters - 1)


def _positive(law: Callable) -> Callable:
    """ln of a law, held above zero so that a search may pass where it would be negative."""
    return lambda p: np.log(np.maximum(law(p), np.finfo(float).tiny))
