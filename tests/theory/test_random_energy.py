"""Random energies: exact integrals against printed anchors, draws, and the table."""

import numpy as np
import pytest

from gedanken.theory import canonical, random_energy


def test_anchors_of_two_keys():
    expected = {0.5: 0.091424, 1.0: 0.200847, 4.0: 0.191448, 1.86058: 0.252970}
    for sigma, value in expected.items():
        np.testing.assert_allclose(random_energy.exact(sigma, 2.0).heat_capacity, value, atol=6e-7)
    around = [float(random_energy.exact(s, 2.0).heat_capacity) for s in (1.86, 1.86058, 1.8612)]
    assert around[1] == max(around)


@pytest.mark.parametrize(("n", "sigma", "value", "error"), [
    (64, 1.0, 0.899, 0.0014), (64, 2.25, 2.089, 0.0014), (64, 4.0, 1.536, 0.0024),
    (1024, 1.0, 0.992, 0.005), (1024, 2.75, 4.156, 0.0065), (1024, 4.0, 3.281, 0.005),
])  # fmt: skip
def test_anchors_drawn(n, sigma, value, error):
    """The error is that stated for the draws; two values lie 1.6 and 1.3 of them away."""
    np.testing.assert_allclose(random_energy.exact(sigma, float(n)).heat_capacity, value, atol=error)


@pytest.mark.parametrize(("n", "sigma"), [(2, 3.0), (3, 2.0), (7, 0.5), (60, 1.7), (60, 6.0), (700, 3.0)])
def test_means_and_variances_are_those_of_draws(n, sigma):
    rng = np.random.default_rng(0)
    count = 400_000 // n + 2000
    row = canonical.row(sigma * rng.standard_normal((count, n)))
    found = random_energy.exact(sigma, float(n))
    capacity = row.heat_capacity
    assert abs(capacity.mean() - found.heat_capacity) < 4.5 * capacity.std() / count**0.5
    for mine, theirs in ((found.entropy, row.entropy), (found.energy, row.energy)):
        assert abs(theirs.mean() - mine) < 4.5 * theirs.std() / count**0.5
    squares = (capacity - capacity.mean()) ** 2
    assert abs(squares.mean() - found.variance) < 4.5 * squares.std() / count**0.5


def test_small_scales_and_shares_at_the_peak():
    n = np.array([2.0, 10.0, 300.0])
    found = random_energy.exact(0.05, n).heat_capacity
    # next order σ⁴
    np.testing.assert_allclose(found, 0.05**2 * (1 - 1 / n), rtol=3 * 0.05**2)
    for count in (2, 16, 64, 1024):
        sigmas = np.linspace(1.2, 4.0, 200)
        made = random_energy.moments(sigmas, float(count))
        share = made.entropy[made.heat_capacity.argmax()] / np.log(count)
        # 0.568 for few keys, falling slowly: 0.543 at 1024, 0.528 at 8192
        assert 0.54 < share < 0.59


def test_the_table_is_the_integral():
    rng = np.random.default_rng(3)
    for sigma, n in zip(
        np.exp(rng.uniform(np.log(0.03), np.log(20), 12)), np.exp(rng.uniform(0.7, 12, 12)), strict=True
    ):
        table, exact = random_energy.moments(sigma, n), random_energy.exact(sigma, n)
        np.testing.assert_allclose(table.heat_capacity, exact.heat_capacity, rtol=1e-4)
        np.testing.assert_allclose(table.entropy, exact.entropy, rtol=1e-4)
        np.testing.assert_allclose(table.energy, exact.energy, rtol=1e-4)
        np.testing.assert_allclose(table.variance, exact.variance, rtol=5e-3)
    assert random_energy.moments(2.0, 1.0).heat_capacity == 0


def test_energy_beyond_the_table_follows_its_limits():
    """u → −σ²(1 − 1/n) as σ → 0; for large σ it is that of the ground state, linear in σ."""
    np.testing.assert_allclose(random_energy.moments(0.005, 20.0).energy, -(0.005**2) * 0.95, rtol=1e-3)
    # E max of three normals is 3/(2√π); what excited states add is of the order 1/σ².
    np.testing.assert_allclose(random_energy.moments(60.0, 3.0).energy, -60 * 1.5 / np.pi**0.5, rtol=3e-3)
