"""Three BLAS/LAPACK routines called without holding Python's lock, so that one matrix per core really runs at once.

scipy's own wrappers of them keep the lock (two threads then take as long as one); the function pointers that scipy
publishes for Cython, called through ctypes, do not.
"""

import ctypes

import numpy as np
from jaxtyping import Float
from scipy.linalg import cython_blas, cython_lapack


def _routine(module, name: str, arguments: int):
    """The routine behind a published function pointer. Every argument is an address; nothing is returned."""
    capsule = module.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arguments)(address)


_dsyrk = _routine(cython_blas, "dsyrk", 10)
_dsterf = _routine(cython_lapack, "dsterf", 4)
_dsyevd = _routine(cython_lapack, "dsyevd", 11)

PANEL = 64
"""Columns of workspace for the reduction to tridiagonal form: at least LAPACK's block size, which is 32."""


def gram(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "d d"]:
    """rowsᵀ rows, upper triangle only: what is below is not set. As `add_gram`, without a matrix of zeros to begin with."""
    found = np.empty((rows.shape[1], rows.shape[1]))
    _add_gram(found, rows, 0.0)
    return found


def add_gram(gram: Float[np.ndarray, "d d"], rows: Float[np.ndarray, "n d"]) -> None:
    """gram += rowsᵀ rows, in place, in the upper triangle only (`mirror` completes it).

    Both float64 and contiguous, `rows` in either order. One symmetric rank-k update: half the work of a general
    product, and no temporary. Raises ValueError if the arrays are of another kind.
    """
    _add_gram(gram, rows, 1.0)


def _add_gram(gram: np.ndarray, rows: np.ndarray, kept: float) -> None:
    """gram = kept·gram + rowsᵀ rows."""
    n, d = rows.shape
    if gram.shape != (d, d) or gram.dtype != np.float64 or rows.dtype != np.float64:
        raise ValueError(f"add_gram wants float64 arrays d × d and n × d, got {gram.shape} and {rows.shape}")
    if not (gram.flags.c_contiguous and rows.flags.forc):
        raise ValueError("add_gram wants contiguous arrays")
    if d == 0:
        return
    # Fortran sees a C-contiguous array as its transpose, and our upper triangle as its lower one.
    trans, leading = (b"N", ctypes.c_int(d)) if rows.flags.c_contiguous else (b"T", ctypes.c_int(max(n, 1)))
    size, count, one, kept = ctypes.c_int(d), ctypes.c_int(n), ctypes.c_double(1.0), ctypes.c_double(kept)
    _dsyrk(
        _letter(b"L"), _letter(trans), _at(size), _at(count), _at(one), rows.ctypes.data, _at(leading), _at(kept),
        gram.ctypes.data, _at(size),
    )  # fmt: skip


def mirror(gram: Float[np.ndarray, "d d"]) -> None:
    """Copy the upper triangle into the lower one, in place, by tiles: without index arrays of its size."""
    for start in range(0, len(gram), PANEL):
        stop = start + PANEL
        gram[stop:, start:stop] = gram[start:stop, stop:].T
        diagonal = np.triu(gram[start:stop, start:stop])
        gram[start:stop, start:stop] = diagonal + np.triu(diagonal, 1).T


def symmetric_eigenvalues(matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " n"]:
    """Eigenvalues, ascending, of the symmetric matrix whose upper triangle is given; the array is overwritten.

    float64 and C-contiguous. No copy is made, which spares n² numbers and an eighth of the time of numpy's `eigvalsh`.
    Raises ValueError for arrays of another kind, numpy.linalg.LinAlgError if the iteration does not converge.
    """
    n = len(matrix)
    if matrix.shape != (n, n) or matrix.dtype != np.float64 or not matrix.flags.c_contiguous:
        raise ValueError(f"symmetric_eigenvalues wants a contiguous float64 array n × n, got {matrix.shape}")
    values, work = np.empty(n), np.empty((2 + PANEL) * n + 1)
    size, leading, length, one, unused, info = (ctypes.c_int(k) for k in (n, max(n, 1), len(work), 1, 0, 0))
    # Fortran sees our upper triangle as its lower one.
    _dsyevd(
        _letter(b"N"), _letter(b"L"), _at(size), matrix.ctypes.data, _at(leading), values.ctypes.data,
        work.ctypes.data, _at(length), _at(unused), _at(one), _at(info),
    )  # fmt: skip
    if info.value:
        raise np.linalg.LinAlgError(f"{info.value} off-diagonal elements did not converge")
    return values


def tridiagonal_eigenvalues(
    diagonal: Float[np.ndarray, " n"], off_diagonal: Float[np.ndarray, " n-1"]
) -> Float[np.ndarray, " n"]:
    """Eigenvalues of a symmetric tridiagonal matrix, ascending, in O(n²) (LAPACK dsterf, implicit QL without roots).

    Raises numpy.linalg.LinAlgError if the iteration does not converge.
    """
    values = np.array(diagonal, dtype=np.float64)
    work = np.array(off_diagonal, dtype=np.float64)
    size, info = ctypes.c_int(len(values)), ctypes.c_int(0)
    _dsterf(_at(size), values.ctypes.data, work.ctypes.data, _at(info))
    if info.value:
        raise np.linalg.LinAlgError(f"{info.value} eigenvalues did not converge")
    return values


def _at(value) -> int:
    return ctypes.addressof(value)


def _letter(letter: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(letter), ctypes.c_void_p).value
