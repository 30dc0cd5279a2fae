"""Power of a set of points by degree: how much structure it has at each angular scale.

    P_ℓ = (1/n²) Σ_ij G_ℓ(x_i·x_j) = (1/dim_ℓ) Σ_m |mean Y_ℓm|²,      Y_ℓm of unit mean square

by the addition theorem [@muller1966spherical]: |μ̂_ℓ|² on the circle, the power per component of a spherical harmonic on
S². 1 if all points coincide, 1/n on average for independent uniform points, for every ℓ ≥ 1.

Exact on the circle in O(n·most) and on S² in O(n·most²), without a pair; in other dimensions by blocks of pairs.
"""

import math

import numpy as np
from jaxtyping import Complex, Float

from gedanken.theory.gegenbauer import gegenbauer

BLOCK_ENTRIES = 1 << 19
"""Pairs at a time: 4 MB for each array of a degree."""


def harmonic_power(unit: Float[np.ndarray, "n d"], most: int) -> Float[np.ndarray, " degrees"]:
    """P_ℓ, ℓ = 0 … most, of unit rows; d ≥ 2. P_0 = 1."""
    match unit.shape[1]:
        case 2:
            modes = _means_of_powers(unit[:, 0] - 1j * unit[:, 1], most)
            return np.concatenate([[1.0], np.abs(modes) ** 2])
        case 3:
            return np.array([1.0, *(_sphere_power(means) for means in sphere_means(unit, most))])
    return pair_power(unit, most)


def pair_power(unit: Float[np.ndarray, "n d"], most: int) -> Float[np.ndarray, " degrees"]:
    """The same from all pairs, O(n²(d + most)) and a block of memory: for any d."""
    n, d = unit.shape
    step, total = max(1, BLOCK_ENTRIES // n), np.zeros(most + 1)
    for start in range(0, n, step):
        cosines = np.clip(unit[start : start + step] @ unit.T, -1.0, 1.0)
        total += gegenbauer(cosines, d, most).sum(axis=(1, 2))
    return np.maximum(total / n**2, 0.0)


def fourier_modes(angles: Float[np.ndarray, " n"], most: int) -> Complex[np.ndarray, " degrees"]:
    """μ̂_k = (1/n) Σ_j e^{−ikθ_j}, k = 1 … most, on the circle."""
    return _means_of_powers(np.exp(-1j * np.asarray(angles, dtype=float)), most)


def _means_of_powers(turn: Complex[np.ndarray, " n"], most: int) -> Complex[np.ndarray, " degrees"]:
    power, means = np.ones_like(turn), np.empty(most, complex)
    for k in range(most):
        power *= turn
        means[k] = power.mean()
    return means


def sphere_means(unit: Float[np.ndarray, "n 3"], most: int) -> list[list[complex]]:
    """Means of the harmonics of degree ℓ = 1 … most on S², for m = 0 … ℓ; unit mean square, |Y_ℓ,−m| = |Y_ℓm|.

    P̄_mm = √((2m+1)/2m) sin θ P̄_{m−1,m−1}, and along ℓ at fixed m the recurrence in cos θ, both for functions of unit
    mean square [@dlmf, §14.10 normalised; the standard forward-column scheme], which is stable.
    """
    height, across = unit[:, 2], unit[:, 0] + 1j * unit[:, 1]
    means = [[0j] * (degree + 1) for degree in range(most + 1)]
    sectoral = np.ones(len(unit), complex)  # P̄_mm e^{imφ}: sin θ e^{iφ} = x + iy
    for m in range(most + 1):
        if m:
            sectoral = math.sqrt((2 * m + 1) / (2 * m)) * across * sectoral
        before, now = np.zeros_like(sectoral), sectoral
        for degree in range(m, most + 1):
            means[degree][m] = complex(now.mean())
            gain, loss = _column(degree + 1, m), _column(degree, m) if degree > m else math.inf
            before, now = now, gain * (height * now - before / loss)
    return means[1:]


def _column(degree: int, m: int) -> float:
    """√((4ℓ²−1)/(ℓ²−m²)): the factor of cos θ P̄_{ℓ−1,m} in P̄_ℓm."""
    return math.sqrt((4 * degree**2 - 1) / (degree**2 - m**2))


def _sphere_power(means: list[complex]) -> float:
    """Σ_m |·|²/(2ℓ+1) over −ℓ ≤ m ≤ ℓ."""
    squares = [abs(mean) ** 2 for mean in means]
    return (squares[0] + 2 * math.fsum(squares[1:])) / (2 * len(means) - 1)
