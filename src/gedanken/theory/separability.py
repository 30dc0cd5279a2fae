"""What separated classes force upon a covariance: bounds that hold for every mixture, and the one that does not follow.

K classes with weights π_k, means μ_k, a pooled within-class covariance W and B = Σπ_k(μ_k − μ̄)(μ_k − μ̄)ᵀ between them:
C = B + W. All of it is elementary linear algebra [@horn2012matrix, §4.3]. The converse fails: one massive direction is
low-rank and separates nothing; XOR classes have B = 0.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr


def between(weights: Float[np.ndarray, " k"], means: Float[np.ndarray, "k d"]) -> Float[np.ndarray, "d d"]:
    """B."""
    offset = means - weights @ means
    return (weights[:, None] * offset).T @ offset


def trace_from_distances(weights: Float[np.ndarray, " k"], means: Float[np.ndarray, "k d"]) -> float:
    """tr B = ½Σπ_iπ_j‖μ_i − μ_j‖² (T1)."""
    square = np.sum((means[:, None] - means[None]) ** 2, axis=2)
    return float(weights @ square @ weights) / 2


def least_trace(weights: Float[np.ndarray, " k"], distance: float) -> float:
    """½Δ²(1 − Σπ_k²): the least tr B if all means are at least `distance` apart (T1)."""
    return distance**2 * (1 - float(weights @ weights)) / 2


def gap_is_forced(b: Float[np.ndarray, "d d"], w: Float[np.ndarray, "d d"], classes: int) -> bool:
    """Whether C must have a gap after rank K − 1: λ_{K−1}(B) > ‖W‖₂ − λ_min(W), by Weyl's inequalities (T2)."""
    values = np.linalg.eigvalsh(w)
    return bool(np.linalg.eigvalsh(b)[1 - classes] > values[-1] - values[0])


@dataclass(frozen=True)
class DimensionBounds:
    """Largest participation ratio, and largest energy rank (infinite where p < (K − 1)/d) (T3)."""

    participation_ratio: float
    energy_rank: float


def dimension_bounds(b: Float[np.ndarray, "d d"], w: Float[np.ndarray, "d d"], classes: int) -> DimensionBounds:
    """PR ≤ (K−1)(1 + 1/s)² with s = tr B/tr W; energy rank ≤ exp(h₂(p) + p ln(K−1) + (1−p) ln(d−K+1)), p = s/(1+s)."""
    d, rank = len(b), classes - 1
    s = float(np.trace(b) / np.trace(w))
    p = s / (1 + s)
    bound = math.inf
    if p >= rank / d and rank < d:
        entropy = -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)
        bound = math.exp(entropy + p * math.log(rank) + (1 - p) * math.log(d - rank))
    return DimensionBounds(rank * (1 + 1 / s) ** 2, bound)


def margin_spike(first_weight: float, margin: float) -> float:
    """λ₁(C) ≥ 4π₀π₁m² for two classes at margin m on either side of a plane (T4)."""
    return 4 * first_weight * (1 - first_weight) * margin**2


@dataclass(frozen=True)
class Spike:
    """Spike in units of the noise, whether n rows show it, and the Bayes error (T5)."""

    strength: float
    visible: bool
    error: float


def two_class_spike(distance: float, noise: float, d: int, n: int) -> Spike:
    """Two balanced classes in noise σ²I: spike Δ²/(4σ²), visible iff Δ/σ > 2(d/n)^{1/4}, error Φ(−Δ/2σ).

    The threshold is that of spikes in white noise [@baik2005phase, theorem 1.1].

    Classes can be separable and invisible.
    """
    ratio = distance / noise
    return Spike(ratio**2 / 4, ratio > 2 * (d / n) ** 0.25, float(ndtr(-ratio / 2)))


def alignment(b: Float[np.ndarray, "d d"], c: Float[np.ndarray, "d d"], rank: int) -> float:
    """Share of tr B in the top `rank` eigenvectors of C; rank/d for unrelated ones (T6)."""
    vectors = np.linalg.eigh(c)[1][:, -rank:]
    return float(np.einsum("ik,ij,jk->", vectors, b, vectors) / np.trace(b))


def random_mixture(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and within-class covariance of some mixture of 2 to 6 classes in 7 to 30 dimensions."""
    k, d = int(rng.integers(2, 7)), int(rng.integers(7, 31))
    half = rng.standard_normal((d, d + 2)) * rng.gamma(1.0, 1.0, d)[:, None]
    return rng.dirichlet(np.ones(k)), rng.gamma(1.0, 3.0) * rng.standard_normal((k, d)), half @ half.T / d


def worst_violation(weights: np.ndarray, means: np.ndarray, w: Float[np.ndarray, "d d"]) -> float:
    """By how much T1 to T3 fail, relative to what they bound: rounding at most, or the code is wrong."""
    k, b = len(weights), between(weights, means)
    lowest = min(float(np.linalg.norm(means[i] - means[j])) for i in range(k) for j in range(i))
    trace = float(np.trace(b))
    of_c, of_b, of_w = (np.linalg.eigvalsh(m)[::-1] for m in (b + w, b, w))
    p = of_c / of_c.sum()
    ratio, rank = 1 / float(p @ p), math.exp(-float(p @ np.log(np.maximum(p, np.finfo(float).tiny))))
    bounds = dimension_bounds(b, w, k)
    return max(
        abs(trace_from_distances(weights, means) - trace) / trace,
        (least_trace(weights, lowest) - trace) / trace,
        float(np.max(of_b[: k - 1] + of_w[-1] - of_c[: k - 1])) / of_c[0],
        float(of_c[k - 1] - of_w[0]) / of_c[0],
        ratio / bounds.participation_ratio - 1,
        rank / bounds.energy_rank - 1,
    )
