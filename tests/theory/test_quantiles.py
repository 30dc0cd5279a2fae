"""Quantiles of sorted values and of their absolute values: those of numpy, whatever the values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.theory.quantiles import absolute_quantiles, quantiles

LEVELS = np.array([0.0, 0.001, 0.25, 0.5, 0.977, 0.999, 1.0])


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60), st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(deadline=None, max_examples=100)
def test_against_a_sort(values, levels):
    values, levels = np.sort(values), np.array(levels)
    # Interpolation between two values rounds to an ulp of the larger.
    near = {"abs": 1e-13 * np.abs(values).max(), "rel": 1e-13}
    assert quantiles(values, levels) == pytest.approx(np.quantile(values, levels), **near)
    assert absolute_quantiles(values, levels) == pytest.approx(np.quantile(np.abs(values), levels), **near)


@pytest.mark.parametrize("kind", ["normal", "heavy", "ties", "one"])
def test_many_values(kind):
    rng = np.random.default_rng(0)
    drawn = {
        "normal": rng.standard_normal(100_000),
        "heavy": rng.standard_cauchy(100_000),
        "ties": rng.integers(0, 3, 100_000).astype(float),
        "one": np.full(1000, 0.3),
    }[kind]
    for values in (drawn, -drawn, drawn - 0.5):
        values = np.sort(values)
        assert quantiles(values, LEVELS) == pytest.approx(np.quantile(values, LEVELS), rel=1e-13)
        assert absolute_quantiles(values, LEVELS) == pytest.approx(np.quantile(np.abs(values), LEVELS), rel=1e-13)
