"""The largest overlap of a set of directions: over every pair of a given set, and the smallest there can be."""

import math

import numpy as np
from jaxtyping import Float

ROWS, ACROSS = 1024, 4096
"""A block of the Gram matrix: 32 MB in float64."""


def largest_overlap(unit: Float[np.ndarray, "k d"]) -> float:
    """max |u_i·u_j| over the pairs of unit rows, in float64: the mutual coherence [@welch1974lower].

    Raises ValueError for fewer than two rows.
    """
    if len(unit) < 2:
        raise ValueError("one vector has no pair")
    largest = 0.0
    for start in range(0, len(unit), ROWS):
        rows = unit[start : start + ROWS].astype(np.float64)
        for across in range(start, len(unit), ACROSS):
            product = rows @ unit[across : across + ACROSS].astype(np.float64).T
            if across < start + len(rows):
                np.fill_diagonal(product[max(across - start, 0) :, max(start - across, 0) :], 0.0)
            largest = max(largest, float(product.max()), -float(product.min()))
    return largest


def least_overlap(k: int, d: int) -> float | None:
    """The smallest possible largest |cos| of k vectors in d dimensions, where it is a closed form; None elsewhere.

    0 for k ≤ d (an orthonormal set), 1/d for k = d + 1 (a simplex), cos(π/k) for lines in the plane, 1 on a line:
    optimal Grassmannian frames [@strohmer2003grassmannian, §2].
    """
    if k <= d:
        return 0.0
    if d == 1:
        return 1.0
    if k == d + 1:
        return 1 / d
    return math.cos(math.pi / k) if d == 2 else None
