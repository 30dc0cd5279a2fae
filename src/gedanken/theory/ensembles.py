"""Random-matrix ensembles: inputs whose spectra are known.

Gaussian matrices are never formed where only their singular values are wanted: Householder reduction of an m × n
Gaussian matrix leaves a bidiagonal one with independent chi entries [@golub_kahan_1965; @silverstein1985smallest], whose
values cost O(r²).
"""

import numpy as np
from jaxtyping import Float

from gedanken.theory.lapack import tridiagonal_eigenvalues


def bidiagonal_chi(
    rows: int, cols: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r-1"]]:
    """Diagonal and superdiagonal of a bidiagonal r × r matrix with the singular values of a Gaussian matrix.

    The matrix is rows × cols with independent N(0, 1) entries, r = min(rows, cols): the diagonal is distributed as
    χ_m, χ_{m−1} … χ_{m−r+1} and the superdiagonal as χ_{r−1} … χ_1, all independent, with m = max(rows, cols)
    [@silverstein1985smallest, §1; @dumitriu2002matrix, table 1 at β = 1].
    """
    long, short = max(rows, cols), min(rows, cols)
    diagonal = np.sqrt(rng.chisquare(np.arange(long, long - short, -1)))
    above = np.sqrt(rng.chisquare(np.arange(short - 1, 0, -1)))
    return diagonal, above


def gaussian_singular_values(rows: int, cols: int, rng: np.random.Generator) -> Float[np.ndarray, " r"]:
    """Singular values, descending, of one rows × cols matrix with independent N(0, 1) entries; O(r²), exact in law.

    They are square roots of the eigenvalues of the tridiagonal BᵀB, so values below about σ₁√(r·eps) are rounding.
    """
    diagonal, above = bidiagonal_chi(rows, cols, rng)
    square = diagonal**2
    square[1:] += above**2
    eigenvalues = tridiagonal_eigenvalues(square, diagonal[:-1] * above)
    return np.sqrt(np.maximum(eigenvalues[::-1], 0.0))


def gaussian_product_singular_values(
    rows: int, inner: int, cols: int, rng: np.random.Generator
) -> Float[np.ndarray, " k"]:
    """The k = min(rows, inner, cols) largest singular values, descending, of a product of two Gaussian matrices.

    The factors are rows × inner and inner × cols with N(0, 1) entries. Orthogonal invariance replaces each factor by
    its triangular core, so only a matrix of at most inner × inner is formed [@golub_kahan_1965].
    """
    left = _triangular_core(rows, inner, rng)
    right = _triangular_core(cols, inner, rng)
    return np.linalg.svd(left @ right.T, compute_uv=False)


def _triangular_core(rows: int, cols: int, rng: np.random.Generator) -> Float[np.ndarray, "k cols"]:
    """R of the QR factorisation of a rows × cols Gaussian matrix, drawn directly: chi diagonal, normal above."""
    if rows < cols:
        return rng.standard_normal((rows, cols))
    core = np.triu(rng.standard_normal((cols, cols)), 1)
    core[np.diag_indices(cols)] = np.sqrt(rng.chisquare(np.arange(rows, rows - cols, -1)))
    return core


def haar_orthogonal(n: int, rng: np.random.Generator, columns: int | None = None) -> Float[np.ndarray, "n columns"]:
    """An orthogonal n × n matrix from the Haar measure, or its first columns: QR with the signs of R's diagonal made
    positive [@mezzadri2007how, §5]."""
    q, r = np.linalg.qr(rng.standard_normal((n, columns or n)))
    return q * np.sign(np.diag(r))


def with_singular_values(
    values: Float[np.ndarray, " r"], rows: int, cols: int, rng: np.random.Generator
) -> Float[np.ndarray, "rows cols"]:
    """A rows × cols matrix with these singular values, r = min(rows, cols), and uniformly random singular vectors."""
    r = min(rows, cols)
    if values.shape != (r,):
        raise ValueError(f"a {rows} × {cols} matrix has {r} singular values, not {values.shape}")
    return (haar_orthogonal(rows, rng, r) * values) @ haar_orthogonal(cols, rng, r).T


def spiked(
    rows: int, cols: int, spikes: Float[np.ndarray, " k"], rng: np.random.Generator
) -> Float[np.ndarray, "rows cols"]:
    """Noise of entry variance 1/max(rows, cols), plus k orthogonal rank-one terms of singular values `spikes`.

    With c = min/max, a spike θ > c^¼ appears at the singular value √((1 + θ²)(c + θ²))/θ, one at or below it drowns
    in the bulk edge 1 + √c [@benaych_georges2012singular, §3.1]; at c = 1 that is θ + 1/θ.
    """
    k = len(spikes)
    left = np.linalg.qr(rng.standard_normal((rows, k)))[0]
    right = np.linalg.qr(rng.standard_normal((cols, k)))[0]
    return rng.standard_normal((rows, cols)) / np.sqrt(max(rows, cols)) + (left * spikes) @ right.T


def spike_singular_value(spike: float, aspect: float) -> float:
    """Where a spike of `spiked` appears, for large matrices of aspect c = min/max [@benaych_georges2012singular, §3.1]."""
    if spike <= aspect**0.25:
        return 1.0 + np.sqrt(aspect)
    return float(np.sqrt((1 + spike**2) * (aspect + spike**2)) / spike)


def power_law_singular_values(size: int, exponent: float) -> Float[np.ndarray, " size"]:
    """σ_k = k^(−exponent), k = 1 … size."""
    return np.arange(1, size + 1, dtype=float) ** -exponent
