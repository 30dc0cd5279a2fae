"""Row blocks of a matrix in float64, shared by the instruments of this folder: no whole copy is ever made."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from gedanken.kinds import Factors
from gedanken.status import Flag, Refusal

ENTRIES = 1 << 20
"""Entries at a time (8 MB): a few such blocks stay in cache."""


def row_blocks(matrix: np.ndarray | Factors) -> Iterator[Float[np.ndarray, "rows in"]]:
    """Consecutive row blocks; a product of factors is formed block by block."""
    rows, cols = matrix.shape
    step = max(1, ENTRIES // max(cols, 1))
    for start in range(0, rows, step):
        if isinstance(matrix, Factors):
            yield np.asarray(matrix.left[start : start + step], np.float64) @ np.asarray(matrix.right, np.float64)
        else:
            yield np.asarray(matrix[start : start + step], np.float64)


def range_and_mean(matrix: np.ndarray | Factors) -> tuple[float, float, float]:
    """The smallest, the largest and the mean entry. Raises Refusal: `empty`, `non_finite`, `zero_matrix`."""
    if 0 in matrix.shape:
        raise Refusal(Flag.empty)
    lowest, highest, mean = np.inf, -np.inf, 0.0
    for block in row_blocks(matrix):
        low, high = float(block.min()), float(block.max())
        if not (np.isfinite(low) and np.isfinite(high)):  # both are NaN if an entry is
            raise Refusal(Flag.non_finite)
        lowest, highest = min(lowest, low), max(highest, high)
        mean += float(block.mean()) * (len(block) / matrix.shape[0])
    if lowest == highest == 0:
        raise Refusal(Flag.zero_matrix)
    return lowest, highest, mean
