"""Growth rates: the tables of the theory, the notebook's coefficients, the generator's own Jacobian, the clock."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from gedanken.theory.clustering import mode_growth as growth
from gedanken.theory.clustering.noise_threshold import noise_thresholds, tricritical_beta
from gedanken.theory.harmonic_power import fourier_modes

TABLE = {
    (2, 1, False): "0.565159 0.542991 0.199516 0.043794 0.006787 0.000810 0.000078 0.000006",
    (2, 2, False): "0.795318 1.377897 0.957330 0.405829 0.122821 0.028803 0.005504 0.000886",
    (2, 5, False): "4.867128 14.004492 18.596070 16.346351 10.789873 5.704457 2.513592 0.948693",
    (2, 5, True): "0.178677 0.514117 0.682678 0.600089 0.396106 0.209416 0.092276 0.034827",
    (2, 7, False): "22.291299 70.863606 109.511340 116.580001 96.019594 64.778980 37.047452 18.385612",
    (2, 7, True): "0.132219 0.420321 0.649557 0.691484 0.569532 0.384231 0.219744 0.109053",
    (3, 2, True): "0.537315 0.582084 0.313470 0.111707 0.029652 0.006260 0.001096 0.000164",
    (3, 5, False): "4.749545 9.259590 9.978086 7.583100 4.470845 2.154307 0.877313 0.309175",
    (4, 5, True): "0.431604 0.679244 0.629723 0.425642 0.227896 0.101181 0.038375 0.012700",
}


@pytest.mark.parametrize("d, beta, softmax", TABLE)
def test_table_of_rates(d, beta, softmax):
    expected = np.array(TABLE[d, beta, softmax].split(), float)
    np.testing.assert_allclose(growth.growth_rates(beta, d, 8, softmax), expected, atol=5.1e-7)  # six printed decimals


def test_notebook_coefficients_are_rates_over_pi():
    printed = {
        5: [1.549, 4.458, 5.919, 5.203, 3.435, 1.816, 0.800],
        7: [7.10, 22.56, 34.86, 37.11, 30.56, 20.62, 11.79],
    }
    for beta, gammas in printed.items():
        np.testing.assert_allclose(growth.growth_rates(beta, 2, 7, softmax=False) / np.pi, gammas, atol=5.1e-3)


def test_circle_rates_are_bessel_functions():
    k = np.arange(1, 9)
    np.testing.assert_allclose(
        growth.growth_rates(3.3, 2, 8, softmax=False), k**2 * special.iv(k, 3.3) / 3.3, rtol=1e-13
    )


@pytest.mark.parametrize("softmax", [False, True])
def test_rates_are_eigenvalues_of_the_particle_system(softmax):
    """The velocity's derivative at equispaced angles, along sin kθ: exact but for aliases I_{n−k}, here below 1e−30."""
    n, beta, step = 64, 2.0, 1e-5
    angles = 2 * np.pi * np.arange(n) / n

    def velocity(theta):
        gap = theta[:, None] - theta[None, :]
        weight = np.exp(beta * np.cos(gap))
        total = weight.sum(axis=1) if softmax else n
        return -(weight * np.sin(gap)).sum(axis=1) / total

    rates = growth.growth_rates(beta, 2, 8, softmax)
    for k in (1, 2, 3, 6):
        shape = np.sin(k * angles)
        change = (velocity(angles + step * shape) - velocity(angles - step * shape)) / (2 * step)
        assert change @ shape / (shape @ shape) == pytest.approx(rates[k - 1], rel=1e-8)  # step² k²


def test_rates_in_three_dimensions_from_the_linearised_equation():
    """λ_ℓ = ℓ(ℓ+1)/β · ½∫ e^{βc} P_ℓ(c) dc, by quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    for degree in (1, 2, 3, 5):
        mean = weights @ (np.exp(5 * nodes) * special.eval_legendre(degree, nodes)) / 2
        expected = degree * (degree + 1) * mean / 5
        assert growth.growth_rates(5.0, 3, 5, softmax=False)[degree - 1] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "d, betas",
    [
        (2, [1.0445, 3.1654, 6.2113, 10.2285, 15.2363, 21.2405]),
        (3, [1.8162, 4.4253, 7.9624, 12.4774, 17.9849, 24.4891]),
        (4, [2.5285, 5.6558, 9.6988, 14.7176, 20.7276, 27.7335]),
    ],
)
def test_switch_points(d, betas):
    found = [growth.switch_point(k, d) for k in range(1, 7)]
    np.testing.assert_allclose(found, betas, atol=5.1e-5)
    for k, beta in enumerate(found, 1):
        assert (growth.dominant_mode(beta * (1 - 1e-6), d), growth.dominant_mode(beta * (1 + 1e-6), d)) == (k, k + 1)


@pytest.mark.parametrize("d, beta", [(128, 85.29), (512, 341.29), (1024, 682.62)])
def test_first_switch_in_wide_models(d, beta):
    assert growth.switch_point(1, d) == pytest.approx(beta, abs=5.1e-3)


def test_dominant_modes_on_the_circle():
    expected = {1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 3, 7: 4, 10: 4, 16: 6, 20: 6, 30: 8, 32: 8, 50: 10, 64: 11, 100: 14}
    expected |= {500: 32, 1000: 45}
    assert {beta: growth.dominant_mode(beta) for beta in expected} == expected


@given(st.integers(2, 300), st.floats(0, 2000))
@settings(deadline=None, max_examples=40)
def test_dominant_mode_is_the_largest_of_many(d, beta):
    rates = growth.log_growth_rates(beta, d, 200)
    assert growth.dominant_mode(beta, d) == np.argmax(rates) + 1


def test_runner_up_ratios():
    for beta, ratio in {5: 0.879, 6: 0.981, 7: 0.939, 8: 0.888, 10: 0.990, 16: 0.983, 20: 0.981, 100: 0.993}.items():
        ordered = np.sort(growth.growth_rates(beta, 2, 40))
        assert ordered[-2] / ordered[-1] == pytest.approx(ratio, abs=5.1e-4)


def test_fastest_softmax_rate_tends_to_two_over_e():
    printed = {(2, 5): 0.683, (2, 20): 0.720, (2, 100): 0.733, (2, 1000): 0.7355, (3, 20): 0.7223}
    for (d, beta), rate in printed.items():
        assert growth.growth_rates(beta, d, 60).max() == pytest.approx(rate, abs=5.1e-4)
    assert growth.growth_rates(1e6, 2, 2000).max() == pytest.approx(2 / math.e, abs=1e-5)
    assert growth.growth_rates(1e6, 8, 2000).max() == pytest.approx(2 / math.e, abs=1e-4)


def test_limits_in_beta():
    assert growth.growth_rates(0.0, 2, 3).tolist() == [0.5, 0.0, 0.0]
    assert growth.growth_rates(1e-3, 512, 3)[0] == pytest.approx(511 / 512, rel=1e-6)
    assert growth.growth_rates(1000.0, 2, 3)[1] == pytest.approx(4 / 1000, rel=0.01)  # k²/β for k ≪ √β
    assert growth.growth_rates(800.0, 2, 3, softmax=False).tolist() == [math.inf] * 3
    assert np.isfinite(growth.log_growth_rates(5e4, 768, 12, softmax=False)).all()


def test_repulsion_reverses_the_signs():
    """V = −Id, β = 50: heat flow, k²/β, cut off."""
    np.testing.assert_allclose(growth.growth_rates(50, 2, 5)[[0, 1, 4]], [0.019799, 0.076832, 0.388492], atol=5.1e-7)


def test_clock_against_published_means():
    """λt of saturation over 48 runs at each N, with a scatter of .4 to .7: the linear clock, a little early."""
    rates = growth.growth_rates(5, 2, 7)
    for count, measured in {300: 1.63, 1000: 2.43, 3000: 2.97, 10_000: 3.82, 30_000: 4.40}.items():
        early = measured - rates.max() * growth.expected_linear_time(count, rates)
        assert -0.2 < early < 0.45  # two errors of .08; nonlinear saturation adds up to a third of 1/λ


def test_with_noise():
    unnormalised = growth.growth_rates(5, 2, 4, softmax=False, diffusion=0.05)
    np.testing.assert_allclose(unnormalised[[0, 2, 3]], [4.81713, 18.14607, 15.54635], atol=5.1e-6)
    softmax = growth.growth_rates(5, 2, 4, diffusion=0.05)
    np.testing.assert_allclose(softmax[[0, 2, 3]], [0.12868, 0.23268, -0.19991], atol=5.1e-6)


@pytest.mark.parametrize("d", [2, 3, 16])
def test_thresholds_are_where_rates_with_noise_vanish(d):
    thresholds = noise_thresholds(4.0, d, 5, softmax=False)
    assert np.all(np.diff(thresholds) < 0)
    for degree, threshold in enumerate(thresholds):
        rates = growth.growth_rates(4.0, d, 5, softmax=False, diffusion=threshold)
        assert abs(rates[degree]) < 1e-12 * growth.growth_rates(4.0, d, 5, softmax=False)[degree]


def test_tricritical_beta():
    for d, beta in {2: 2.4469, 3: 1.8162, 4: 1.5753, 8: 1.2666, 64: 1.0315}.items():
        assert tricritical_beta(d) == pytest.approx(beta, abs=5.1e-5)


def test_layer_factors():
    printed = {(5, 3, 0.1): 1.062669, (5, 2, 0.1): 1.047195, (7, 4, 0.5): 1.236362, (1, 1, 0.5): 1.182469}
    for (beta, k, width), factor in printed.items():
        assert growth.layer_factors(beta, 2, k, width)[-1] == pytest.approx(factor, abs=5.1e-7)
    pre = [growth.layer_factors(5, 2, 3, 0.1, layer=m, pre_norm=True)[2] for m in range(4)]
    np.testing.assert_allclose(pre, [1.062669, 1.057919, 1.053838, 1.050295], atol=5.1e-7)
    assert round(growth.layers_to_saturation(growth.layer_factors(5, 2, 3, 0.1)[2], 1000)) == 57


def test_layer_factor_is_that_of_a_layer():
    """One post-norm layer on equispaced angles, displaced by 1e−6 sin kθ."""
    n, beta, width, k = 64, 5.0, 0.1, 3
    angles = 2 * np.pi * np.arange(n) / n

    def layer(theta):
        x = np.stack([np.cos(theta), np.sin(theta)], axis=1)
        weight = np.exp(beta * x @ x.T)
        x = x + width * weight @ x / weight.sum(axis=1, keepdims=True)
        return np.arctan2(x[:, 1], x[:, 0])

    shape = np.sin(k * angles)
    change = (layer(angles + 1e-6 * shape) - layer(angles - 1e-6 * shape)) / 2e-6
    change = np.where(np.abs(change) > 2, 0, change)  # the turn of arctan2 lies on no displaced point
    assert change @ shape / (shape @ shape) == pytest.approx(growth.layer_factors(beta, 2, k, width)[-1], rel=1e-6)


def test_linear_clock():
    rates = np.array([1.0, 2.0, -3.0])
    assert growth.linear_time(np.array([0.1, 0.01, 0.2]), rates) == pytest.approx(math.log(3))
    assert growth.linear_time(np.array([0.4, 0.01, 0.2]), rates) == 0
    assert growth.linear_time(np.array([0.1, 0.1]), np.array([-1.0, -1.0])) == math.inf


def test_expected_clock_is_the_mean_over_random_starts():
    rates = growth.growth_rates(5, 2, 7, softmax=False)
    rng = np.random.default_rng(1)
    times = [growth.linear_time(np.abs(fourier_modes(rng.uniform(0, 2 * np.pi, 1000), 7)), rates) for _ in range(2000)]
    error = np.std(times) / math.sqrt(len(times))
    assert growth.expected_linear_time(1000, rates) == pytest.approx(np.mean(times), abs=4 * error)


@pytest.mark.parametrize("count, slope", [(3000, 1.07), (1e7, 1.02)])
def test_slope_of_the_logarithmic_law(count, slope):
    rates = growth.growth_rates(5, 2, 12)
    wide = [growth.expected_linear_time(count * factor, rates) for factor in (0.1, 10)]
    assert 2 * rates.max() * (wide[1] - wide[0]) / math.log(100) == pytest.approx(slope, abs=0.02)


def test_expected_clock_of_one_mode():
    # E min over one Rayleigh mode: (ln(N c²) + γ)/2λ, less what starts above the threshold (e^{−90})
    assert growth.expected_linear_time(1000, [2.0]) == pytest.approx((math.log(90) + np.euler_gamma) / 4, abs=1e-9)


def test_periodicity_defect():
    angles = (np.random.default_rng(0).uniform(0, 1, 100)[:, None] + 2 * np.pi * np.arange(3) / 3).ravel()
    assert growth.periodicity_defect(np.abs(fourier_modes(angles, 12)), 3) < 1e-25
    assert growth.periodicity_defect(np.abs(fourier_modes(angles, 12)), 13) == 1  # 13 divides no k ≤ 12


@pytest.mark.parametrize("call", [lambda: growth.growth_rates(-1.0, 2, 3), lambda: growth.switch_point(0)])
def test_refuses_nonsense(call):
    with pytest.raises(ValueError, match="need"):
        call()
