"""The coordinates in which a token's sparsity is taken, fitted on the first half of the text."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from gedanken.kinds import Stream
from gedanken.status import Flag, Refusal

SMALLEST_EIGENVALUE = 1e-10
"""Of the largest; directions below it are not whitened but left out (latent-object-permanence, §2.9)."""

ROWS_PER_DIRECTION = 10
"""Fitted rows that whitening needs for each direction kept (latent-object-permanence, §2.9)."""


def fitted(stream: Stream, scale: float) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
    """Mean and covariance of the fitted half, of rows divided by `scale`. Raises Refusal(too_small) under two rows."""
    n = stream.fit.n
    if n < 2:
        raise Refusal(Flag.too_small, "fewer than two rows to fit means and scales on")
    mean = stream.fit.total / n / scale
    return mean, stream.fit.second / scale / scale / n - np.outer(mean, mean)


Change = Callable[[Float[np.ndarray, "n d"]], Float[np.ndarray, "n k"]]


def standardised(stream: Stream, scale: float) -> tuple[Change, int]:
    """(h − μ)/σ by coordinate, and how many there are; coordinates that did not vary are left out.

    Raises Refusal if fewer than two did.
    """
    mean, covariance = fitted(stream, scale)
    variance = np.diagonal(covariance)
    # Σx²/n − μ² is known to a rounding of μ².
    varying = variance > 1e3 * np.finfo(float).eps * (mean**2 + variance.max(initial=0.0))
    if np.count_nonzero(varying) < 2:
        raise Refusal(Flag.constant, "fewer than two coordinates vary")
    scale = 1 / np.sqrt(variance[varying])
    return lambda points: (points[:, varying] - mean[varying]) * scale, len(scale)


def whitened(stream: Stream, scale: float) -> tuple[Change, int]:
    """Rows in the eigenbasis of the fitted covariance, each direction at unit variance, and how many directions.

    Raises Refusal if fewer than two directions stand, or the fitted rows are fewer than ten for each.
    """
    mean, covariance = fitted(stream, scale)
    values, vectors = np.linalg.eigh(covariance)
    kept = directions(values)
    if stream.fit.n < ROWS_PER_DIRECTION * np.count_nonzero(kept):
        raise Refusal(Flag.too_small, f"{stream.fit.n} rows to whiten {np.count_nonzero(kept)} directions")
    vectors = vectors[:, kept] / np.sqrt(values[kept])
    return lambda points: (points - mean) @ vectors, vectors.shape[1]


def directions(values: Float[np.ndarray, " d"]):
    """Which eigenvalues are whitened. Raises Refusal(constant) if fewer than two."""
    kept = values > SMALLEST_EIGENVALUE * max(values[-1], np.finfo(float).tiny)
    if np.count_nonzero(kept) < 2:
        raise Refusal(Flag.constant, "fewer than two directions vary")
    return kept


def massive(stream: Stream, count: int) -> Int[np.ndarray, " count"]:
    """The `count` coordinates of largest mean |h| on the fitted half. Raises Refusal unless two more are left."""
    if stream.dimension - count < 2:
        raise Refusal(Flag.too_small, f"{stream.dimension} coordinates, of which {count} are taken out")
    return np.argsort(-stream.fit_absolute, kind="stable")[:count]
