"""Moments of pairwise cosines: identities, the noise correction and the law of independent rows, by plain pairs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.theory import cosines
from gedanken.theory.cosines import GaussianTwin, pair_cosines


def unit(table):
    return table / np.linalg.norm(table, axis=1, keepdims=True)


def moments_of(u):
    total, second = u.sum(axis=0), u.T @ u
    return pair_cosines(len(u), float(total @ total), float(np.sum(second**2)))


def pairs(u):
    return np.array([u[i] @ u[j] for i in range(len(u)) for j in range(i)])


def simplex(d):
    return unit(np.eye(d + 1) - 1 / (d + 1))


EXACT = [
    ("orthonormal", np.eye(12), 0.0, 0.0),
    ("equal", np.tile(np.eye(12)[3], (30, 1)), 1.0, 0.0),
    ("simplex", simplex(12), -1 / 12, 0.0),
    ("copies", np.tile(np.eye(12), (4, 1)), 3 / 47, math.sqrt(3 / 47 * 44 / 47)),
    ("opposite", np.concatenate([np.eye(5), -np.eye(5)]), -1 / 9, math.sqrt(1 / 9 - 1 / 81)),
]


@pytest.mark.parametrize(("name", "rows", "mean", "spread"), EXACT, ids=[case[0] for case in EXACT])
def test_exact_tables(name, rows, mean, spread):
    found = moments_of(rows)
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.spread == pytest.approx(spread, abs=1e-12)
    assert found.edge() == pytest.approx(mean + 2 * spread, abs=1e-12)


def test_a_random_table_against_a_loop_over_pairs():
    u = unit(np.random.default_rng(0).standard_normal((200, 16)) + 0.7)
    found, all_pairs = moments_of(u), pairs(u)
    assert found.mean == pytest.approx(all_pairs.mean(), abs=1e-12)
    assert found.square == pytest.approx(np.mean(all_pairs**2), abs=1e-12)
    assert found.spread == pytest.approx(all_pairs.std(), abs=1e-12)
    # by the polarization and the participation ratio
    n, r = len(u), np.linalg.norm(u.mean(axis=0))
    p = 1 / np.sum(np.linalg.eigvalsh(u.T @ u / n) ** 2)
    assert found.mean == pytest.approx((n * r**2 - 1) / (n - 1), abs=1e-12)
    assert found.square == pytest.approx((n / p - 1) / (n - 1), abs=1e-12)
    # the form for n ≫ P: terms of order P/n, here 2 % of ε
    assert found.edge() == pytest.approx(r**2 + 2 * math.sqrt(1 / p - r**4), rel=0.02)


@given(st.integers(2, 30), st.integers(2, 40), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_no_table_with_zero_mean_is_below_welch(n, d, seed):
    u = unit(np.random.default_rng(seed).standard_normal((n, d)))
    assert moments_of(u).square >= max(n - d, 0) / (d * (n - 1)) - 1e-14


@given(st.integers(2, 40), st.floats(1e-9, 1), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_the_spread_is_never_rounding_noise(n, tightness, seed):
    u = unit(np.eye(8)[0] + tightness * np.random.default_rng(seed).standard_normal((n, 8)))
    found, plain = moments_of(u).spread, pairs(u).std()
    # σ² is a difference of numbers near 1 and set to 0 below 16 eps of each of the terms: three of them at most
    assert found**2 == pytest.approx(plain**2, abs=3 * 16 * 2.3e-16)


@pytest.mark.parametrize("noise", [0.006, 0.08, 0.3])
def test_quantisation_noise_by_simulation(noise):
    n, d, rng = 4000, 128, np.random.default_rng(1)
    clean = unit(rng.standard_normal((n, d)) * np.linspace(0.2, 2, d) + 0.5)
    stored = unit(clean + noise * rng.standard_normal((n, d)) / math.sqrt(d))
    before, after = moments_of(clean), moments_of(stored)
    back = cosines.without_quantisation_noise(after, d, noise)
    # The noise of one draw: a row's own noise moves its cosines by ησ/√n about, and leaves no bias
    tolerance = 4 * noise * before.spread / math.sqrt(n)
    assert back.mean == pytest.approx(before.mean, abs=tolerance)
    assert back.edge() == pytest.approx(before.edge(), abs=3 * tolerance)
    if noise >= 0.08:
        assert abs(after.edge() - before.edge()) > 5 * abs(back.edge() - before.edge())


@pytest.mark.parametrize(("n", "d"), [(30, 8), (400, 64)])
def test_the_null_has_its_exact_mean_and_variance(n, d):
    twin, number = GaussianTwin(n, d), n * (n - 1) / 2
    assert twin.mean().mean() == pytest.approx(0, abs=1e-15)
    # (χ²_d/d − 1)/√(n(n−1)): variance 2/(d n(n−1)) = 1/(Nd)
    assert twin.mean().std() == pytest.approx(1 / math.sqrt(number * d), rel=1e-12)
    assert twin.square().mean() == 1 / d
    fourth = 3 / (d * (d + 2))
    assert twin.square().std() == pytest.approx(math.sqrt((fourth - 1 / d**2) / number), rel=1e-12)
    assert twin.edge().mean() == pytest.approx(2 / math.sqrt(d), rel=1e-12)
    assert twin.edge().std() == pytest.approx(math.sqrt(3 / (number * d)), rel=2 / d)


def test_errors_are_those_of_a_jackknife():
    """Leaving out one row after the other gives the same first-order error, from the definition alone."""
    rng = np.random.default_rng(2)
    u = unit(rng.standard_normal((150, 20)) * np.exp(rng.standard_normal(20)) + 0.6)
    total, second = u.sum(axis=0), u.T @ u
    whole = cosines.errors(moments_of(u), u @ total, np.einsum("ij,ij->i", u @ second, u))
    without = [moments_of(np.delete(u, i, axis=0)) for i in range(len(u))]
    mu, sigma, n = whole.pairs.mean, whole.pairs.spread, len(u)
    # The jackknife counts the variance of single pairs twice, an error once; for normal cosines it is, for each
    single = {"mean": sigma**2, "square": 4 * mu**2 * sigma**2 + 2 * sigma**4, "spread": sigma**2 / 2}
    for name, of_a_pair in single.items():
        jackknife = (n - 1) * np.var([getattr(one, name) for one in without])
        error = getattr(whole, name)()
        # (n−1)²/(n−2)² between the two definitions, and the square's curvature, of relative size 1/n
        assert jackknife == pytest.approx(error**2 + of_a_pair / (n * (n - 1) / 2), rel=4 / n), name
    jackknife = (n - 1) * np.var([one.edge() for one in without])
    assert jackknife == pytest.approx(whole.edge() ** 2 + 3 * sigma**2 / (n * (n - 1) / 2), rel=4 / n)
