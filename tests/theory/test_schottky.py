"""The bound on the heat capacity of n levels: printed values, brute force, its own equation."""

import itertools

import numpy as np
import pytest

from gedanken.theory import canonical, schottky


def test_anchors():
    n = np.array([2, 3, 4, 5, 8, 64, 1024])
    expected = [0.439229, 0.761802, 1.023491, 1.246447, 1.776574, 5.229931, 12.982648]
    np.testing.assert_allclose(schottky.largest(n), expected, atol=6e-7)
    gaps = [2.39936, 2.65466, 2.84499, 2.99763, 3.33261, 4.99197, 7.47868]
    np.testing.assert_allclose(schottky.gap_of_largest(n), gaps, atol=6e-6)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_brute_force_reaches_it_and_never_exceeds_it(n):
    grid = np.linspace(0, 6, {3: 121, 4: 61, 5: 31}[n])
    levels = np.array(list(itertools.combinations_with_replacement(grid, n - 1)))
    found = canonical.row(np.concatenate([np.zeros((len(levels), 1)), -levels], axis=1)).heat_capacity.max()
    bound = schottky.largest(n)
    assert found <= bound
    # the nearest grid point is half a step off the maximum, where C is flat
    assert found > bound * (1 - 2 * (grid[1] / 2) ** 2)


def test_two_levels_are_a_row():
    for gap, n in ((0.3, 2), (2.0, 5), (40.0, 9)):
        z = np.append(0.0, np.full(n - 1, -gap))
        row = canonical.row(z)
        np.testing.assert_allclose(schottky.heat_capacity(gap, n), row.heat_capacity, rtol=1e-12)
        np.testing.assert_allclose(schottky.entropy(gap, n), row.entropy, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(schottky.energy(gap, n), row.energy + z.mean(), rtol=1e-12)


def test_its_size_for_many_keys():
    n = 10**6
    assert abs(schottky.largest(n) / (np.log(n - 1) ** 2 / 4 + 1) - 1) < 0.01
    assert schottky.largest(1) == 0 and schottky.heat_capacity(1.0, 1) == 0
