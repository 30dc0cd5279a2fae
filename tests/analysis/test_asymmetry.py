"""Asymmetry between types: found where planted, not where types differ by an offset only."""

import numpy as np
import pytest

from gedanken.analysis.asymmetry import asymmetry, uniformity


def test_planted_asymmetry():
    rng = np.random.default_rng(0)
    depth = np.linspace(-1, 1, 14)
    values = np.zeros((3, 4, 5, 14))
    values[:, :2] = np.linspace(0.5, 1, 5)[:, None] * depth
    values += 0.05 * rng.standard_normal(values.shape)
    found = asymmetry(values, rng, 999)
    assert found.asymmetry.value > 0.8 and found.p == pytest.approx(0.001)
    assert found.share.low > 0.95 and found.asymmetry.low <= found.asymmetry.value <= found.asymmetry.high


def test_definitions_on_exact_numbers():
    inner = np.array([[2.0, -2.0], [4.0, -4.0], [1.0, -1.0], [1.0, -1.0]])
    values = np.zeros((1, 4, 1, 4))
    values[0, :, 0, 1:3] = inner
    found = asymmetry(values, np.random.default_rng(0), 99)
    assert found.asymmetry.value == pytest.approx((3 - 1) / (3 + 1))
    assert found.share.value == pytest.approx((4 + 16) / (4 + 16 + 1 + 1))


def test_offsets_between_types_are_no_asymmetry():
    """5 % of false alarms with centring."""
    rejected = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = rng.standard_normal((1, 4, 1, 10)) + np.array([3.0, 1.0, 0.0, -2.0])[:, None, None]
        rejected += asymmetry(values, rng, 199).p < 0.05
    # four standard errors of 5 % in 200 draws
    assert rejected / 200 <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)


def test_uniformity():
    rng = np.random.default_rng(0)
    even = 0.8 + 0.01 * rng.standard_normal((3, 12))
    assert uniformity(even, rng).high < 0.15
    assert uniformity(np.tile(np.linspace(0.1, 0.9, 12), (3, 1)), rng).low > 0.15


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="4 types"):
        asymmetry(np.zeros((1, 3, 1, 8)), np.random.default_rng(0))
