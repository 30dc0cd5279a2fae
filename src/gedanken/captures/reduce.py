"""Reductions: matrix → spectrum, points → moments. Done once per site, in float64, where the tensor is.

Singular values come from the Gram matrix of the smaller side: λ(W Wᵀ) = σ². That is one symmetric rank-k update and one
values-only eigenvalue problem, several times faster than a singular-value decomposition of a rectangular matrix, and
exact to σ₁√(r·eps): smaller values are below `Spectrum.resolution`.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from gedanken.captures import point_moments
from gedanken.kinds import Factors, Kind, Pair, Spectrum
from gedanken.status import Flag, Refusal
from gedanken.theory.lapack import add_gram, symmetric_eigenvalues

BLOCK_ENTRIES = 1 << 21
"""Entries converted to float64 at a time: 16 MB, small beside any matrix worth the trouble, large enough for BLAS."""


def reduced(raw: np.ndarray | Factors | Pair, kind: Kind, preparation: str = "", notes: Collection[str] = ()):
    """The raw matrix, points or pair as an instrument of `kind` reads it; of a pair, the spectrum is that of ΔW.

    `notes` are the capture's: `quantised` and `untied` are handed on to what reads the reduction.
    Raises Refusal where the object has no such reduction (see `spectrum` and `point_moments.accumulate`).
    """
    quantised = "quantised" in notes
    match kind:
        case Kind.matrix | Kind.points | Kind.pair:
            return raw
        case Kind.spectrum:
            return spectrum(raw.change if isinstance(raw, Pair) else raw, quantised=quantised)
        case Kind.moments:
            found = point_moments.accumulate(lambda: row_blocks(raw), len(raw), preparation, quantised=quantised)
            return replace(found, tables=2 if "untied" in notes else 1)
    raise ValueError(f"a {kind} is no reduction of a matrix")


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
    step = max(1, BLOCK_ENTRIES // short)
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
