"""Dipoles in a field: keys as unit vectors that a query turns, and what independent orientations would do.

A row is one dipole that chooses among n orientations; no term couples keys to each other.
"""

import numpy as np
from jaxtyping import Float
from scipy import special


def alignment(x: Float[np.ndarray, " *k"], dimension: int) -> Float[np.ndarray, " *k"]:
    """A_d(x) = I_{d/2}(x)/I_{d/2−1}(x): mean cosine of free dipoles at x = |q||k|/T [@mardia2000directional, eq. 9.3.9].

    In three dimensions Langevin's coth x − 1/x. By the continued fraction A = x/(d + x·A_{d+2}), which neither
    overflows nor cancels.
    """
    x = np.asarray(x, dtype=np.float64)
    # A_{d+2k} ≈ x/(d + 2k) once d + 2k ≫ x, and each step back shrinks the error by A².
    depth = 60 + int(np.max(np.abs(x), initial=0.0))
    ratio = np.zeros_like(x)
    for k in range(depth, -1, -1):
        ratio = x / (dimension + 2 * k + x * ratio)
    return ratio


def free_heat_capacity(x: Float[np.ndarray, " *k"], dimension: int) -> Float[np.ndarray, " *k"]:
    """C = x²A'(x), A' = 1 − A² − (d − 1)A/x, in nat²; → (d − 1)/2 as x → ∞: a plateau, no peak."""
    x = np.asarray(x, dtype=np.float64)
    mean = alignment(x, dimension)
    return x**2 * (1 - mean**2) - (dimension - 1) * x * mean


def isotropic_cosines(
    shape: tuple[int, ...], dimension: int, rng: np.random.Generator
) -> Float[np.ndarray, " *shape"]:
    """Cosines between a fixed direction and directions drawn uniformly in `dimension` dimensions."""
    if dimension == 1:
        return rng.choice([-1.0, 1.0], size=shape)
    along = rng.standard_normal(shape)
    return along / np.sqrt(along**2 + rng.chisquare(dimension - 1, shape))


def twin_alignment(
    field: Float[np.ndarray, " *row"],
    lengths: Float[np.ndarray, "*row n"],
    dimension: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, " *row"]:
    """Σ p_j |k_j| cos_j / Σ p_j |k_j| of one isotropic twin of each row: its key lengths, directions redrawn.

    field: |q|/T. lengths: |k_j|, 0 for keys that the row does not see. A row without length has alignment 0.
    """
    cosines = isotropic_cosines(lengths.shape, dimension, rng)
    logits = np.where(lengths > 0, field[..., None] * lengths * cosines, -np.inf)
    logits[..., 0] = np.where(np.any(lengths > 0, axis=-1), logits[..., 0], 0.0)
    weights = special.softmax(logits, axis=-1) * lengths
    total = np.sum(weights, axis=-1)
    return np.sum(weights * cosines, axis=-1) / np.where(total > 0, total, 1.0)
