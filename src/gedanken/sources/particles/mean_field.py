"""Mean field on the circle by quantiles: N tokens of equal mass at the midpoint quantiles of a density.

Moved by a Flow, they solve ∂_t μ + ∂_θ(μ v) = 0 in Lagrangian form: no diffusion, mass exact, and a density that sharpens
into points is no difficulty. For a smooth density the error falls faster than any power of N.
"""

import numpy as np
from jaxtyping import Complex, Float

from gedanken.status import Failure


def midpoint_quantiles(modes: Complex[np.ndarray, " k"], count: int) -> Float[np.ndarray, " n"]:
    """Angles at the quantiles (i + ½)/N of the density (1 + 2 Re Σ_{k≥1} μ̂_k e^{ikθ})/2π on [0, 2π).

    modes: μ̂_1, μ̂_2 … with μ̂_k = ∫ e^{−ikθ} dμ. Raises Failure if the density is negative somewhere.
    """
    modes = np.atleast_1d(np.asarray(modes, complex))
    k = np.arange(1, len(modes) + 1)[:, None]
    grid = np.linspace(0, 2 * np.pi, max(64 * len(modes), count) + 1)
    if (_density(modes, k, grid) < 0).any():
        raise Failure("The density is negative somewhere: its modes are too large.")
    level = (np.arange(count) + 0.5) / count
    angles = np.interp(level, _cumulative(modes, k, grid), grid)
    low, high = np.zeros(count), np.full(count, 2 * np.pi)
    for _ in range(60):
        excess = _cumulative(modes, k, angles) - level
        low, high = np.where(excess < 0, angles, low), np.where(excess > 0, angles, high)
        newton = angles - 2 * np.pi * excess / np.maximum(_density(modes, k, angles), 1e-300)
        inside = (newton >= low) & (newton <= high)
        moved = np.where(inside, newton, (low + high) / 2)
        if np.abs(moved - angles).max() < 4e-15:  # a few roundings of 2π
            break
        angles = moved
    return angles


def modes_of(
    angles: Float[np.ndarray, " n"], largest: int, masses: Float[np.ndarray, " n"] | None = None
) -> Complex[np.ndarray, " k"]:
    """μ̂_k = Σ_j m_j e^{−ikθ_j} for k = 1 … largest."""
    masses = np.full(len(angles), 1 / len(angles)) if masses is None else masses
    return np.array([np.exp(-1j * k * angles) @ masses for k in range(1, largest + 1)])


def _density(modes: np.ndarray, k: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """2π times the density."""
    return 1 + 2 * (modes @ np.exp(1j * k * angles)).real


def _cumulative(modes: np.ndarray, k: np.ndarray, angles: np.ndarray) -> np.ndarray:
    return (angles + 2 * ((modes / (1j * k[:, 0])) @ (np.exp(1j * k * angles) - 1)).real) / (2 * np.pi)
