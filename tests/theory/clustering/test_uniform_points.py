"""The law of energy and power of uniform points, against draws of them."""

import math

import numpy as np
import pytest

from gedanken.theory.clustering.uniform_points import UniformEnergy, power_band, power_law
from gedanken.theory.harmonic_power import harmonic_power


def drawn(n, d, rng):
    x = rng.standard_normal((n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("beta, d, n, draws", [(5.0, 2, 40, 3000), (5.0, 3, 60, 2000), (2.0, 40, 80, 800)])
def test_energy(beta, d, n, draws):
    rng = np.random.default_rng(0)
    values = np.empty(draws)
    for i in range(draws):
        x = drawn(n, d, rng)
        values[i] = np.exp(beta * (x @ x.T - 1)).mean()
    uniform = UniformEnergy(beta, d, n)
    assert uniform.mean == pytest.approx(values.mean(), abs=4 * values.std() / math.sqrt(draws))
    # the error of a standard deviation is sd·√((κ+2)/4N), with an excess kurtosis κ up to 3 here
    assert uniform.sd == pytest.approx(values.std(), rel=4 * math.sqrt(5 / (4 * draws)))
    for q in (0.025, 0.5, 0.975):  # a share q of the draws, ± four standard errors and 0.5 % for the shape of the law
        share = np.mean(values <= uniform.law.ppf(q))
        assert share == pytest.approx(q, abs=4 * math.sqrt(q * (1 - q) / draws) + 0.005)
    assert uniform.law.isf(0.1) == pytest.approx(uniform.law.ppf(0.9), rel=1e-9)
    assert uniform.law.cdf(uniform.law.ppf(0.3)) == pytest.approx(0.3)
    assert uniform.law.sf(uniform.law.ppf(0.3)) == pytest.approx(0.7)


def test_energy_in_wide_models_is_normal_and_finite():
    uniform = UniformEnergy(20.0, 4096, 2048)
    assert 0 < uniform.sd < 1e-3 and np.isfinite(uniform.law.ppf(0.975))
    # for β ≪ √d the energy is a quadratic form in the mean: Var k ≈ e^{−2β}β²/d
    assert UniformEnergy(0.1, 100_000, 100).sd == pytest.approx(
        0.1 * math.exp(-0.1) * math.sqrt(2 * 99 / 100**3 / 100_000), rel=1e-3
    )


@pytest.mark.parametrize("d", [2, 3, 5])
def test_power(d):
    rng, n = np.random.default_rng(1), 60
    values = np.array([harmonic_power(drawn(n, d, rng), 3)[1:] for _ in range(1500)])
    np.testing.assert_allclose(values.mean(axis=0), 1 / n, rtol=0.1)  # four errors of relative size ≤ 1/√1500
    low, high = power_band(3, d, n)
    inside = np.mean((values >= low) & (values <= high), axis=0)
    np.testing.assert_allclose(inside, 0.95, atol=0.025)


def test_power_of_many_components_is_normal():
    law = power_law(12, 768, 2048)
    assert law.ppf(0.5) == 1 / 2048 and law.ppf(0.975) - 1 / 2048 < 1e-9
