"""Reductions: matrix → spectrum, points → moments, stream → any of the three. Done once per site, in float64.

Singular values come from the Gram matrix of the smaller side: λ(W Wᵀ) = σ². That is one symmetric rank-k update and one
values-only eigenvalue problem, several times faster than a singular-value decomposition of a rectangular matrix, and
exact to σ₁√(r·eps): smaller values are below `Spectrum.resolution`.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from gedanken.captures import point_moments
from gedanken.captures.base import Raw
from gedanken.kinds import Factors, Kind, Moments, Pair, Spectrum, Stream
from gedanken.status import Flag, Refusal
from gedanken.theory.lapack import add_gram, symmetric_eigenvalues

BLOCK_ENTRIES, BLOCK_ROWS = 1 << 18, 512
"""Entries converted to float64 at a time: 2 MB, which stay in the cache, unless these are fewer rows than hide the traffic of
the sum."""


def reduced(raw: Raw, kind: Kind, preparation: str = "", notes: Collection[str] = ()):
    """The raw object as an instrument of `kind` reads it; of a pair, the spectrum is that of ΔW, of moments that
    of the centred covariance. Of a stream, the spectrum is that of its second half's moments, while points and moments are
    those of its reservoir.

    `notes` are the capture's: `quantised` and `untied` are handed on to what reads the reduction.
    Raises Refusal where the object has no such reduction (see `spectrum` and `point_moments.accumulate`).
    """
    quantised = "quantised" in notes
    if isinstance(raw, Stream | Moments) and kind == Kind.spectrum:
        return covariance_spectrum(raw.report if isinstance(raw, Stream) else raw)
    if isinstance(raw, Stream) and kind in (Kind.points, Kind.moments):
        raw = raw.kept_points
    match kind:
        case Kind.spectrum:
            return spectrum(raw.change if isinstance(raw, Pair) else raw, quantised=quantised)
        case Kind.moments:
            found = point_moments.accumulate(lambda: row_blocks(raw), len(raw), preparation, quantised=quantised)
            return replace(found, tables=2 if "untied" in notes else 1)
    return raw


def row_blocks(matrix: np.ndarray) -> Iterator[np.ndarray]:
    """Consecutive stretches of rows, as stored."""
    step = max(1, point_moments.BLOCK_ENTRIES // max(matrix.shape[1], 1))
    return (matrix[start : start + step] for start in range(0, len(matrix), step))


def spectrum(matrix: np.ndarray | Factors, *, quantised: bool = False) -> Spectrum:
    """Singular values of an out × in matrix, or of a product of factors.

    Raises Refusal: `empty`, `not_a_matrix`, `non_finite`.
    """
    if len(matrix.shape) != 2:
        raise Refusal(Flag.not_a_matrix)
    if 0 in matrix.shape:
        raise Refusal(Flag.empty)
    if isinstance(matrix, Factors):
        return _spectrum_of_factors(matrix, quantised)
    values, resolution = _values_and_resolution(*_scaled_gram(matrix))
    return Spectrum(values, *matrix.shape, resolution=resolution, quantised=quantised)


def covariance_spectrum(moments: Moments) -> Spectrum:
    """σ = √λ of the centred covariance Σ(h−μ)(h−μ)ᵀ/(n−1): the singular values of the centred n × d table over √(n−1).

    Raises Refusal: `too_small` below two points, `non_finite`.
    """
    n, d = moments.n, moments.dimension
    if n < 2:
        raise Refusal(Flag.too_small, f"a covariance of {n} points")
    uncentred = float(np.trace(moments.second))
    if not np.isfinite(uncentred):
        raise Refusal(Flag.non_finite)
    covariance = (moments.second - np.outer(moments.total, moments.total / n)) / (n - 1)
    values = np.sqrt(np.maximum(symmetric_eigenvalues(covariance)[::-1], 0.0))[: min(n, d)]
    # What is subtracted may be far larger than what is left: rounding is that of the sums before.
    resolution = float(np.sqrt(uncentred / (n - 1) * d * np.finfo(float).eps))
    return Spectrum(values, n, d, resolution=resolution)


def _scaled_gram(matrix: np.ndarray) -> tuple[Float[np.ndarray, "short short"], float]:
    """Gram matrix of the smaller side of matrix / scale, and that scale: 1 unless squares overflow or vanish.

    Raises Refusal(non_finite).
    """
    gram = _gram(matrix)
    if np.finfo(float).tiny / np.finfo(float).eps < np.trace(gram) < np.inf:
        return gram, 1.0
    if not np.isfinite(matrix).all():
        raise Refusal(Flag.non_finite)
    scale = float(max(matrix.max(), -matrix.min()))
    return (_gram(matrix, scale), scale) if scale > 0 else (gram, 1.0)


def _gram(matrix: np.ndarray, scale: float = 1.0) -> Float[np.ndarray, "short short"]:
    """Upper triangle of the Gram matrix of matrix / scale, by blocks along the longer side."""
    short, long = sorted(matrix.shape)
    tall = matrix if matrix.shape[0] == long else matrix.T
    gram = np.zeros((short, short))
    step = max(BLOCK_ROWS, BLOCK_ENTRIES // short)
    for start in range(0, long, step):
        block = tall[start : start + step].astype(np.float64, order="K")
        if scale != 1.0:
            block /= scale
        add_gram(gram, block)
    return gram


def _values_and_resolution(gram: np.ndarray, scale: float) -> tuple[Float[np.ndarray, " r"], float]:
    values = scale * np.sqrt(np.maximum(symmetric_eigenvalues(gram)[::-1], 0.0))
    return values, float(values[0] * np.sqrt(len(values) * np.finfo(float).eps))


def _spectrum_of_factors(product: Factors, quantised: bool) -> Spectrum:
    """Singular values of left @ right = (Q₁R₁)(Q₂R₂)ᵀ: those of the small R₁R₂ᵀ."""
    rows, cols = product.shape
    rank = min(product.left.shape[1], rows, cols)
    left, left_resolution = _triangle(product.left)
    right, right_resolution = _triangle(product.right.T)
    values = np.linalg.svd(left @ right.T, compute_uv=False)[:rank]
    resolution = float(values[0]) * (left_resolution + right_resolution)
    return Spectrum(values, rows, cols, resolution=resolution, rank_bound=rank, quantised=quantised)


def _triangle(factor: Float[np.ndarray, "long rank"]) -> tuple[np.ndarray, float]:
    """Some R with RᵀR = factorᵀ factor, and its relative resolution: by QR, or for vocabulary-long factors by the
    Gram matrix, which needs no float64 copy of the factor. Raises Refusal(non_finite)."""
    if factor.size <= BLOCK_ENTRIES:
        if not np.isfinite(factor).all():
            raise Refusal(Flag.non_finite)
        return np.linalg.qr(factor.astype(np.float64), mode="r"), max(factor.shape) * np.finfo(float).eps
    if factor.shape[0] < factor.shape[1]:
        return factor.astype(np.float64), 0.0
    gram, scale = _scaled_gram(factor)
    eigenvalues, vectors = np.linalg.eigh(gram, UPLO="U")
    root = scale * np.sqrt(np.maximum(eigenvalues, 0.0))[:, None] * vectors.T
    return root, float(np.sqrt(len(gram) * np.finfo(float).eps))
