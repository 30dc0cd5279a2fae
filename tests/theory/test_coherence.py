"""The largest overlap by blocks against all pairs at once."""

import math

import numpy as np
import pytest

from gedanken.theory.coherence import largest_overlap, least_overlap


def unit_rows(k, d, seed=0):
    rows = np.random.default_rng(seed).standard_normal((k, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("k", [2, 1024, 1500])
def test_the_largest_overlap_is_that_of_all_pairs(k):
    unit = unit_rows(k, 6)
    cosines = np.abs(np.triu(unit @ unit.T, 1))
    assert largest_overlap(unit) == pytest.approx(cosines.max(), abs=1e-15)  # two orders of summation


def test_a_planted_pair_is_found_wherever_it_lies():
    for first, second in [(0, 1), (10, 5000), (4095, 4096), (5001, 5002)]:
        unit = unit_rows(5003, 64)
        unit[second] = -unit[first]
        assert largest_overlap(unit) == pytest.approx(1.0, abs=1e-14)


def test_one_vector_has_no_pair():
    with pytest.raises(ValueError, match="no pair"):
        largest_overlap(unit_rows(1, 3))


def test_least_overlaps():
    assert least_overlap(3, 8) == least_overlap(8, 8) == 0.0
    assert least_overlap(9, 8) == 1 / 8
    assert least_overlap(4, 1) == 1.0
    assert least_overlap(2, 1) == 1.0
    assert least_overlap(4, 2) == pytest.approx(math.sqrt(0.5))
    assert least_overlap(10, 8) is None
