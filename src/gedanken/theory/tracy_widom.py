"""The Tracy–Widom law for real symmetric ensembles (β = 1), and the scaling that brings λ₁ of noise to it.

F₁(s) = det(1 − V_s) with the kernel V(x, y) = ½ Ai((x + y)/2) on L²(s, ∞) [@ferrari2005determinantal, eq. 2]. The determinant
of the kernel at Gauss–Legendre nodes converges exponentially [@bornemann2010numerical, §6]. The first use builds Chebyshev
interpolants of F₁ below its median and of ln(1 − F₁) above; they are what is evaluated.
"""

import math
from functools import cache, lru_cache

import numpy as np
from jaxtyping import Float
from numpy.polynomial import Chebyshev, legendre
from scipy.optimize import brentq
from scipy.special import airy

LOWEST, SPLIT, HIGHEST = -10.0, -1.5, 18.0
"""Where the interpolants live: F₁(−10) ≈ 1e-20, and 1 − F₁(18) ≈ 1e-24; the split is near the median."""

NODES = 40
"""Gauss–Legendre nodes: more change F₁ by less than 1e-14 anywhere on [−10, 18]."""


def log_cdf_by_determinant(s: float, nodes: int = NODES) -> float:
    """ln F₁(s) from the Fredholm determinant. Small values keep their relative accuracy: it is Σ ln(1 − eigenvalue)."""
    # Beyond 16 the kernel has fallen below 1e-19 of its value at max(s, 0).
    length = 16.0 + 2 * max(0.0, -s)
    x, weight = legendre.leggauss(nodes)
    x, root = (x + 1) * length / 2, np.sqrt(weight * length / 2)
    kernel = 0.5 * airy(s + (x[:, None] + x) / 2)[0] * root[:, None] * root
    return float(np.sum(np.log1p(-np.linalg.eigvalsh(kernel))))


@cache
def _interpolants() -> tuple[Chebyshev, Chebyshev]:
    """F₁ on [LOWEST, SPLIT] and ln(1 − F₁) on [SPLIT, HIGHEST], to absolute errors below 1e-10."""

    def lower(points):
        return np.array([math.exp(log_cdf_by_determinant(s)) for s in points])

    def upper(points):
        return np.array([math.log(-math.expm1(log_cdf_by_determinant(s))) for s in points])

    return (
        Chebyshev.interpolate(lower, 36, domain=[LOWEST, SPLIT]),
        Chebyshev.interpolate(upper, 28, domain=[SPLIT, HIGHEST]),
    )


def log_sf(s: float) -> float:
    """ln(1 − F₁(s)). Beyond HIGHEST the leading term exp(−⅔ s^{3/2})/(4√π s^{3/4}), made continuous there."""
    upper = _interpolants()[1]
    if s >= HIGHEST:
        return float(upper(HIGHEST)) + _log_leading(s) - _log_leading(HIGHEST)
    if s >= SPLIT:
        return float(upper(s))
    return math.log1p(-cdf(s))


def _log_leading(s: float) -> float:
    """ln of ½∫ₛ^∞ Ai, to leading order: the trace of the kernel."""
    return -2 / 3 * s**1.5 - math.log(4 * math.sqrt(math.pi)) - 0.75 * math.log(s)


def sf(s: float) -> float:
    """1 − F₁(s), relative error below 1e-6 for s ≤ 18 and about 1 % of ever smaller values beyond."""
    return math.exp(log_sf(s))


def cdf(s: float) -> float:
    """F₁(s), absolute error below 1e-9; 0 below −10, where it is under 1e-20."""
    if s < LOWEST:
        return 0.0
    if s < SPLIT:
        return max(0.0, float(_interpolants()[0](s)))
    return -math.expm1(log_sf(s))


@lru_cache(maxsize=256)
def quantile(p: float) -> float:
    """s with F₁(s) = p. Raises ValueError unless 1e-15 ≤ p ≤ 1 − 1e-15."""
    if not 1e-15 <= p <= 1 - 1e-15:
        raise ValueError(f"p must lie between 1e-15 and 1 − 1e-15, got {p}")
    return brentq(lambda s: cdf(s) - p, LOWEST, HIGHEST, xtol=1e-12)


def edge_statistic(largest: float, rows: int, cols: int, variance: float) -> float:
    """(λ₁/s² − m)/w of a rows × cols noise matrix of entry variance s², which follows F₁ for large sizes.

    m = (√(n−1) + √d)², w = (√(n−1) + √d)(1/√(n−1) + 1/√d)^{1/3} with n = max(rows, cols), d = min(rows, cols)
    [@johnstone2001distribution, eqs. 1.2–1.3]. Raises ValueError if n < 2.
    """
    centre, width = centring(rows, cols)
    return (largest / variance - centre) / width


def centring(rows: int, cols: int) -> tuple[float, float]:
    """Johnstone's m and w (see `edge_statistic`)."""
    n, d = max(rows, cols), min(rows, cols)
    if n < 2:
        raise ValueError("the edge of a 1 × 1 matrix has no scaling")
    a, b = math.sqrt(n - 1), math.sqrt(d)
    return (a + b) ** 2, (a + b) * (1 / a + 1 / b) ** (1 / 3)


TAKEN_OUT = 0.999
"""An eigenvalue beyond this point of the law is no noise when its variance is estimated. Noise is then bent only at
p < 0.001, and the variance it leaves is unbiased to 1e-4 (at 60 × 60, 6e-4)."""

ROUNDS = 50
"""Most rounds of the fit; trained matrices take up to ten."""


def fit_noise(eigenvalues: Float[np.ndarray, " k"], rows: int, cols: int) -> tuple[float, int]:
    """Entry variance of the noise under a few strong directions, and their number k.

    The mean square that is left when the k largest of the eigenvalues (of WᵀW, descending) are taken out, which leaves
    noise of (rows − k)(cols − k) entries; k is the least number that agrees with the law of the rest, after the
    sequential test of [@kritchman2009nonparametric]. Its relative error, √(2/(rows·cols)), is under half that of the
    median of the bulk, whose scatter would make the edge test reject noise two to three times too often.
    Raises ValueError if nothing is left or the eigenvalues vanish.
    """
    rest = np.cumsum(eigenvalues[::-1])[::-1]
    taken = 0
    for _ in range(ROUNDS):
        if min(rows, cols, len(rest)) <= taken or not rest[taken] > 0:
            raise ValueError("there is no noise below the largest eigenvalues")
        variance = float(rest[taken]) / ((rows - taken) * (cols - taken))
        if max(rows, cols) - taken < 2:
            break
        centre, width = centring(rows - taken, cols - taken)
        above = int(np.count_nonzero(eigenvalues > variance * (centre + quantile(TAKEN_OUT) * width)))
        if above <= taken:
            break
        taken = above
    return variance, taken
