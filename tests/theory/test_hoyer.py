"""Sparsity: its exact law for random directions, limits for independent coordinates, and the closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.theory import hoyer
from gedanken.theory.ensembles import haar_orthogonal


@pytest.mark.parametrize(
    "d, mean, sd",
    [
        (2, 0.09968, 0.08798),
        (8, 0.17685, 0.06688),
        (16, 0.18956, 0.05016),
        (64, 0.19899, 0.02617),
        (256, 0.20134, 0.01322),
        (1024, 0.20192, 0.00663),
        (4096, 0.20207, 0.00332),
    ],
)
def test_law_of_random_directions(d, mean, sd):
    # Anchors to five digits.
    assert hoyer.random_mean(d) == pytest.approx(mean, abs=6e-6)
    assert np.sqrt(hoyer.random_variance(d)) == pytest.approx(sd, abs=6e-6)


@pytest.mark.parametrize("d", [2, 8, 64])
def test_law_against_draws(d):
    values = hoyer.omega(np.random.default_rng(d).standard_normal((40_000, d)))
    sd = np.sqrt(hoyer.random_variance(d))
    assert values.mean() == pytest.approx(hoyer.random_mean(d), abs=4 * sd / 200)
    assert values.std() == pytest.approx(sd, rel=4 / np.sqrt(2 * 40_000) * 1.5)


def test_limits_in_many_dimensions():
    assert hoyer.random_mean(10**6) == pytest.approx(hoyer.GAUSSIAN_LIMIT, abs=1e-6)
    assert 1e6 * hoyer.random_variance(10**6) == pytest.approx(hoyer.UNIT_VARIANCE, rel=1e-3)
    # The leading term takes over at 10⁴ without a step.
    assert hoyer.random_variance(10_000) == pytest.approx(hoyer.random_variance(10_001), rel=1e-3)


@pytest.mark.parametrize(
    "draw, limit, tolerance",
    [
        (lambda rng, n: rng.choice([-1.0, 1.0], n), 0.0, 1e-12),
        (lambda rng, n: rng.uniform(-1, 1, n), 0.1340, 1e-2),
        (lambda rng, n: rng.standard_normal(n), 0.2021, 3e-3),
        (lambda rng, n: rng.laplace(size=n), 0.2929, 1e-2),
        (lambda rng, n: rng.standard_t(3, n), 0.354, 1e-2),  # at d = 4096; the limit is 0.3634
        # exp(N(0, 1)) scales are heavy-tailed themselves: their own mean square converges slowly in d.
        (lambda rng, n: np.exp(rng.standard_normal(n)) * rng.standard_normal(n), 0.516, 2e-2),
    ],
)
def test_independent_coordinates(draw, limit, tolerance):
    rng = np.random.default_rng(1)
    assert hoyer.omega(draw(rng, (400, 4096))).mean() == pytest.approx(limit, abs=tolerance)


def test_one_coordinate_is_the_largest():
    assert hoyer.omega(np.eye(9))[0] == pytest.approx(hoyer.largest(9), abs=1e-15)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_bounds_scale_sign_and_permutation(d, seed):
    rng = np.random.default_rng(seed)
    row = rng.standard_normal((1, d)) ** 3
    value = hoyer.omega(row)[0]
    assert 0 <= value <= hoyer.largest(d) + 1e-12
    other = 7.5 * rng.permutation(row, axis=1) * rng.choice([-1, 1], d)
    assert hoyer.omega(other)[0] == pytest.approx(value, abs=1e-12)


def test_a_rotation_takes_everything_off():
    # A vector of raw Ω = 0.678 in 512 dimensions, as in the anchor.
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((1, 512))
    rows[0, 0] = 61.0
    assert hoyer.omega(rows)[0] == pytest.approx(0.678, abs=0.03)
    turned = np.concatenate([rows @ haar_orthogonal(512, rng) for _ in range(20)])
    assert hoyer.omega(turned).mean() == pytest.approx(0.20, abs=4 * 0.2123 / np.sqrt(512 * 20))


@pytest.mark.parametrize(
    "d, k, size, expected, tolerance",
    [
        (4096, 1, 10, 0.209, 0.01),
        (4096, 1, 30, 0.271, 0.01),
        (4096, 1, 100, 0.557, 0.01),
        (4096, 1, 1000, 0.934, 0.01),
        (256, 1, 16, 0.392, 1e-3),
        (256, 1, 50, 0.698, 1e-3),
        (1024, 4, 20, 0.453, 1e-3),
    ],
)
def test_massive_closed_form(d, k, size, expected, tolerance):
    share = np.array([k * size**2 / (k * size**2 + d - k)])
    assert hoyer.massive(share, np.sqrt(k * share), d)[0] == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("d, k, size, simulated", [(256, 1, 16, 0.394), (256, 1, 50, 0.698), (1024, 4, 20, 0.455)])
def test_massive_closed_form_against_draws(d, k, size, simulated):
    rows = np.random.default_rng(3).standard_normal((4000, d))
    rows[:, :k] = size
    assert hoyer.omega(rows).mean() == pytest.approx(simulated, abs=1e-3)


def test_fewer_than_two_coordinates_are_refused():
    with pytest.raises(ValueError, match="two coordinates"):
        hoyer.random_mean(1)
