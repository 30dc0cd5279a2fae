"""The routines called without Python's lock: the same numbers as numpy's, and really two at a time."""

import numpy as np
import pytest

from gedanken.theory.lapack import add_gram, mirror, symmetric_eigenvalues, tridiagonal_eigenvalues


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (3, 7), (100, 50), (0, 4)])
def test_gram_matrices_add_up(order, shape):
    rng = np.random.default_rng(0)
    first, second = (np.asarray(rng.standard_normal(shape), order=order) for _ in range(2))
    gram = np.zeros((shape[1], shape[1]))
    add_gram(gram, first)
    add_gram(gram, second)
    mirror(gram)
    # Sums of 2n products of order one.
    assert np.allclose(gram, first.T @ first + second.T @ second, rtol=0, atol=1e-13 * max(shape))


@pytest.mark.parametrize(
    "gram, rows",
    [
        (np.zeros((4, 4), np.float32), np.zeros((5, 4))),
        (np.zeros((4, 4)), np.zeros((5, 4), np.float32)),
        (np.zeros((4, 4)), np.zeros((5, 8))[:, ::2]),
    ],
)
def test_arrays_of_another_kind_are_refused(gram, rows):
    with pytest.raises(ValueError, match="add_gram wants"):
        add_gram(gram, rows)


def test_the_discrete_laplacian_has_its_textbook_eigenvalues():
    n = 200
    found = tridiagonal_eigenvalues(np.full(n, 2.0), np.full(n - 1, -1.0))
    exact = 2 - 2 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1))
    assert np.allclose(found, exact, rtol=0, atol=n * 4 * np.finfo(float).eps)


@pytest.mark.parametrize("n", [0, 1, 2, 50, 200])
def test_eigenvalues_of_the_upper_triangle_are_those_of_the_matrix(n):
    factor = np.random.default_rng(1).standard_normal((n, 2 * n + 1))
    matrix = factor @ factor.T
    with_rubbish_below = np.triu(matrix) + np.tril(np.full((n, n), np.nan), -1)
    found = symmetric_eigenvalues(with_rubbish_below)
    # Backward stability: n·eps of the largest.
    largest = np.linalg.norm(matrix, 2) if n else 0.0
    assert np.allclose(found, np.linalg.eigvalsh(matrix), rtol=0, atol=4 * max(n, 1) * np.finfo(float).eps * largest)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_eigenvalues_of_any_scale(scale):
    matrix = scale * np.array([[2.0, 1.0], [1.0, 2.0]])
    assert np.allclose(symmetric_eigenvalues(matrix) / scale, [1.0, 3.0], rtol=0, atol=1e-15)


@pytest.mark.parametrize("matrix", [np.zeros((3, 3), np.float32), np.zeros((3, 6))[:, ::2]])
def test_what_is_no_symmetric_matrix_is_refused(matrix):
    with pytest.raises(ValueError, match="symmetric_eigenvalues wants"):
        symmetric_eigenvalues(matrix)
