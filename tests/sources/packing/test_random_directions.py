"""Random directions by simulation against the exact law."""

import math

import numpy as np
import pytest

from gedanken.sources.packing.random_directions import random_overlaps
from gedanken.theory.packing import random_coherence


def expected(k, d, **how):
    return random_coherence(k * (k - 1) / 2, d, **how)


@pytest.mark.parametrize(
    ("k", "d", "once", "of_hundred"),
    [(200, 32, 0.6554, 0.5963), (500, 64, 0.5302, 0.4864), (1000, 128, 0.4101, 0.3781), (2000, 256, 0.3115, 0.2889)],
)
def test_oracle_values(k, d, once, of_hundred):
    # printed to four digits
    assert expected(k, d) == pytest.approx(once, abs=6e-5)
    assert expected(k, d, trials=100) == pytest.approx(of_hundred, abs=6e-5)


def test_simulation_agrees_with_the_oracle():
    found = random_overlaps(200, 32, 200, np.random.default_rng(0))
    # the median of 200 draws that scatter by 4–5 % has an error of 0.4 %
    assert np.median(found) == pytest.approx(expected(200, 32), rel=0.015)
    low, high = (expected(200, 32, q=q) for q in (0.05, 0.95))
    assert (low, high) == (pytest.approx(0.613, abs=6e-4), pytest.approx(0.718, abs=6e-4))
    inside = np.count_nonzero((found > low) & (found < high))
    assert abs(inside - 180) < 4 * math.sqrt(200 * 0.9 * 0.1)  # four binomial standard deviations


def test_the_least_of_trials_is_lower_as_the_oracle_says():
    found = random_overlaps(100, 16, 300, np.random.default_rng(1)).reshape(30, 10).min(axis=1)
    # 30 minima that scatter by about 2 %: the median to 0.5 %
    assert np.median(found) == pytest.approx(expected(100, 16, trials=10), rel=0.015)
