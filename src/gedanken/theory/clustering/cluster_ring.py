"""m equal clusters evenly spaced on the circle: an equilibrium, how fast they leave it, and how high its energy is.

With W″(θ) = (β sin²θ − cos θ) e^{β cos θ}, a Fourier pattern j of displacements of the m centres grows at the rate

    r_j = (1/m) Σ_{l=1}^{m−1} W″(2πl/m) (1 − cos(2πjl/m))        unnormalised attention
    r_j / (Z/m),  Z = Σ_l e^{β cos(2πl/m)}                         softmax

(linearisation of the velocities of [@rigollet2025meanfield] at the ring). Points of one cluster approach each other at
e^β/m. Neighbours of the ring of k_max clusters stand 2π/√(2β) apart, so its barrier does not grow with β: the escape
rate in softmax time tends to 4(2π²−1)e^{−π²}, and its lifetime stays of order 1/r.
"""

import math

import numpy as np
from jaxtyping import Float

LIMIT_ESCAPE_RATE = 4 * (2 * math.pi**2 - 1) * math.exp(-(math.pi**2))
"""Softmax, β = m²/2 → ∞: 0.003877."""


def log_scaled_partition(beta: float, count: int) -> float:
    """ln(Z e^{−β}) ≥ 0 of one centre: Z = Σ_l e^{β cos(2πl/m)}."""
    return float(np.log(np.sum(np.exp(beta * (_cosines(count) - 1)))))


def scaled_ring_rates(beta: float, count: int) -> Float[np.ndarray, " patterns"]:
    """e^{−β} r_j for j = 0 … m−1, unnormalised attention; j = 0 is the rotation, of rate 0."""
    gaps = 2 * np.pi * np.arange(count) / count
    stiffness = (beta * np.sin(gaps) ** 2 - np.cos(gaps)) * np.exp(beta * (np.cos(gaps) - 1))
    patterns = np.arange(count)
    return (1 - np.cos(np.outer(patterns, gaps)))[:, 1:] @ stiffness[1:] / count


def escape_rate(beta: float, count: int, softmax: bool = True) -> float:
    """r = max_j r_j: how fast the ring of `count` clusters is left. Beyond the range of a float: inf."""
    scaled = float(scaled_ring_rates(beta, count).max())
    if softmax:
        return scaled * count / math.exp(log_scaled_partition(beta, count))
    return scaled * float(np.exp(beta)) if beta < 709 else math.inf


def cohesion_rate(beta: float, count: int, softmax: bool = True) -> float:
    """e^β/m: how fast points within one of the clusters approach each other; softmax divides by Z/m."""
    if softmax:
        return math.exp(-log_scaled_partition(beta, count))
    return math.exp(beta) / count if beta < 709 else math.inf


def first_merge_time(beta: float, count: int, jitter: float, softmax: bool = True) -> float:
    """t = ln(1/(a β sin(2π/m)))/r: the first merge after a jitter whose fastest pattern has amplitude a, in rad.

    Holds within ±2/r for 5 ≤ β ≤ 20 and a ≤ 1e−3 [ours]: logarithmic in a, hence in the precision of a computation.
    """
    if not 0 < jitter * beta * math.sin(2 * math.pi / count) < 1:
        raise ValueError(f"the merge time holds for a small jitter of three clusters or more, got {jitter} of {count}")
    return math.log(1 / (jitter * beta * math.sin(2 * math.pi / count))) / escape_rate(beta, count, softmax)


def plateau_energy(masses: Float[np.ndarray, " clusters"]) -> float:
    """2βe^{−β}E → Σα_j² for clusters of these masses far apart, β → ∞ [@geshkovski2024dynamic]."""
    shares = np.asarray(masses, dtype=float) / np.sum(masses)
    return float(np.sum(shares**2))


def ring_energy(beta: float, count: int) -> float:
    """2βe^{−β}E of the ring: (1/m) Σ_l e^{β(cos(2πl/m) − 1)}; 1 for one cluster."""
    return math.exp(log_scaled_partition(beta, count)) / count


def _cosines(count: int) -> Float[np.ndarray, " count"]:
    if count < 1:
        raise ValueError(f"a ring has at least one cluster, not {count}")
    return np.cos(2 * np.pi * np.arange(count) / count)
