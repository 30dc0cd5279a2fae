"""Null bands: exact rank p-values, whatever the law of the draws, and the same band at any scale."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gedanken.instruments.nulls import Draws, law_band
from gedanken.theory.laws import Normal


def naive_p(value, draws):
    """By the definition: how many of all values lie at least as far from the median of all."""
    everything = np.append(draws, value)
    distance = np.abs(everything - np.median(everything))
    return np.mean(distance >= distance[-1] * (1 - 1e-12))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=12), st.integers(-8, 8))
@example([-5], -4)
def test_p_is_that_of_the_definition_with_ties(draws, value):
    assert Draws.of([float(d) for d in draws]).band(float(value), "x").p == pytest.approx(naive_p(value, draws))


@pytest.mark.slow
@pytest.mark.parametrize("count", [19, 20, 59])
@pytest.mark.parametrize("law", ["normal", "exponential", "two values"])
def test_p_is_exact_under_the_null(count, law):
    """P(p ≤ k/(B + 1)) ≤ k/(B + 1), with equality where there are no ties."""
    rng = np.random.default_rng(count)
    trials = 4000
    drawn = {"normal": rng.standard_normal, "exponential": rng.standard_exponential}
    make = drawn.get(law, lambda size: rng.integers(0, 2, size).astype(float))
    values = make((trials, count + 1))
    p = np.array([Draws.of(row[1:]).band(row[0], "x").p for row in values])
    for level in (0.1, 0.3, 0.6):
        exact = np.floor(level * (count + 1) + 1e-9) / (count + 1)
        spread = 4 * np.sqrt(exact * (1 - exact) / trials)
        share = np.mean(p <= level + 1e-12)
        assert share <= exact + spread
        assert law == "two values" or share >= exact - spread


def test_the_furthest_value_reaches_the_smallest_p():
    draws = Draws.of(np.arange(59.0))
    assert draws.band(1e9, "x").p == draws.band(-1e9, "x").p == pytest.approx(1 / 60)
    assert draws.band(29.0, "x").p == 1.0


def test_a_scale_moves_the_band_and_not_p():
    draws = Draws.of(np.random.default_rng(1).standard_normal(59))
    one, three = draws.band(0.7, "x"), draws.band(2.1, "x", scale=3.0)
    assert (three.low, three.median, three.high) == pytest.approx((3 * one.low, 3 * one.median, 3 * one.high))
    assert three.p == one.p and three.draws == 59


@pytest.mark.parametrize("draws", [[], [1.0, np.nan], [np.inf, 1.0]])
def test_draws_that_are_none_are_refused(draws):
    with pytest.raises(ValueError, match="finite draws"):
        Draws.of(draws)


def test_a_law_gives_its_quantiles_and_two_sided_p():
    band = law_band(1.0 + 2 * 1.959963984540054, Normal(1.0, 2.0))
    assert (
        band.p == pytest.approx(0.05) and band.high == pytest.approx(1 + 2 * 1.959963984540054) and band.median == 1.0
    )
    falling = law_band(0.0, Normal(0.0, 1.0), lambda x: -x)
    assert falling.low < falling.median < falling.high
