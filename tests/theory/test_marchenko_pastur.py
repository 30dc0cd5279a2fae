"""The Marchenko–Pastur law: closed forms, its own integral, and eigenvalues of Gaussian matrices."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from gedanken.theory import ensembles
from gedanken.theory import marchenko_pastur as law

ASPECTS = [0.01, 0.25, 0.7, 1.0, 1.6, 9.0]


def integral(f, low: float, high: float) -> float:
    """∫ f over the support by the substitution x = m − w cos θ, which removes both square roots at the ends."""
    middle, half = (low + high) / 2, (high - low) / 2
    return quad(lambda t: float(f(np.array([middle - half * math.cos(t)]))[0]) * half * math.sin(t), 0, math.pi)[0]


@pytest.mark.parametrize("variance", [1.0, 0.3])
@pytest.mark.parametrize("aspect", ASPECTS)
def test_moments_of_the_density(aspect, variance):
    ends = law.edges(aspect, variance)
    # Mass min(1, 1/a) [the rest sits at zero], mean s², second moment s⁴(1 + a), third s⁶(1 + 3a + a²).
    exact = [min(1, 1 / aspect), variance, variance**2 * (1 + aspect), variance**3 * (1 + 3 * aspect + aspect**2)]
    found = [integral(lambda x, k=k: x**k * law.density(x, aspect, variance), *ends) for k in range(4)]
    # quad's own estimate is 1e-8 of an integrand of order one.
    assert np.allclose(found, exact, rtol=1e-7)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_the_closed_distribution_is_the_integral_of_the_density(aspect):
    low, high = law.edges(aspect, 0.5)
    atom = max(0.0, 1 - 1 / aspect)
    for share in (0.02, 0.3, 0.6, 0.98):
        x = low + share * (high - low)
        # The square-root end inside the range is gone only at `low`; quad still reaches 1e-8.
        below = quad(
            lambda u: 2 * u * float(law.density(np.array([low + u * u]), aspect, 0.5)[0]), 0, math.sqrt(x - low)
        )[0]
        assert float(law.cdf(np.array([x]), aspect, 0.5)[0]) == pytest.approx(atom + below, abs=1e-7)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_the_distribution_outside_its_support(aspect):
    low, high = law.edges(aspect)
    atom = max(0.0, 1 - 1 / aspect)
    outside = np.array([-1.0, low - 1e-9 if low > 1e-6 else -1e-9, high + 1e-9, 100.0])
    expected = [0.0, atom if low > 1e-6 else 0.0, 1.0, 1.0]
    assert np.allclose(law.cdf(outside, aspect), expected, rtol=0, atol=1e-12)
    assert np.all(law.density(outside, aspect) == 0)


def test_the_square_case_is_the_quarter_circle():
    # For a = 1, σ = √x has density √(4 − σ²)/π on [0, 2]: F = σ√(4 − σ²)/(2π) + (2/π)·asin(σ/2).
    sigma = np.linspace(0, 2, 101)
    circle = sigma * np.sqrt(4 - sigma**2) / (2 * np.pi) + 2 / np.pi * np.arcsin(sigma / 2)
    assert np.allclose(law.cdf(sigma**2, 1.0), circle, rtol=0, atol=1e-14)


@settings(deadline=None, max_examples=60)
@given(aspect=st.floats(0.01, 20), variance=st.floats(1e-6, 1e6), p=st.floats(0.001, 0.999))
def test_quantiles_invert_the_distribution(aspect, variance, p):
    x = law.quantile(np.array([p]), aspect, variance)
    atom = max(0.0, 1 - 1 / aspect)
    # Among the positive eigenvalues. Near a hard edge the density is unbounded, so the error in p is √eps-like: 1e-7.
    assert float(law.cdf(x, aspect, variance)[0]) == pytest.approx(atom + (1 - atom) * p, abs=1e-7)


@settings(deadline=None, max_examples=30)
@given(aspect=st.floats(0.01, 20))
def test_the_median_is_the_middle_quantile(aspect):
    # brentq and bisection each end within 1e-13 of the support's width.
    assert law.median(aspect) == pytest.approx(float(law.quantile(np.array([0.5]), aspect)[0]), rel=1e-9)


@pytest.mark.parametrize("aspect, variance", [(0.0, 1.0), (-1.0, 1.0), (0.5, 0.0)])
def test_edges_want_positive_numbers(aspect, variance):
    with pytest.raises(ValueError, match="must be positive"):
        law.edges(aspect, variance)


@pytest.mark.parametrize("rows, cols", [(600, 600), (1500, 300), (300, 1500)])
def test_eigenvalues_of_noise_follow_the_law(rows, cols):
    s = 0.02
    sigma = s * ensembles.gaussian_singular_values(rows, cols, np.random.default_rng(3))
    fit = law.fit_bulk(sigma**2, rows, cols)
    # Rigidity: ranks are right to O(√ln r) of r values, so D is of order 1/r; ten of them. Same for the median.
    assert law.ks_distance(sigma**2, rows, cols, s**2) < 10 / 300
    assert fit.variance == pytest.approx(s**2, rel=10 / 300)
    assert fit.outliers <= 2
    assert fit.edge == pytest.approx(s**2 * (math.sqrt(rows) + math.sqrt(cols)) ** 2, rel=10 / 300)


@pytest.mark.parametrize("count", [1, 5, 30])
def test_planted_spikes_are_counted(count):
    spikes = np.linspace(6.0, 3.0, count)
    matrix = ensembles.spiked(800, 400, spikes, np.random.default_rng(count))
    fit = law.fit_bulk(np.linalg.svd(matrix, compute_uv=False) ** 2, 800, 400)
    # All are far beyond the threshold c^¼ = 0.84; one eigenvalue of the noise may lie past the edge as well.
    assert count <= fit.outliers <= count + 1
    # Dropped values bias the median by the few ranks that spikes displaced: about count/r of it.
    assert fit.variance == pytest.approx(1 / 800, rel=0.02 + count / 400)


def test_a_bulk_of_equal_values_ends_the_fit_at_once():
    fit = law.fit_bulk(np.ones(50), 50, 50)
    assert (fit.outliers, fit.rounds) == (0, 1)


@pytest.mark.parametrize("eigenvalues", [np.array([]), np.array([0.0, 1.0, 2.0])])
def test_a_bulk_needs_positive_eigenvalues(eigenvalues):
    with pytest.raises(ValueError, match="positive eigenvalues"):
        law.fit_bulk(eigenvalues, 3, 3)


def test_no_value_below_the_edge_has_no_distance():
    with pytest.raises(ValueError, match="below the edge"):
        law.ks_distance(np.array([10.0]), 2, 2, 1e-3)


def test_the_distance_counts_both_sides_of_a_step():
    # One value at the law's median m: the empirical step goes from 0 to 1 there, the law is at ½.
    middle = 40 * law.median(0.5)
    assert law.ks_distance(np.array([middle]), 40, 20, 1.0) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("rows, cols", [(30, 30), (80, 20), (20, 80)])
def test_the_density_of_singular_values_integrates_to_their_distribution(rows, cols):
    low, high = (math.sqrt(max(rows, cols) * edge) for edge in law.edges(min(rows, cols) / max(rows, cols), 0.04))
    middle = (low + high) / 2
    below = quad(lambda s: float(law.singular_value_density(np.array([s]), rows, cols, 0.04)[0]), low, middle)[0]
    assert float(law.singular_value_cdf(np.array([middle]), rows, cols, 0.04)[0]) == pytest.approx(below, abs=1e-6)


def test_the_hard_threshold_is_near_its_exact_value():
    # Gavish and Donoho: ω(β) = λ(β)/√(median of the law), λ² = 2(β + 1) + 8β/((β + 1) + √(β² + 14β + 1)); 4/√3 at β = 1.
    for rows, cols in [(100, 100), (200, 100), (1000, 10)]:
        beta = cols / rows
        exact = math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + math.sqrt(beta**2 + 14 * beta + 1)))
        exact /= math.sqrt(law.median(beta))
        # The published cubic is good to 0.02.
        assert law.hard_threshold(rows, cols) == pytest.approx(exact, abs=0.02)
