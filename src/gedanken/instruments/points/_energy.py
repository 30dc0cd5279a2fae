"""2βe^{−β}E of unit rows: the mean of e^{β(x_i·x_j − 1)} over all ordered pairs, and its error."""

import math

import numpy as np
from jaxtyping import Float

from gedanken.theory.gegenbauer import log_coefficients, log_harmonic_dimension
from gedanken.theory.harmonic_power import harmonic_power

BLOCK_ENTRIES = 1 << 19
"""Pairs at a time: 4 MB."""
PROBES, PARTNERS = 256, 1 << 16
"""Rows behind the error, and partners of each, where not all pairs are formed: the error is then good to 4 %."""
EXACT_DIMENSIONS = (2, 3)
"""Where all points can be read without a pair, by their harmonics."""


def normalised_energy(unit: Float[np.ndarray, "n d"], beta: float, most: int) -> tuple[float, float]:
    """(1/n²) Σ_ij e^{β(x_i·x_j − 1)} over the rows, and its standard error for another draw of such rows; n ≥ 2.

    From all pairs by blocks, or, for more than `most` rows in 2 or 3 dimensions, as Σ_ℓ dim_ℓ a_ℓ e^{−β} P_ℓ. The error
    is sd(2h_i)/√n with h_i the mean over row i's other rows: for uniform points, √2 too large.
    """
    n, d = unit.shape
    if n <= most or d not in EXACT_DIMENSIONS:
        rows = _row_sums(unit, unit, beta)
        mean = float(rows.sum()) / n**2
    else:
        mean = _by_degrees(unit, beta)
        probes, partners = (unit[np.arange(count) * n // count] for count in (min(n, PROBES), min(n, PARTNERS)))
        rows = _row_sums(probes, partners, beta) * (n / len(partners))
    return mean, 2 * float(np.std(rows, ddof=1)) / (n - 1) / math.sqrt(n)


def _row_sums(rows: Float[np.ndarray, "m d"], others: Float[np.ndarray, "n d"], beta: float) -> Float[np.ndarray, " m"]:
    step = max(1, BLOCK_ENTRIES // len(others))
    sums = np.empty(len(rows))
    for start in range(0, len(rows), step):
        cosines = rows[start : start + step] @ others.T
        sums[start : start + step] = np.exp(beta * np.minimum(cosines - 1.0, 0.0)).sum(axis=1)
    return sums


def _by_degrees(unit: Float[np.ndarray, "n d"], beta: float) -> float:
    d, most = unit.shape[1], 6 + int(math.sqrt(74 * beta))  # a_ℓ < 1e−16 a_0 beyond
    dimensions = [log_harmonic_dimension(degree, d) for degree in range(most + 1)]
    return float(np.exp(log_coefficients(beta, d, most) - beta + dimensions) @ harmonic_power(unit, most))
