"""The attention kernel e^{β⟨x,y⟩} on the sphere S^{d−1}, degree by degree: Gegenbauer polynomials and their coefficients.

    e^{β c} = Σ_ℓ dim_ℓ a_ℓ G_ℓ(c),        G_ℓ = the Gegenbauer polynomial of S^{d−1} with G_ℓ(1) = 1
    a_ℓ(β, d) = Γ(d/2) (2/β)^{d/2−1} I_{ℓ+d/2−1}(β)

G_ℓ is cos ℓθ for d = 2 and the Legendre polynomial for d = 3. By Funk–Hecke, convolution with the kernel multiplies
every harmonic of degree ℓ by a_ℓ [@dlmf, eq. 10.23.9 at an imaginary
argument; @muller1966spherical].

Nothing here overflows or underflows where its logarithm is asked for: a_0 is a series of positive terms in log space, or
the scaled Bessel function, and the others follow from the ratios R_ν = I_{ν+1}/I_ν of a continued fraction.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy import special

SMALLEST_SCALED = 1e-280
"""Below this, the scaled Bessel function nears the end of double precision and the series is used instead."""


def bessel_ratios(order: float, argument: float, count: int) -> Float[np.ndarray, " count"]:
    """R_ν = I_{ν+1}(x)/I_ν(x) for ν = order, order + 1, …; x ≥ 0, order ≥ 0.

    Backward recurrence R_ν = x/(2(ν+1) + x R_{ν+1}) [@dlmf, eq. 10.29.1], which multiplies an error by R_ν² at each
    step. It starts √(37x) + 10 orders above the last one asked for, so that Π R² < 1e−16 there even where R ≈ e^{−ν/x}.
    """
    if not (argument >= 0 and order >= 0):
        raise ValueError(f"Bessel ratios need order ≥ 0 and argument ≥ 0, got {order} and {argument}")
    top = count + int(math.sqrt(37 * argument)) + 10
    start = order + top + 1
    ratio = argument / (start + math.hypot(start, argument))
    found = np.empty(top)
    for step in range(top - 1, -1, -1):
        ratio = argument / (2 * (order + step + 1) + argument * ratio)
        found[step] = ratio
    return found[:count]


def log_mean_kernel(beta: float, d: int) -> float:
    """ln a_0: the logarithm of the mean of e^{β⟨x,y⟩} over y uniform on S^{d−1}. d ≥ 2, any real β (even in β)."""
    beta, order = abs(_checked(beta, d)), d / 2 - 1
    if beta == 0:
        return 0.0
    scaled = float(special.ive(order, beta))
    if scaled > SMALLEST_SCALED:
        return math.lgamma(d / 2) + order * math.log(2 / beta) + math.log(scaled) + beta
    # a_0 = Σ_k (β²/4)^k / (k! (d/2)_k) [@dlmf, eq. 10.25.2]; the terms peak before k = β/2 and then fall faster than e^{−k}.
    k = np.arange(1, int(2 * beta) + 60)
    logs = np.cumsum(2 * math.log(beta / 2) - np.log(k) - np.log(k + order))
    return float(special.logsumexp(np.concatenate([[0.0], logs])))


def log_coefficients(beta: float, d: int, most: int) -> Float[np.ndarray, " degrees"]:
    """ln a_ℓ for ℓ = 0 … most; β > 0, d ≥ 2."""
    if not _checked(beta, d) > 0:
        raise ValueError(f"the coefficients of degree 1 and more vanish at β = 0, got β = {beta}")
    ratios = bessel_ratios(d / 2 - 1, beta, max(most, 1))[:most]
    return log_mean_kernel(beta, d) + np.concatenate([[0.0], np.cumsum(np.log(ratios))])


def log_harmonic_dimension(degree: int, d: int) -> float:
    """ln dim_ℓ: how many independent harmonics of degree ℓ there are on S^{d−1} [@muller1966spherical].

    dim_ℓ = (2ℓ+d−2)(ℓ+d−3)!/(ℓ!(d−2)!); 1 for ℓ = 0, 2 for d = 2, 2ℓ+1 for d = 3.
    """
    if degree == 0:
        return 0.0
    if d == 2:
        return math.log(2)
    return math.log(2 * degree + d - 2) + math.lgamma(degree + d - 2) - math.lgamma(degree + 1) - math.lgamma(d - 1)


def gegenbauer(cosines: Float[np.ndarray, "..."], d: int, most: int) -> Float[np.ndarray, "degrees ..."]:
    """G_ℓ(c), ℓ = 0 … most, of S^{d−1} with G_ℓ(1) = 1.

    (ℓ+d−2) G_{ℓ+1} = (2ℓ+d−2) c G_ℓ − ℓ G_{ℓ−1} [@dlmf, §18.9], normalised; it holds for d = 2 (Chebyshev) too.
    """
    values = np.empty((most + 1, *np.shape(cosines)))
    values[0] = 1.0
    if most:
        values[1] = cosines
    for degree in range(1, most):
        values[degree + 1] = ((2 * degree + d - 2) * cosines * values[degree] - degree * values[degree - 1]) / (
            degree + d - 2
        )
    return values


def _checked(beta: float, d: int) -> float:
    if not math.isfinite(beta) or d < 2:
        raise ValueError(f"the kernel needs a finite β and d ≥ 2, got β = {beta} and d = {d}")
    return beta
