"""Spectra by the Gram matrix: against a true singular-value decomposition, at any scale and shape, never silently wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.captures.reduce import BLOCK_ENTRIES, reduced, spectrum
from gedanken.kinds import Factors, Kind, Pair
from gedanken.status import Flag, Refusal

SHAPES = [(1, 1), (1, 9), (9, 1), (40, 40), (30, 70), (70, 30), (20_000, 128), (128, 20_000)]


def svd(matrix):
    return np.linalg.svd(np.asarray(matrix, dtype=np.float64), compute_uv=False)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_equals_a_singular_value_decomposition(shape, dtype):
    matrix = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    found, true = spectrum(matrix), svd(matrix)
    # λ is exact to a few r·eps·λ₁, so σ_k to that over 2σ_k; the smallest of a square Gaussian is about σ₁/2r.
    assert np.all(np.abs(found.singular_values**2 - true**2) <= 20 * len(true) * np.finfo(float).eps * true[0] ** 2)
    assert np.all(np.diff(found.singular_values) <= 0)
    assert (found.rows, found.cols) == shape


def test_long_matrices_are_summed_over_several_blocks():
    assert BLOCK_ENTRIES < 20_000 * 128


@pytest.mark.parametrize("layout", ["transposed", "strided"])
def test_memory_layout_does_not_matter(layout):
    matrix = np.random.default_rng(2).standard_normal((60, 80))
    view = matrix.T if layout == "transposed" else np.repeat(matrix, 2, axis=1)[:, ::2]
    expected = spectrum(np.ascontiguousarray(view)).singular_values
    assert np.allclose(spectrum(view).singular_values, expected, rtol=0, atol=1e-12 * expected[0])


@settings(deadline=None, max_examples=40)
@given(st.integers(-150, 150), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_it_follows_the_scale_from_the_smallest_to_the_largest_squares(exponent, rows, cols, seed):
    matrix = np.random.default_rng(seed).standard_normal((rows, cols))
    one, scaled = spectrum(matrix), spectrum(matrix * 10.0**exponent)
    # The Gram route resolves √(r·eps)·σ₁; two roundings of it may differ by that.
    assert np.allclose(scaled.singular_values / 10.0**exponent, one.singular_values, rtol=1e-9, atol=2 * one.resolution)


def test_what_lies_below_the_resolution_is_not_trusted():
    values = np.array([1.0, 1e-3, 1e-12])
    rng = np.random.default_rng(3)
    left, right = np.linalg.qr(rng.standard_normal((50, 3)))[0], np.linalg.qr(rng.standard_normal((40, 3)))[0]
    found = spectrum(left * values @ right.T)
    assert np.allclose(found.resolved, values[:2], rtol=1e-6)
    assert 1e-8 < found.resolution < 2e-7


def test_zero_is_zero():
    assert not spectrum(np.zeros((4, 7))).singular_values.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_single_bad_entry_is_refused(bad, dtype):
    matrix = np.ones((30, 20), dtype)
    matrix[7, 3] = bad
    with pytest.raises(Refusal) as refused:
        spectrum(matrix)
    assert refused.value.flag == Flag.non_finite


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_nothing_is_refused(shape):
    with pytest.raises(Refusal) as refused:
        spectrum(np.zeros(shape))
    assert refused.value.flag == Flag.empty


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
def test_other_than_two_dimensions_are_refused(shape):
    with pytest.raises(Refusal) as refused:
        spectrum(np.ones(shape))
    assert refused.value.flag == Flag.not_a_matrix


@pytest.mark.parametrize("rows, rank, cols", [(50, 4, 70), (5, 9, 6), (30_000, 80, 90), (80, 80, 30_000)])
def test_a_product_of_factors_is_never_formed_and_has_the_same_spectrum(rows, rank, cols):
    rng = np.random.default_rng(4)
    product = Factors(rng.standard_normal((rows, rank)), rng.standard_normal((rank, cols)))
    found = spectrum(product)
    true = svd(product.left @ product.right)[: min(rank, rows, cols)]
    assert found.size == len(found.singular_values) == len(true)
    assert np.allclose(found.singular_values, true, rtol=0, atol=max(found.resolution, 1e-11 * true[0]))


def test_a_pair_is_reduced_to_the_spectrum_of_its_change():
    rng = np.random.default_rng(5)
    base, change = rng.standard_normal((8, 9)), rng.standard_normal((8, 9))
    assert np.allclose(reduced(Pair(base, change), Kind.spectrum).singular_values, svd(change))
