"""Participation ratio (tr Σ)²/tr Σ² of a covariance, from finitely many rows, without bias in either trace.

The plug-in value has 1/PR too large by about 1/n [@chun2025estimating], so that it never exceeds n.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Number = float | Float[np.ndarray, " k"]


class Traces(NamedTuple):
    """Estimates of (tr Σ)² and tr Σ²; numbers, or arrays of them."""

    squared_trace: Number
    trace_of_square: Number


def unknown_mean(n: Number, trace: Number, trace_of_square: Number, fourth: Number) -> Traces:
    """Unbiased for any law with four moments [@himeno2014estimations, eq. 2.2]; n ≥ 4 rows.

    `trace` = tr S and `trace_of_square` = tr S² of the sample covariance (divisor n − 1), `fourth` = Σ‖x − x̄‖⁴/(n − 1).
    """
    scale = (n - 1) / (n * (n - 2) * (n - 3))
    square = (n - 1) * (n - 2) * trace_of_square + trace**2 - n * fourth
    squared = 2 * trace_of_square + (n**2 - 3 * n + 1) * trace**2 - n * fourth
    return Traces(scale * squared, scale * square)


def zero_mean(norms: Number, own_norms: Number, second: Number, own_second: Number) -> Traces:
    """Of rows known to have mean zero, from pairs of rows in different clusters only; a common factor is left out.

    `norms` = (Σ‖x‖²)² and `second` = ‖Σxxᵀ‖_F² over all rows, `own_…` the sum of the same over the rows of each cluster.
    With clusters of one row these are the U-statistics Σ_{i≠j}‖x_i‖²‖x_j‖² and Σ_{i≠j}(x_i·x_j)².
    """
    return Traces(norms - own_norms, second - own_second)
