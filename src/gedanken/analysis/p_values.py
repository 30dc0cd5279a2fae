"""P-values: permutations, one rule for all p = (1 + b)/(1 + B), and the correction for several of them."""

import math
from itertools import permutations

import numpy as np
from jaxtyping import Float, Int

DRAWS = 9_999
"""Permutations unless all can be listed: p then resolves 0.0001."""


def permutation_p(observed: float, null: Float[np.ndarray, " draws"], *, complete: bool = False) -> float:
    """One-sided p: how often the null is at least `observed`. (1 + b)/(1 + B) [@phipson2010permutation, eq. 2].

    complete: the null lists every permutation, the observed one among them; then p = b/B.
    """
    # A null value equal to the observed one but for rounding counts as at least as large.
    reached = int(np.count_nonzero(null >= observed - 1e-12 * max(1.0, abs(observed))))
    return reached / len(null) if complete else (1 + reached) / (1 + len(null))


def orders(count: int, rng: np.random.Generator, draws: int = DRAWS) -> tuple[Int[np.ndarray, "draws count"], bool]:
    """Orders of `count` things: all of them (then True) if there are no more than `draws`, else random ones."""
    if math.factorial(count) <= draws:
        return np.array(list(permutations(range(count)))), True
    return rng.permuted(np.tile(np.arange(count), (draws, 1)), axis=1), False


def holm(p: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Adjusted p-values of a family by Holm's step-down rule: those at most α fall with family-wise error α [@holm1979]."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
