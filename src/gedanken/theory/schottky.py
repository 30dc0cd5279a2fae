"""Schottky anomaly: one ground state and n − 1 degenerate excited states [@pathria2011statistical].

It is the row of largest heat capacity among all rows of n levels, so it bounds every softmax row: with n fixed, no
canonical quantity is singular at a temperature above zero.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Num


def heat_capacity(
    gap: float | Num[np.ndarray, "*g"], n: float | Num[np.ndarray, "*k"]
) -> float | Float[np.ndarray, "..."]:
    """C(x) = x² b/(1 + b)², b = (n − 1)e^{−x}, in nat², of a gap x ≥ 0 in units of the temperature; 0 for n = 1."""
    gap, n = np.asarray(gap, dtype=np.float64), np.asarray(n, dtype=np.float64)
    # b/(1 + b)² = 1/(4 cosh²(ln b / 2)); beyond 700 it is zero in float64.
    half = np.minimum(np.abs(gap - np.log(np.maximum(n - 1, 1.0))) / 2, 350.0)
    return np.where(n > 1, np.square(gap / (2 * np.cosh(half))), 0.0)


def entropy(gap: float | Num[np.ndarray, "*g"], n: float | Num[np.ndarray, "*k"]) -> float | Float[np.ndarray, "..."]:
    """S(x) = ln(1 + b) + x b/(1 + b) in nat."""
    gap, n = np.asarray(gap, dtype=np.float64), np.asarray(n, dtype=np.float64)
    rest = (n - 1) * np.exp(-gap)
    return np.log1p(rest) + gap * rest / (1 + rest)


def energy(gap: float | Num[np.ndarray, "*g"], n: float | Num[np.ndarray, "*k"]) -> float | Float[np.ndarray, "..."]:
    """u(x) = x b/(1 + b) − x(n − 1)/n in nat: the mean energy above the plain mean of the levels, 0 at x = 0."""
    gap, n = np.asarray(gap, dtype=np.float64), np.asarray(n, dtype=np.float64)
    rest = (n - 1) * np.exp(-gap)
    return gap * (rest / (1 + rest) - (n - 1) / n)


def gap_of_largest(n: float | Num[np.ndarray, "*k"]) -> float | Float[np.ndarray, "..."]:
    """The gap at which C is largest: the root of x tanh((x − ln(n − 1))/2) = 2, n ≥ 2."""
    level = np.log(np.asarray(n, dtype=np.float64) - 1)
    # At the lower end the left side is 0, at the upper at least 4 tanh 2 > 2, and it rises in between.
    low, high = level.copy(), level + 4.0
    for _ in range(60):
        middle = (low + high) / 2
        above = middle * np.tanh((middle - level) / 2) > 2
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def largest(n: int | Num[np.ndarray, "*k"]) -> float | Float[np.ndarray, "..."]:
    """C_max(n) = x²/4 − 1 at that gap: no row of n levels has a larger heat capacity. 0 for n ≤ 1.

    For large n about ¼ ln²(n − 1) + 1. Whole numbers are looked up in a table.
    """
    n = np.asarray(n)
    if np.issubdtype(n.dtype, np.integer):
        return _table(int(n.max(initial=2)).bit_length())[np.maximum(n, 0)]
    return np.where(n > 1, np.square(gap_of_largest(np.maximum(n, 2.0))) / 4 - 1, 0.0)


@lru_cache(maxsize=32)
def _table(bits: int) -> Float[np.ndarray, " n"]:
    """C_max for every n below 2^bits."""
    bounds = np.zeros(1 << bits)
    bounds[2:] = np.square(gap_of_largest(np.arange(2.0, 1 << bits))) / 4 - 1
    return bounds
