"""Intrinsic dimension: balls of known dimension, draws of the exact law, naive neighbours."""

import numpy as np
import pytest

from gedanken.theory import intrinsic_dimension as theory


def ratios(points: np.ndarray, k: int) -> np.ndarray:
    found = theory.neighbour_distances(points, 2 * k)
    return np.log(found[:, 2 * k - 1] / found[:, k - 1])


@pytest.mark.parametrize("d", [2, 5])
def test_balls(d):
    points = theory.ball(2000, d, np.random.default_rng(d))
    x = ratios(points, 1)
    assert theory.two_nn(x) == pytest.approx(d, rel=0.1)
    assert theory.two_nn_slope(x) == pytest.approx(d, rel=0.1)
    assert theory.gride(ratios(points, 4), 4) == pytest.approx(d, rel=0.1)


def test_twenty_dimensions_read_low():
    # Few points in many dimensions all lie near the edge: 15.8 ± 0.6 in place of 20, from one ball to the next.
    found = [theory.two_nn(ratios(theory.ball(2000, 20, np.random.default_rng(seed)), 1)) for seed in range(3)]
    assert np.mean(found) == pytest.approx(15.8, abs=4 * 0.6 / np.sqrt(3))


@pytest.mark.parametrize("k", [1, 2, 8])
@pytest.mark.parametrize("d", [0.7, 6.0])
def test_maximum_likelihood_on_the_exact_law(k, d):
    # μ^{-D} of the 2k-th over the k-th neighbour is Beta(k, k).
    x = -np.log(np.random.default_rng(0).beta(k, k, 20_000)) / d
    found = theory.gride(x, k)
    scores, curvature = theory.gride_score(x, k, found)
    assert scores.sum() == pytest.approx(0, abs=1e-6 * abs(curvature.sum()) * d)
    # Four standard errors from the information.
    assert found == pytest.approx(d, abs=4 / np.sqrt(-curvature.sum()))


def test_neighbours_against_all_pairs():
    rng = np.random.default_rng(1)
    points, group = rng.standard_normal((60, 4)), rng.integers(6, size=60)
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert theory.neighbour_distances(points, 5) == pytest.approx(np.sort(distances, axis=1)[:, :5], abs=1e-7)
    distances[group[:, None] == group] = np.inf
    assert theory.neighbour_distances(points, 5, group) == pytest.approx(np.sort(distances, axis=1)[:, :5], abs=1e-7)
    with pytest.raises(ValueError, match="fewer than 60"):
        theory.neighbour_distances(points, 60)


def test_plateau():
    flat, drift = np.array([9.0, 5.0, 5.2, 5.1, 5.3, 4.0]), np.array([16.0, 12.0, 9.0, 7.0, 5.0, 4.0])
    assert theory.plateau(flat, 0.15) == slice(1, 5)
    assert theory.plateau(drift, 0.15) is None
