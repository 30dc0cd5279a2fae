"""The front of a planted wave, and of series in which nothing travels."""

import math

import numpy as np
import polars as pl
import pytest

from gedanken.analysis import fronts
from gedanken.analysis.layer_series import layer_series
from gedanken.status import Failure
from gedanken.theory import two_timescales as law

STEPS = np.arange(0, 10_001, 25)
X = (np.arange(8) + 0.5) / 8
WAVE = law.fall(STEPS[:, None].astype(float), 0.8 + 0.6 * X, 100 + 50.0 * np.arange(8), 300)


def noisy(seeds, scale, rng, wave=WAVE):
    return wave + scale * rng.standard_normal((seeds, *wave.shape))


def test_the_gradient_of_thirds_of_a_planted_wave():
    gradient = fronts.depth_gradient(fronts.smoothed(WAVE))
    # printed to five decimals; the running median moves nothing but a kink between two snapshots
    assert fronts.peak(STEPS, gradient) == (400, pytest.approx(0.52267, abs=5e-6))
    assert fronts.reversal(STEPS, gradient) == 675
    assert fronts.end_value(gradient) == pytest.approx(-0.45, abs=1e-6)
    fine = np.arange(0, 10_001, 1)
    gradient = fronts.depth_gradient(
        law.fall(fine[:, None].astype(float), 0.8 + 0.6 * X, 100 + 50.0 * np.arange(8), 300)
    )
    assert fronts.reversal(fine, gradient) == 668


def test_arrivals_are_half_times():
    found = fronts.arrivals(STEPS, WAVE)
    # linear interpolation over 25 steps of a curve with timescale 300 is off by at most 25²/(8·300) = 0.26
    np.testing.assert_allclose(found, 100 + 50 * np.arange(8) + 300 * math.log(2), atol=0.3)
    rank = 130 * np.exp(WAVE)
    second = fronts.crossings(STEPS, rank, 0.8 * rank[0])
    exact = 100 + 50 * np.arange(8) - 300 * np.log(1 + math.log(0.8) / (0.8 + 0.6 * X))
    np.testing.assert_allclose(second, exact, atol=0.6)


def test_a_planted_wave_is_recovered_with_its_intervals():
    rng = np.random.default_rng(0)
    found = fronts.front(STEPS, noisy(4, 0.02, rng), rng)
    assert found.moves and found.tau.value == pytest.approx(1) and found.tau_p == pytest.approx(1 / 10_000)
    assert found.speed.low <= 0.02 <= found.speed.high and abs(found.speed.value - 0.02) < 0.002
    assert abs(found.peak_step.value - 400) <= 50 and abs(found.peak.value - 0.523) < 0.03
    assert found.reversal_step.low <= found.reversal_step.value <= found.reversal_step.high
    assert abs(found.reversal_step.value - 675) <= 75
    assert found.end.low < -0.4 and found.end.high < -0.43 + 0.02 and found.turn.value > 0 and found.turn_p < 0.05
    # medians of three layers each would be 250 apart; of two, 300
    assert found.lag.value == pytest.approx(300, abs=25)


def test_nothing_travels_where_layers_are_alike():
    rejected, turned = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        # each layer starts and ends where chance wants it
        onset, amplitude = rng.uniform(100, 450, 8), rng.uniform(0.8, 1.4, 8)
        wave = law.fall(STEPS[::4, None].astype(float), amplitude, onset, 300)
        rejected += fronts.arrival_order(fronts.arrivals(STEPS[::4], wave), rng, 500)[1] < 0.05
        turned += fronts.turning(STEPS[::4], wave, rng, 500)[1] < 0.05
    # 5 % of 60 is 3; more than 9 has a probability below 0.001
    assert rejected <= 9 and turned <= 9


def test_a_frozen_run_does_not_move_and_has_no_front():
    rng = np.random.default_rng(1)
    found = fronts.front(STEPS, np.zeros((3, *WAVE.shape)), rng, draws=100)
    assert not found.moves and np.isnan(found.arrivals).all() and math.isnan(found.tau.value)
    assert found.tau_p == 1.0 and math.isnan(found.speed.value) and math.isnan(found.delay.value)


def test_layers_that_are_never_reached_share_the_last_rank():
    assert fronts.kendall(np.array([1.0, 2.0, np.nan, np.nan])) == pytest.approx(5 / math.sqrt(5 * 6))


def test_all_orders_are_listed_where_there_are_few():
    _, p = fronts.arrival_order(np.arange(5.0), np.random.default_rng(0))
    assert p == pytest.approx(1 / 120)


def test_the_depth_slope_is_that_of_a_line():
    u = np.outer([0.0, 1.0, -2.0], X) + 3
    np.testing.assert_allclose(fronts.depth_slope(u), [0.0, 1.0, -2.0], atol=1e-12)


def test_a_frame_becomes_a_grid():
    rows = [
        {"run": "r", "step": step, "layer": layer, "part": part, "variable": "stable_rank", "value": value}
        for step, layer, part, value in [
            (0, 0, "W_Q", 8.0),
            (25, 0, "W_Q", 4.0),
            (0, 1, "W_Q", None),
            (25, 1, "W_Q", 2.0),
        ]
    ]
    series = layer_series(pl.DataFrame(rows), "stable_rank", "r", ("W_Q",))
    u = series.log_compression.values[0]
    assert u[1, 0] == pytest.approx(-math.log(2)) and math.isnan(u[0, 1]) and u[1, 1] == 0.0
    np.testing.assert_allclose(series.relative_depth, [0.25, 0.75])
    with pytest.raises(Failure, match="no rank_exponent of W_Q"):
        layer_series(pl.DataFrame(rows), "rank_exponent", "r", ("W_Q",))
    with pytest.raises(Failure, match="more than one setting"):
        layer_series(pl.DataFrame(rows + rows), "stable_rank", "r", ("W_Q",))
