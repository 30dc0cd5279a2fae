"""Bounds on the spectrum of a mixture: anchors, and no violation on random mixtures."""

import numpy as np
import pytest

from gedanken.theory import separability


@pytest.mark.parametrize(
    ("between", "ratio", "least", "energy", "bound"),
    [(10.0, 36.739, 56.333, 70.728, 74.645), (100.0, 5.2117, 5.3333, 12.128, 12.553)],
)
def test_simplex_anchor(between, ratio, least, energy, bound):
    b, w = np.diag([between] * 3 + [0.0] * 97), np.eye(100)
    found, p = separability.dimension_bounds(b, w, 4), np.diag(b + w) / np.trace(b + w)
    assert (found.participation_ratio, found.energy_rank) == pytest.approx((least, bound), abs=1e-3)
    assert (1 / (p @ p), np.exp(-p @ np.log(p))) == pytest.approx((ratio, energy), abs=1e-3)


def test_no_violation_on_a_thousand_mixtures():
    rng = np.random.default_rng(0)
    # Rounding of d ≤ 30 eigenvalues.
    assert max(separability.worst_violation(*separability.random_mixture(rng)) for _ in range(1000)) < 1e-10


def test_a_gap_that_is_forced_is_there_and_exclusive_or_has_none():
    b = separability.between(np.array([0.5, 0.5]), np.array([[3.0] + [0.0] * 9, [-3.0] + [0.0] * 9]))
    assert separability.gap_is_forced(b, np.eye(10), 2) and not separability.gap_is_forced(
        0.01 * b, np.diag(np.arange(1.0, 11)), 2
    )
    corners = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    of_classes = np.array([corners[:2].mean(axis=0), corners[2:].mean(axis=0)])
    assert np.abs(separability.between(np.array([0.5, 0.5]), of_classes)).max() == 0


def test_margin_bounds_the_largest_eigenvalue():
    rng = np.random.default_rng(1)
    for _ in range(200):
        side = np.where(rng.random(400) < rng.uniform(0.1, 0.9), 1.0, -1.0)
        points = rng.standard_normal((400, 6)) * rng.uniform(0.1, 2)
        margin = rng.uniform(0.1, 3)
        points[:, 0] = side * (margin + rng.exponential(0.5, 400))
        largest = np.linalg.eigvalsh(np.cov(points.T, bias=True))[-1]
        assert largest >= separability.margin_spike(float(np.mean(side > 0)), margin) * (1 - 1e-12)


@pytest.mark.parametrize(("d", "n", "error"), [(100, 100, 0.1587), (100, 1000, 0.2869)])
def test_bayes_error_at_the_threshold(d, n, error):
    at = 2 * (d / n) ** 0.25
    found = separability.two_class_spike(at, 1.0, d, n)
    assert found.error == pytest.approx(error, abs=1e-4) and found.strength == pytest.approx(np.sqrt(d / n))
    assert (
        separability.two_class_spike(1.001 * at, 1.0, d, n).visible
        and not separability.two_class_spike(0.999 * at, 1.0, d, n).visible
    )


def test_alignment_is_one_inside_and_small_outside():
    b = np.diag([1.0, 0, 0, 0])
    assert separability.alignment(b, np.diag([9.0, 3, 2, 1]), 1) == pytest.approx(1)
    assert separability.alignment(b, np.diag([1.0, 3, 2, 9]), 1) == pytest.approx(0)
