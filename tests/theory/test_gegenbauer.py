"""The attention kernel by degrees: other libraries, generating sums, the ends of double precision."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from gedanken.theory.gegenbauer import (
    bessel_ratios,
    gegenbauer,
    log_coefficients,
    log_harmonic_dimension,
    log_mean_kernel,
)


@given(st.floats(0.01, 600), st.floats(0, 30))
@settings(deadline=None, max_examples=60)
def test_ratios_are_those_of_scipy(argument, order):
    found = bessel_ratios(order, argument, 6)
    scaled = special.ive(order + np.arange(7), argument)
    usable = scaled[1:] > 1e-250
    np.testing.assert_allclose(found[usable], (scaled[1:] / scaled[:-1])[usable], rtol=1e-12)  # ive itself: about 1e-13


def test_ratios_far_beyond_the_reach_of_bessel_functions():
    # R_ν(x) solves R_ν = 1/(2(ν+1)/x + R_{ν+1}); for ν ≫ x, R ≈ x/(2(ν+1)) to x²/4ν²
    ratio = bessel_ratios(10_000.0, 5.0, 2)
    assert ratio[0] == pytest.approx(5 / 20_002, rel=1e-6)
    assert ratio[0] == pytest.approx(5 / (20_002 + 5 * ratio[1]), rel=1e-15)
    # for x ≫ ν², R ≈ 1 − (2ν+1)/(2x) + O(1/x²)
    assert bessel_ratios(1.0, 1e6, 1)[0] == pytest.approx(1 - 1.5e-6, abs=1e-11)


@pytest.mark.parametrize("beta", [1e-3, 0.7, 5.0, 50.0])
@pytest.mark.parametrize("d", [2, 3, 4, 9, 200])
def test_mean_kernel_is_the_integral(beta, d):
    # (1 + c)/2 is Beta((d−1)/2, (d−1)/2) on the sphere
    density = special.beta((d - 1) / 2, (d - 1) / 2) * 2 ** (d - 2)
    # c = cos θ removes the root at the ends for d = 2
    mean = integrate.quad(
        lambda t: math.exp(beta * (math.cos(t) - 1)) * math.sin(t) ** (d - 2) / density, 0, math.pi, epsabs=0, limit=500
    )[0]
    assert log_mean_kernel(beta, d) == pytest.approx(beta + math.log(mean), abs=1e-11)


@pytest.mark.parametrize("d, beta", [(3, 300.0), (64, 3.0), (300, 2.0)])
def test_series_and_scaled_function_agree(d, beta, monkeypatch):
    before = log_mean_kernel(beta, d)
    monkeypatch.setattr("gedanken.theory.gegenbauer.SMALLEST_SCALED", math.inf)
    # lnΓ(150) = 600 with relative rounding of 1e−16, and sums of a few hundred logarithms
    assert log_mean_kernel(beta, d) == pytest.approx(before, abs=3e-12)


def test_small_and_large_ends():
    assert log_mean_kernel(1.0, 100_000) == pytest.approx(0.5 / 100_000, rel=1e-4)  # a_0 = 1 + β²/2d + …
    assert log_mean_kernel(0.0, 7) == 0
    # e^β/√(2πβ), relative correction 1/8β
    assert log_mean_kernel(5000.0, 2) == pytest.approx(5000 - math.log(2 * math.pi * 5000) / 2 + 1 / 40_000, abs=1e-8)
    assert np.isfinite(log_coefficients(500.0, 1024, 40)).all()


@pytest.mark.parametrize("d", [2, 3, 4, 10])
def test_kernel_is_the_sum_of_its_degrees(d):
    beta, most = 3.0, 40
    cosines = np.array([-1.0, -0.3, 0.0, 0.8, 1.0])
    weights = np.exp(log_coefficients(beta, d, most) + [log_harmonic_dimension(k, d) for k in range(most + 1)])
    np.testing.assert_allclose(weights @ gegenbauer(cosines, d, most), np.exp(beta * cosines), rtol=1e-12)


def test_polynomials_of_the_circle_and_the_sphere():
    angles = np.linspace(0, np.pi, 9)
    np.testing.assert_allclose(gegenbauer(np.cos(angles), 2, 6), [np.cos(k * angles) for k in range(7)], atol=1e-14)
    found = gegenbauer(np.cos(angles), 3, 6)
    np.testing.assert_allclose(found, [special.eval_legendre(k, np.cos(angles)) for k in range(7)], atol=1e-14)
    for k in range(7):  # C_k^ν(1) = (2ν)_k/k!
        one = special.eval_gegenbauer(k, 3.5, 1.0)
        np.testing.assert_allclose(
            gegenbauer(np.cos(angles), 9, 6)[k], special.eval_gegenbauer(k, 3.5, np.cos(angles)) / one, atol=1e-14
        )


def test_numbers_of_harmonics():
    dimension = [[round(math.exp(log_harmonic_dimension(k, d))) for k in range(5)] for d in (2, 3, 4, 5)]
    assert dimension == [[1, 2, 2, 2, 2], [1, 3, 5, 7, 9], [1, 4, 9, 16, 25], [1, 5, 14, 30, 55]]


@pytest.mark.parametrize("beta, d", [(math.nan, 2), (1.0, 1), (math.inf, 3)])
def test_refuses_what_is_no_kernel(beta, d):
    with pytest.raises(ValueError, match="finite β and d ≥ 2"):
        log_mean_kernel(beta, d)
    with pytest.raises(ValueError, match="vanish at β = 0"):
        log_coefficients(0.0, 3, 2)
    with pytest.raises(ValueError, match="Bessel ratios"):
        bessel_ratios(0.0, -1.0, 2)
