"""Random matrices: singular values drawn without the matrix have the law of those of the matrix."""

import math

import numpy as np
import pytest
from scipy import stats

from gedanken.theory import ensembles


@pytest.mark.parametrize("rows, cols", [(12, 8), (8, 12), (10, 10), (1, 5), (5, 1), (1, 1)])
def test_chi_spectra_have_the_law_of_gaussian_matrices(rows, cols):
    rng = np.random.default_rng(0)
    draws = 1500
    chi = np.array([ensembles.gaussian_singular_values(rows, cols, rng) for _ in range(draws)])
    dense = np.linalg.svd(rng.standard_normal((draws, rows, cols)), compute_uv=False)
    assert np.all(np.diff(chi, axis=1) <= 0)
    for k in range(min(rows, cols)):
        # Sixty-odd comparisons at fixed seeds: 1e-4 each leaves a false alarm unlikely.
        assert stats.ks_2samp(chi[:, k], dense[:, k]).pvalue > 1e-4
    # ‖X‖_F² is χ² with rows·cols degrees of freedom.
    assert stats.kstest((chi**2).sum(axis=1), "chi2", args=(rows * cols,)).pvalue > 1e-4


def test_bidiagonal_entries_have_their_degrees_of_freedom():
    rng = np.random.default_rng(1)
    drawn = [ensembles.bidiagonal_chi(4, 7, rng) for _ in range(4000)]
    diagonal, above = (np.mean(np.square(part), axis=0) for part in zip(*drawn, strict=True))
    # E χ²_k = k with variance 2k: five standard errors of 4000 draws.
    assert np.allclose(diagonal, [7, 6, 5, 4], rtol=0, atol=5 * math.sqrt(14 / 4000))
    assert np.allclose(above, [3, 2, 1], rtol=0, atol=5 * math.sqrt(6 / 4000))


@pytest.mark.parametrize("rows, inner, cols", [(30, 4, 20), (3, 6, 20), (20, 6, 3), (5, 9, 4)])
def test_products_of_gaussian_matrices(rows, inner, cols):
    rng = np.random.default_rng(2)
    draws = 800
    found = np.array([ensembles.gaussian_product_singular_values(rows, inner, cols, rng) for _ in range(draws)])
    left, right = rng.standard_normal((draws, rows, inner)), rng.standard_normal((draws, inner, cols))
    dense = np.linalg.svd(left @ right, compute_uv=False)[:, : min(rows, inner, cols)]
    assert found.shape == dense.shape
    for k in range(dense.shape[1]):
        assert stats.ks_2samp(found[:, k], dense[:, k]).pvalue > 1e-4


def test_haar_matrices_are_orthogonal_and_have_no_preferred_direction():
    rng = np.random.default_rng(3)
    drawn = np.array([ensembles.haar_orthogonal(4, rng) for _ in range(4000)])
    assert np.allclose(drawn @ drawn.swapaxes(1, 2), np.eye(4), atol=1e-14)
    # A diagonal of fixed sign (plain QR) would have mean 0.4; Haar entries have mean 0 and variance 1/n.
    assert np.allclose(drawn.mean(axis=0), 0, atol=5 / math.sqrt(4 * 4000))
    # Diaconis–Shahshahani: E tr(Q)² = 1; its variance is 2.
    assert np.mean(np.trace(drawn, axis1=1, axis2=2) ** 2) == pytest.approx(1, abs=5 * math.sqrt(2 / 4000))


@pytest.mark.parametrize("rows, cols", [(9, 5), (5, 9), (6, 6)])
def test_matrices_of_given_singular_values(rows, cols):
    values = np.array([5.0, 3.0, 1.0, 0.5, 0.1, 0.01])[: min(rows, cols)]
    matrix = ensembles.with_singular_values(values, rows, cols, np.random.default_rng(4))
    assert np.allclose(np.linalg.svd(matrix, compute_uv=False), values, atol=1e-14)


def test_a_wrong_number_of_singular_values_is_an_error():
    with pytest.raises(ValueError, match="has 3 singular values"):
        ensembles.with_singular_values(np.ones(4), 3, 5, np.random.default_rng(0))


@pytest.mark.parametrize("rows, cols, spike", [(512, 512, 2.0), (512, 512, 3.0), (800, 200, 1.5)])
def test_spikes_appear_where_theory_puts_them(rows, cols, spike):
    rng = np.random.default_rng(5)
    seen = [np.linalg.norm(ensembles.spiked(rows, cols, np.array([spike]), rng), 2) for _ in range(5)]
    # A spike of the largest singular value fluctuates by about 1/√max(rows, cols) = 0.04; five draws, four errors.
    assert np.mean(seen) == pytest.approx(
        ensembles.spike_singular_value(spike, min(rows, cols) / max(rows, cols)), abs=0.08
    )


def test_spikes_in_closed_form():
    # c = 1: θ + 1/θ. At the threshold c^¼ the place is the edge 1 + √c, from both sides.
    assert ensembles.spike_singular_value(2.0, 1.0) == pytest.approx(2.5, rel=1e-14)
    assert ensembles.spike_singular_value(3.0, 1.0) == pytest.approx(10 / 3, rel=1e-14)
    for aspect in (0.1, 0.5, 1.0):
        at = aspect**0.25
        assert ensembles.spike_singular_value(0.3 * at, aspect) == pytest.approx(1 + math.sqrt(aspect), rel=1e-14)
        # Quadratic contact: 1e-4 above the threshold moves it by 1e-8.
        assert ensembles.spike_singular_value(at * (1 + 1e-4), aspect) == pytest.approx(1 + math.sqrt(aspect), rel=1e-7)


def test_power_law_values():
    assert np.allclose(ensembles.power_law_singular_values(4, 0.5) ** -2, [1, 2, 3, 4], rtol=1e-14)


def test_singular_vectors_are_uniform():
    """An entry of a Haar vector in ℝⁿ, squared, is Beta(1/2, (n−1)/2), and its sign is a fair coin."""
    rng = np.random.default_rng(5)
    entries = []
    for _ in range(400):
        u, _, vt = np.linalg.svd(ensembles.with_singular_values(np.array([3.0, 2.0, 1.0]), 6, 3, rng))
        entries.append(u[0, 0] * np.sign(vt[0, 0]))
    entries = np.array(entries)
    assert stats.kstest(entries**2, stats.beta(0.5, 2.5).cdf).pvalue > 1e-3
    assert stats.binomtest(int((entries > 0).sum()), 400).pvalue > 1e-3
