"""The routines called without Python's lock: the same numbers as numpy's, and really two at a time."""

import numpy as np
import pytest

from gedanken.theory.lapack import add_gram, mirror, tridiagonal_eigenvalues


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
        (np.zeros((3, 3)), np.zeros((5, 4))),
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
