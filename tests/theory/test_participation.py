"""Unbiased traces: every sample of a small law enumerated, naive sums, and another library."""

from itertools import product

import numpy as np
import pytest

from gedanken.theory import participation

POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 3.0]])
WEIGHTS = np.array([0.5, 0.3, 0.2])


def about_mean(rows: np.ndarray) -> participation.Traces:
    """A plain transcription: sample covariance and fourth moments about the mean."""
    n, centred = len(rows), rows - rows.mean(axis=0)
    covariance = centred.T @ centred / (n - 1)
    fourth = np.sum(np.sum(centred**2, axis=1) ** 2) / (n - 1)
    return participation.unknown_mean(n, np.trace(covariance), np.trace(covariance @ covariance), fourth)


@pytest.mark.parametrize("n", [4, 5])
def test_unknown_mean_is_unbiased_for_any_law(n):
    squared = square = 0.0
    for sample in product(range(3), repeat=n):
        weight = np.prod(WEIGHTS[list(sample)])
        found = about_mean(POINTS[list(sample)])
        squared += weight * found.squared_trace
        square += weight * found.trace_of_square
    assert square == pytest.approx(3.6625, abs=1e-12)
    assert squared == pytest.approx(4.2025, abs=1e-12)


def test_zero_mean_is_the_pair_sum():
    rows = np.random.default_rng(0).standard_normal((7, 3))
    norms = np.sum(rows**2, axis=1)
    found = participation.zero_mean(norms.sum() ** 2, np.sum(norms**2), np.sum((rows.T @ rows) ** 2), np.sum(norms**2))
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    assert found.squared_trace == pytest.approx(sum(norms[i] * norms[j] for i, j in pairs), rel=1e-12)
    assert found.trace_of_square == pytest.approx(sum((rows[i] @ rows[j]) ** 2 for i, j in pairs), rel=1e-12)
