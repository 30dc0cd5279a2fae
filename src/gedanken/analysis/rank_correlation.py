"""Rank correlation with an exact p: Spearman's ρ, its permutation null, and what is left of it given a third variable."""

import math
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Float
from scipy import stats

from gedanken.analysis.p_values import permutation_p

EXACT = 9
"""Values up to which all permutations are listed: 362,880."""
DRAWS = 99_999


@dataclass(frozen=True)
class Correlation:
    """ρ with its permutation p, two-sided and for ρ > 0; `t_p` is the t-approximation, for comparison only."""

    rho: float
    p: float
    p_greater: float
    t_p: float
    n: int
    exact: bool


def spearman(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], rng: np.random.Generator) -> Correlation:
    """Spearman's ρ of two variables. Raises ValueError below three values or where one of them is constant."""
    a, b = _standard(stats.rankdata(x)), _standard(stats.rankdata(y))
    rho, n, exact = float(a @ b), len(a), len(a) <= EXACT
    order = np.array(list(permutations(range(n)))) if exact else rng.permuted(np.tile(np.arange(n), (DRAWS, 1)), axis=1)
    null = b[order] @ a
    two_sided = permutation_p(abs(rho), np.abs(null), complete=exact)
    return Correlation(rho, two_sided, permutation_p(rho, null, complete=exact), t_approximation(rho, n), n, exact)


def t_approximation(rho: float, n: int) -> float:
    """Two-sided p of ρ by Student's t with n − 2 degrees of freedom."""
    if abs(rho) >= 1:
        return 0.0
    return float(2 * stats.t.sf(abs(rho) * math.sqrt((n - 2) / (1 - rho**2)), n - 2))


def partial(xy: float, xz: float, yz: float) -> float:
    """Correlation of x and y given z: (ρ_xy − ρ_xz ρ_yz)/√((1 − ρ_xz²)(1 − ρ_yz²)); NaN where z tells one of them."""
    left = (1 - xz**2) * (1 - yz**2)
    return (xy - xz * yz) / math.sqrt(left) if left > 0 else math.nan


def partial_spearman(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], z: Float[np.ndarray, " n"], rng: np.random.Generator
) -> Correlation:
    """Spearman's ρ of x and y given z; its null permutes the residual ranks of x."""
    a, b, c = (_standard(stats.rankdata(values)) for values in (x, y, z))
    left, right = a - (a @ c) * c, b - (b @ c) * c
    if min(left @ left, right @ right) < 1e-12:
        raise ValueError("the third variable orders one of the others exactly: nothing is left to correlate")
    left, right = left / np.linalg.norm(left), right / np.linalg.norm(right)
    rho, n, exact = float(left @ right), len(a), len(a) <= EXACT
    order = np.array(list(permutations(range(n)))) if exact else rng.permuted(np.tile(np.arange(n), (DRAWS, 1)), axis=1)
    null = left[order] @ right
    two_sided = permutation_p(abs(rho), np.abs(null), complete=exact)
    return Correlation(rho, two_sided, permutation_p(rho, null, complete=exact), t_approximation(rho, n - 1), n, exact)


def _standard(ranks: np.ndarray) -> np.ndarray:
    """Centred ranks of unit length."""
    centred = ranks - ranks.mean()
    norm = float(np.linalg.norm(centred))
    if len(ranks) < 3 or norm == 0:
        raise ValueError("a rank correlation needs three values that are not all equal")
    return centred / norm
