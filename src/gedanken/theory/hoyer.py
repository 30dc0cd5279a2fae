"""Hoyer sparsity of vectors in its form Ω = 1 − ‖h‖₁/(√d ‖h‖₂): its law for random directions, and closed forms.

Ω ∈ [0, 1 − 1/√d]: 0 if and only if all |h_i| are equal, its maximum for one non-zero coordinate. Hoyer's sparsity
[@hoyer2004nonnegative, §3.1] is Ω/(1 − 1/√d). It is a statement about the axes: a Haar rotation gives every vector the
law of a random direction.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln

GAUSSIAN_LIMIT = 1 - math.sqrt(2 / math.pi)
"""Ω of a random direction in many dimensions, 0.20212: 1 − E|x|/√E x² of a normal x."""

UNIT_VARIANCE = 1 - 3 / math.pi
"""d·Var Ω of a random direction in many dimensions, 0.04507."""


def omega(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    """Ω of every row; none may be zero."""
    return omega_of(np.abs(rows).sum(axis=1), np.einsum("ij,ij->i", rows, rows), rows.shape[1])


def omega_of(length: Float[np.ndarray, " n"], square: Float[np.ndarray, " n"], d: int) -> Float[np.ndarray, " n"]:
    """Ω from ‖h‖₁ and ‖h‖₂² of vectors of d coordinates."""
    # Rounding may put a row of equal coordinates below 0 by an ulp.
    return np.maximum(1 - length / np.sqrt(d * square), 0.0)


def largest(d: int) -> float:
    """1 − 1/√d, the Ω of a coordinate axis, by which Ω is divided to give Hoyer's sparsity. Raises ValueError if d < 2."""
    if d < 2:
        raise ValueError(f"sparsity needs two coordinates, got {d}")
    return 1 - 1 / math.sqrt(d)


def random_mean(d: int) -> float:
    """Ω₀(d) = 1 − √d Γ(d/2)/(√π Γ((d+1)/2)), the exact mean for a uniform direction: E|u₁| of a coordinate, d times.

    Raises ValueError if d < 2.
    """
    largest(d)
    return 1 - math.exp(0.5 * math.log(d / math.pi) + gammaln(d / 2) - gammaln((d + 1) / 2))


def random_variance(d: int) -> float:
    """[1 + (d−1)·2/π]/d − (1 − Ω₀)², the exact variance: E u₁² = 1/d and E|u₁u₂| = 2/(πd). Raises ValueError if d < 2.

    Beyond d = 10⁴ the difference loses digits, and the leading term is exact to 1/d.
    """
    if d > 10_000:
        return UNIT_VARIANCE / d
    return (1 + (d - 1) * 2 / math.pi) / d - (1 - random_mean(d)) ** 2


def massive(share: Float[np.ndarray, " n"], ratio: Float[np.ndarray, " n"], d: int) -> Float[np.ndarray, " n"]:
    """Ω of a vector with a few massive coordinates among Gaussian ones: 1 − √(2/π)√(1−f) − Σ_top|h_i|/(√d‖h‖₂).

    `share` f: of ‖h‖² in the top coordinates. `ratio`: Σ_top|h_i|/‖h‖₂, which is √(kf) if the k are equal.
    """
    return 1 - math.sqrt(2 / math.pi) * np.sqrt(1 - share) - ratio / math.sqrt(d)
