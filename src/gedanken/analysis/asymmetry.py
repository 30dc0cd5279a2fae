"""Asymmetry: whether queries and keys carry the depth-dependent dynamics, and values and outputs do not.

For a type p ∈ {Q, K, V, O} of one variable, D_p is its standard deviation over interior layers:

    asymmetry A = (mean(D_Q, D_K) − mean(D_V, D_O))/(mean(D_Q, D_K) + mean(D_V, D_O)) ∈ [−1, 1]
    share     S = (D_Q² + D_K²)/(D_Q² + D_K² + D_V² + D_O²)

Null: each type loses its own mean over depth, then the four labels are shuffled independently within every layer.
Centring is needed: without it a mere offset between types is called an asymmetry (spectral-lifecycle, §3.6).
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gedanken.analysis.intervals import Estimate, bootstrap_mean
from gedanken.analysis.p_values import DRAWS, permutation_p

CHUNK = 1 << 22
"""Shuffled numbers held at a time: 32 MB."""


@dataclass(frozen=True)
class Asymmetry:
    """A and S with their intervals (bootstrap over replicates) and the one-sided permutation p of A."""

    asymmetry: Estimate
    share: Estimate
    p: float


def asymmetry(
    values: Float[np.ndarray, "replicate type step layer"], rng: np.random.Generator, draws: int = DRAWS
) -> Asymmetry:
    """Of one variable. Types in the order Q, K, V, O; give one step for an end profile, else A is averaged over steps.

    The first and last layer are left out. Raises ValueError with fewer than two interior layers, or not four types.
    """
    if values.shape[1] != 4 or values.shape[3] < 4:
        raise ValueError(f"asymmetry wants 4 types and at least 4 layers, not {values.shape[1]} and {values.shape[3]}")
    inner = values[..., 1:-1]
    mean = inner.mean(axis=0)
    observed = float(np.mean(_asymmetry(_spread(mean))))
    return Asymmetry(
        bootstrap_mean(inner, lambda one: float(np.mean(_asymmetry(_spread(one)))), rng),
        bootstrap_mean(inner, lambda one: float(np.mean(_share(_spread(one)))), rng),
        permutation_p(observed, _null(mean, rng, draws)),
    )


def uniformity(compression: Float[np.ndarray, "replicate layer"], rng: np.random.Generator) -> Estimate:
    """CV = standard deviation over mean, over interior layers, of the compression 1 − SR/SR(0) at the end."""

    def variation(one: np.ndarray) -> float:
        inner = one[1:-1]
        return float(inner.std(ddof=1) / abs(inner.mean())) if inner.mean() != 0 else math.nan

    return bootstrap_mean(compression, variation, rng)


def _spread(values: Float[np.ndarray, "... type step layer"]) -> Float[np.ndarray, "... type step"]:
    return values.std(axis=-1, ddof=1)


def _asymmetry(spread: Float[np.ndarray, "... 4 step"]) -> Float[np.ndarray, "... step"]:
    first, second = spread[..., :2, :].mean(axis=-2), spread[..., 2:, :].mean(axis=-2)
    return np.divide(first - second, first + second, out=np.zeros_like(first), where=first + second > 0)


def _share(spread: Float[np.ndarray, "... 4 step"]) -> Float[np.ndarray, "... step"]:
    squares = spread**2
    total = squares.sum(axis=-2)
    return np.divide(squares[..., :2, :].sum(axis=-2), total, out=np.full_like(total, 0.5), where=total > 0)


def _null(mean: Float[np.ndarray, "4 step layer"], rng: np.random.Generator, draws: int) -> Float[np.ndarray, " draws"]:
    centred = mean - mean.mean(axis=-1, keepdims=True)
    step, found = max(1, CHUNK // centred.size), []
    for start in range(0, draws, step):
        count = min(step, draws - start)
        # one order of the four labels for each draw and layer, the same at every step
        labels = rng.permuted(np.tile(np.arange(4)[:, None], (count, 1, centred.shape[2])), axis=1)
        shuffled = np.take_along_axis(centred[None], labels[:, :, None, :], axis=1)
        found.append(_asymmetry(_spread(shuffled)).mean(axis=-1))
    return np.concatenate(found)
