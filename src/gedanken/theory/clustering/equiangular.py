"""n tokens that all have one cosine ρ with each other: attention reduces to a scalar equation.

    ρ̇ = 2(1−ρ)((n−1)ρ+1) e^{βρ} / (e^β + (n−1)e^{βρ})     softmax
    ρ̇ = (2/n)(1−ρ)((n−1)ρ+1) e^{βρ}                          unnormalised

exact for an orthonormal start (ρ = 0) in d ≥ n, and close for random starts in high dimension
[@geshkovski2023mathematical, §6; @rigollet2025meanfield].
"""

import math

import numpy as np
from jaxtyping import Float
from scipy import integrate


def speed(cosine: float, n: int, beta: float, softmax: bool = True) -> float:
    """ρ̇. Raises OverflowError for unnormalised attention at β ρ > 709."""
    shape = 2 * (1 - cosine) * ((n - 1) * cosine + 1)
    if softmax:
        return shape / (math.exp(beta * (1 - cosine)) + n - 1)
    return shape * math.exp(beta * cosine) / n


def cosine_at(
    times: Float[np.ndarray, " times"], n: int, beta: float, softmax: bool = True, start: float = 0.0
) -> Float[np.ndarray, " times"]:
    """ρ at ascending times ≥ 0, from `start` ∈ [−1/(n−1), 1]; relative error about 1e−9."""
    times = np.asarray(times, dtype=float)
    solved = integrate.solve_ivp(
        lambda _, rho: [speed(rho[0], n, beta, softmax)],
        (0.0, float(times[-1])), [start], method="LSODA", t_eval=times, rtol=1e-10, atol=1e-12,
    )  # fmt: skip
    return solved.y[0]


def time_to(cosine: float, n: int, beta: float, softmax: bool = True, start: float = 0.0) -> float:
    """t(ρ) = ∫ dρ/ρ̇ from `start` to `cosine` < 1."""
    if not start < cosine < 1:
        raise ValueError(f"the cosine grows from {start} towards 1 and never reaches {cosine}")
    return integrate.quad(lambda rho: 1 / speed(rho, n, beta, softmax), start, cosine, limit=200, epsrel=1e-11)[0]


def one_layer_cosine(cosine: float, gamma: float) -> float:
    """The cosine after one softmax layer over n → ∞ tokens of pairwise cosine ρ, at β = γ ln n [@rigollet2025meanfield].

    1 (collapse) if γ < 1/(1−ρ), 4ρ/(1+3ρ) at equality, ρ above: then each token attends to itself alone.
    """
    edge = 1 / (1 - cosine)
    if math.isclose(gamma, edge, rel_tol=1e-12):
        return 4 * cosine / (1 + 3 * cosine)
    return 1.0 if gamma < edge else cosine
