"""Power by degree: pairs against harmonics, rotation, scipy's spherical harmonics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from gedanken.theory.harmonic_power import fourier_modes, harmonic_power, pair_power, sphere_means


def unit(n, d, seed, lean=0.3):
    x = np.random.default_rng(seed).standard_normal((n, d)) + lean
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@given(st.integers(2, 60), st.sampled_from([2, 3]), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_harmonics_give_what_pairs_give(n, d, seed):
    x = unit(n, d, seed)
    np.testing.assert_allclose(harmonic_power(x, 14), pair_power(x, 14), atol=1e-14)


def test_blocks_of_pairs_change_nothing(monkeypatch):
    x = unit(50, 7, 1)
    before = pair_power(x, 5)
    monkeypatch.setattr("gedanken.theory.harmonic_power.BLOCK_ENTRIES", 60)
    np.testing.assert_allclose(pair_power(x, 5), before, rtol=1e-13)


def test_harmonics_are_those_of_scipy():
    x = unit(30, 3, 2)
    polar, azimuth = np.arccos(x[:, 2]), np.arctan2(x[:, 1], x[:, 0])
    for degree, means in enumerate(sphere_means(x, 9), 1):
        for m, mean in enumerate(means):
            expected = np.mean(special.sph_harm_y(degree, m, polar, azimuth)) * np.sqrt(4 * np.pi)
            assert abs(mean) == pytest.approx(abs(expected), abs=1e-13)


def test_sphere_harmonics_have_unit_mean_square_at_high_degree():
    # one point: Σ_m |Y_ℓm|² = 2ℓ+1 at every place, up to ℓ = 60
    np.testing.assert_allclose(harmonic_power(unit(1, 3, 3), 60), 1.0, rtol=1e-12)


def test_modes_of_the_circle():
    angles = np.random.default_rng(4).uniform(0, 7, 40)
    expected = [np.mean(np.exp(-1j * k * angles)) for k in range(1, 6)]
    np.testing.assert_allclose(fourier_modes(angles, 5), expected, atol=1e-15)
