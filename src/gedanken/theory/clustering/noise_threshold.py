"""Noise against clustering: the strength above which the uniform state is stable.

With noise √(2/κ)dW on the sphere, D = 1/κ and the growth rate of degree ℓ is λ_ℓ − Dℓ(ℓ+d−2), so mode ℓ grows iff

    D < a_ℓ/β  (unnormalised)      D < a_ℓ/(β a_0)  (softmax)

[@rigollet2025meanfield]. a_ℓ falls with ℓ: as D is lowered, degree 1 always goes first, whatever k_max is.
"""

import numpy as np
from jaxtyping import Float
from scipy import optimize

from gedanken.theory.clustering.mode_growth import log_growth_rates
from gedanken.theory.gegenbauer import bessel_ratios


def noise_thresholds(beta: float, d: int, most: int, softmax: bool = True) -> Float[np.ndarray, " degrees"]:
    """D below which degree ℓ = 1 … most grows. Unnormalised ones beyond the range of a float are infinite."""
    degrees = np.arange(1, most + 1)
    with np.errstate(over="ignore"):
        return np.exp(log_growth_rates(beta, d, most, softmax) - np.log(degrees * (degrees + d - 2.0)))


def tricritical_beta(d: int) -> float:
    """β* up to which the onset is continuous, and above which it is not: I_{d/2+1}(β*)/I_{d/2}(β*) = 1/d [@mun2026phase].

    Bracketed as the switch points of mode_growth, by [@amos1974computation].
    """
    if d < 2:
        raise ValueError(f"a sphere needs d ≥ 2, got {d}")
    low, high = (2 * a / d / (1 - 1 / d**2) for a in (d / 2 + 0.5, d / 2 + 1))
    return float(
        optimize.brentq(lambda beta: bessel_ratios(d / 2, beta, 1)[0] - 1 / d, low / (1 + 1e-9), high * (1 + 1e-9))
    )
