"""Exponents over depth, and the null that gives one by itself."""

import numpy as np
import pytest

from gedanken.analysis.depth_scaling import expected_range, exponent, null_exponents, range_null, rivals

DEPTHS = np.array([8.0, 12, 16, 24, 36])
LADDER = np.array([6.0, 8, 12, 16, 24, 32])
RANGES = {6: 2.534, 8: 2.847, 10: 3.078, 12: 3.258, 14: 3.407, 16: 3.532, 22: 3.819, 24: 3.895, 32: 4.139, 34: 4.189,
          36: 4.236}  # fmt: skip


def test_the_expected_range_of_normals():
    for count, value in RANGES.items():
        assert expected_range(count) == pytest.approx(value, abs=5e-4), "printed to three decimals"
    assert expected_range(2) == pytest.approx(2 / np.sqrt(np.pi), abs=1e-9)


def test_the_range_null_is_the_published_law():
    found = exponent(DEPTHS, np.array([expected_range(int(d)) for d in DEPTHS]))
    assert found.exponent.value == pytest.approx(0.262, abs=5e-4) and found.r_squared == pytest.approx(0.990, abs=5e-4)
    found = exponent(LADDER, np.array([expected_range(int(d)) for d in LADDER]))
    assert found.exponent.value == pytest.approx(0.291, abs=5e-4) and found.r_squared == pytest.approx(0.987, abs=5e-4)
    inner = exponent(DEPTHS, np.array([expected_range(int(d) - 2) for d in DEPTHS]))
    assert inner.exponent.value == pytest.approx(0.329, abs=5e-4)


@pytest.mark.parametrize(("depths", "of_range", "of_smooth"), [(DEPTHS, 0.262, -0.41), (LADDER, 0.29, -0.39)])
def test_null_exponents(depths, of_range, of_smooth):
    found = null_exponents(depths, np.random.default_rng(0), 4000)
    # printed to two decimals; 4,000 draws give the smooth one to about 0.01
    assert found[0] == pytest.approx(of_range, abs=5e-3) and found[1] == pytest.approx(of_smooth, abs=0.03)
    drawn = range_null(depths, np.ones(len(depths)), np.random.default_rng(1), 2000)
    assert np.median(drawn) == pytest.approx(of_range, abs=0.02)


@pytest.mark.parametrize(("points", "half"), [(3, 0.33), (9, 0.023)])
def test_what_a_good_fit_to_few_points_means(points, half):
    x = np.linspace(2, 3.6, points)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(points)
    design = np.stack([np.ones(points), x], axis=1)
    noise -= design @ np.linalg.lstsq(design, noise, rcond=None)[0]
    line = 0.26 * (x - x.mean())
    noise *= np.sqrt(line @ line / 99 / (noise @ noise))
    found = exponent(np.exp(x), np.exp(line + noise))
    assert found.r_squared == pytest.approx(0.99, abs=1e-9) and found.exponent.value == pytest.approx(0.26, abs=1e-9)
    assert found.exponent.high - found.exponent.value == pytest.approx(half, abs=5e-3 if points == 3 else 5e-4)
    if points == 3:
        assert found.p == pytest.approx(0.064, abs=5e-4)


def test_a_planted_power_law_beats_its_rivals_and_a_constant_does_not():
    rng = np.random.default_rng(2)
    depths = np.array([6.0, 8, 12, 16, 24, 32, 48, 64])
    planted = 0.05 * depths**0.8 * np.exp(0.02 * rng.standard_normal(8))
    found = exponent(depths, planted)
    assert found.exponent.low <= 0.8 <= found.exponent.high and found.left_out[0] <= found.left_out[1]
    assert rivals(depths, planted)[0].name == "power"
    assert rivals(depths, 0.3 * np.exp(0.05 * rng.standard_normal(8)))[0].name == "constant"
    ranges = np.array([expected_range(int(d)) for d in depths])
    assert rivals(depths, 0.1 * ranges * np.exp(0.005 * rng.standard_normal(8)))[0].name == "range null"


def test_ratios_of_the_published_law():
    assert (np.array([12, 16, 24, 36]) / 8) ** 0.26 == pytest.approx([1.111, 1.197, 1.331, 1.479], abs=5e-4)


def test_bad_input():
    with pytest.raises(ValueError, match="3 depths"):
        exponent(np.array([8.0, 16]), np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match="positive"):
        exponent(DEPTHS, np.array([0.1, 0.2, 0, 0.2, 0.1]))
