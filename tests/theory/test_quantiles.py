"""Quantiles by bins: the order statistics of a sort, whatever the values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.theory.quantiles import quantiles

LEVELS = np.array([0.0, 0.001, 0.25, 0.5, 0.977, 0.999, 1.0])


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60), st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(deadline=None, max_examples=100)
def test_against_a_sort(values, levels):
    values, levels = np.array(values), np.array(levels)
    # Interpolation between two values rounds to an ulp of the larger.
    expected = np.quantile(values, levels)
    assert quantiles(values, levels) == pytest.approx(expected, abs=1e-13 * np.abs(values).max(), rel=1e-13)


@pytest.mark.parametrize("kind", ["normal", "heavy", "ties", "one"])
def test_many_values(kind):
    rng = np.random.default_rng(0)
    values = {
        "normal": rng.standard_normal(100_000),
        "heavy": rng.standard_cauchy(100_000),  # nearly all in one bin
        "ties": rng.integers(0, 3, 100_000).astype(float),
        "one": np.full(1000, 0.3),
    }[kind]
    assert quantiles(values, LEVELS) == pytest.approx(np.quantile(values, LEVELS), rel=1e-13)
