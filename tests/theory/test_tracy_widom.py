"""The Tracy–Widom law with β = 1: published moments and quantiles, its own determinant, and edges of noise."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from gedanken.theory import ensembles, tracy_widom


def test_published_moments():
    # Mean, variance and skewness of F₁ [Bornemann 2010, table 10]: −1.2065335745820, 1.607781034581, 0.29346452408.
    # Integrals of the distribution: E s = ∫(1 − F) − ∫F, E s² = 2∫s(1 − F) − 2∫sF, E s³ = 3∫s²(1 − F) − 3∫s²F.
    def moment(k):
        above = quad(lambda s: k * s ** (k - 1) * tracy_widom.sf(s), 0, 16, epsabs=1e-11)[0]
        below = quad(lambda s: k * s ** (k - 1) * tracy_widom.cdf(s), -10, 0, epsabs=1e-11, limit=200)[0]
        return above - below

    mean, square, cube = (moment(k) for k in (1, 2, 3))
    variance = square - mean**2
    skewness = (cube - 3 * mean * square + 2 * mean**3) / variance**1.5
    # cdf is good to 1e-9 over a width of 10, and the third moment weighs it by 100.
    assert mean == pytest.approx(-1.2065335745820, abs=1e-8)
    assert variance == pytest.approx(1.607781034581, abs=1e-7)
    assert skewness == pytest.approx(0.29346452408, abs=1e-6)


@pytest.mark.parametrize("p, s", [(0.90, 0.45), (0.95, 0.98), (0.99, 2.02)])
def test_published_quantiles(p, s):
    # Johnstone 2001, table 1, prints two decimals.
    assert tracy_widom.quantile(p) == pytest.approx(s, abs=0.005)
    assert tracy_widom.cdf(tracy_widom.quantile(p)) == pytest.approx(p, abs=1e-10)


@pytest.mark.parametrize("s", [-8.0, -4.0, -1.6, -1.4, 0.0, 3.0, 9.0, 15.0])
def test_interpolants_agree_with_the_determinant(s):
    exact = tracy_widom.log_cdf_by_determinant(s, nodes=80)
    assert tracy_widom.cdf(s) == pytest.approx(math.exp(exact), abs=1e-9)
    if s > -1:
        assert tracy_widom.sf(s) == pytest.approx(-math.expm1(exact), rel=1e-6)


@pytest.mark.parametrize("s", [-10.0, -5.0, -1.0, 4.0])
def test_more_nodes_change_nothing(s):
    few, many = (math.exp(tracy_widom.log_cdf_by_determinant(s, nodes)) for nodes in (tracy_widom.NODES, 110))
    assert few == pytest.approx(many, abs=1e-13)


def test_it_is_a_distribution_without_seams():
    s = np.sort(np.concatenate([np.linspace(-12, 25, 800), [-10.0, -1.5, 18.0], np.array([-10, -1.5, 18]) + 1e-9]))
    cdf = np.array([tracy_widom.cdf(x) for x in s])
    log_sf = np.array([tracy_widom.log_sf(x) for x in s])
    # Interpolation at 1e-10 may ripple where the function is flat.
    assert np.all(np.diff(cdf) > -1e-9) and cdf[0] == 0 and cdf[-1] == 1
    assert np.all(np.diff(log_sf) < 1e-9)


def test_the_far_tail_has_its_leading_form():
    # ln(1 − F₁) → −⅔ s^{3/2} to leading order; the rest grows like ln s.
    assert tracy_widom.log_sf(100.0) == pytest.approx(-2 / 3 * 1000, rel=0.01)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1])
def test_quantiles_lie_inside(p):
    with pytest.raises(ValueError, match="p must lie"):
        tracy_widom.quantile(p)


def test_one_entry_has_no_edge():
    with pytest.raises(ValueError, match="1 × 1"):
        tracy_widom.centring(1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("rows, cols", [(150, 150), (600, 120)])
def test_the_largest_eigenvalue_of_noise_follows_the_law(rows, cols):
    rng = np.random.default_rng(5)
    draws = 400
    largest = [ensembles.gaussian_singular_values(rows, cols, rng)[0] ** 2 for _ in range(draws)]
    p = np.sort([tracy_widom.cdf(tracy_widom.edge_statistic(x, rows, cols, 1.0)) for x in largest])
    distance = np.max(np.abs(p - (np.arange(draws) + 0.5) / draws))
    # Kolmogorov: 1.63/√B at level 1 %; the second-order error of the centring, r^(−2/3), adds 0.02 in probability.
    assert distance < 1.63 / math.sqrt(draws) + 0.02


@pytest.mark.parametrize("rows, cols", [(60, 60), (200, 200), (400, 150), (150, 400), (1000, 20)])
def test_the_fitted_noise_keeps_the_level_of_the_test(rows, cols):
    rng = np.random.default_rng(rows)
    draws = 500
    variances, p = [], []
    for _ in range(draws):
        eigenvalues = ensembles.gaussian_singular_values(rows, cols, rng) ** 2
        variances.append(tracy_widom.fit_noise(eigenvalues, rows, cols)[0])
        p.append(tracy_widom.sf(tracy_widom.edge_statistic(eigenvalues[0], rows, cols, variances[-1])))
    # Relative error √(2/mn); the mean of 500, five standard errors, and the bias of what is taken out.
    error = math.sqrt(2 / (rows * cols))
    assert np.mean(variances) == pytest.approx(1, abs=5 * error / math.sqrt(draws) + 1e-3)
    assert np.std(variances) == pytest.approx(error, rel=0.2)
    # The law of 5 % and 1 %, to three binomial deviations of 500; small sizes are conservative, by 3 % at most.
    for level in (0.05, 0.01):
        share, spread = np.mean(np.array(p) <= level), 3 * math.sqrt(level * (1 - level) / draws)
        assert level - 0.03 - spread <= share <= level + spread


@pytest.mark.parametrize("spikes", [[3.0], [4.0, 3.0, 2.5], list(np.linspace(6.0, 2.0, 40))], ids=len)
def test_spikes_are_taken_out_of_the_noise(spikes):
    matrix = ensembles.spiked(400, 300, np.array(spikes), np.random.default_rng(len(spikes)))
    variance, taken = tracy_widom.fit_noise(np.linalg.svd(matrix, compute_uv=False) ** 2, 400, 300)
    assert taken == len(spikes)
    # Spikes also push the noise's own values about, by 1/400 of its energy each.
    assert variance == pytest.approx(1 / 400, rel=5 * math.sqrt(2 / 120_000) + 1 / 400 * len(spikes) / 4)


@pytest.mark.parametrize("eigenvalues", [np.zeros(5), np.array([1.0]), np.array([])])
def test_nothing_below_the_largest_is_no_noise(eigenvalues):
    with pytest.raises(ValueError, match="no noise below"):
        tracy_widom.fit_noise(eigenvalues, 5000, 5000)
