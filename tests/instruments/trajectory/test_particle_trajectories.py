"""Staircases and tracks on small simulations written out here, and on made-up records."""

import math

import numpy as np
import pytest

from gedanken.instruments.trajectory._tracks import follow, longest_stretch
from gedanken.instruments.trajectory.cluster_tracks import ClusterTracks
from gedanken.instruments.trajectory.energy_staircase import EnergyStaircase, plateaus
from gedanken.kinds import Trajectory
from gedanken.status import Flag, Refusal
from gedanken.theory.clustering.cluster_pair import merge_time

RNG = np.random.default_rng(0)


def circle(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def softmax_run(angles, beta, times):
    """Attention with softmax on the circle: RK4 between the given times, 0.05 at a time."""

    def velocity(x):
        gap = x[:, None] - x[None, :]
        weight = np.exp(beta * (np.cos(gap) - 1))
        return -(weight * np.sin(gap)).sum(axis=1) / weight.sum(axis=1)

    states, at, x = [], 0.0, np.array(angles)
    for time in times:
        count = max(1, math.ceil((time - at) / 0.05))
        h = (time - at) / count
        for _ in range(count if h > 0 else 0):
            a = velocity(x)
            b = velocity(x + h / 2 * a)
            c = velocity(x + h / 2 * b)
            x = x + h / 6 * (a + 2 * b + 2 * c + velocity(x + h * c))
        states.append(x)
        at = time
    return np.array(states)


def test_a_pair_merges_when_the_theory_says():
    beta, times = 20.0, np.linspace(0, 500, 251)
    states = softmax_run([0.0, 0.0, 1.0, 1.0], beta, times)
    run = Trajectory([circle(x) for x in states], times)
    reading = ClusterTracks(beta).measure(run, RNG)
    # single linkage at 0.3/√β; states are 2 apart
    predicted = merge_time(beta, 1.0, 0.3 / math.sqrt(beta))
    assert reading["metastable_lifetime"].value == pytest.approx(predicted, abs=2.0)
    assert reading["metastable_lifetime"].flags == ()
    assert reading["cluster_merge_count"].value == 1
    assert reading["cluster_count_track"].y[[0, -1]].tolist() == [2.0, 1.0]
    assert reading["cluster_lifetime"].flags == (Flag.censored,)


def test_energy_of_a_run_rises_in_steps():
    beta, times = 20.0, np.linspace(0, 500, 251)
    run = Trajectory([circle(x) for x in softmax_run([0.0, 0.0, 1.0, 1.0], beta, times)], times)
    reading = EnergyStaircase(beta).measure(run, RNG)
    curve = reading["energy_staircase"]
    assert np.all(np.diff(curve.y) > -1e-14)
    assert curve.y[0] == pytest.approx((1 + math.exp(beta * (math.cos(1) - 1))) / 2) and curve.y[-1] == pytest.approx(1)
    assert reading["plateau_count"].value == 2
    assert reading["plateau_share"].value > 0.9


def test_a_ramp_has_no_plateau():
    at = np.linspace(0, 1, 101)
    assert plateaus(at, 0.2 + 0.8 * at, 1.02, 0.1) == []
    assert plateaus(at, np.ones(101), 1.02, 0.1) == [(0, 100)]


def test_plateaus_do_not_depend_on_how_densely_time_is_sampled():
    at = np.concatenate([np.linspace(0, 1, 300), np.linspace(1.01, 3, 20), [10.0]])
    level = np.where(at <= 1, 0.3, np.where(at <= 3, 0.5, 1.0))
    assert [(at[a], at[b]) for a, b in plateaus(at, level, 1.02, 0.09)] == [(0.0, 1.0), (1.01, 3.0)]


def test_tracks_of_merges_births_and_splits():
    poles = circle(np.array([0.0, 2.0, 4.0]))

    def state(*places):
        return np.repeat(poles[list(places)], [6, 4, 3], axis=0)

    scattered = state(0, 1, 2)
    scattered[10:] = circle(np.array([2.8, 3.4, 5.2]))  # the third cluster falls apart
    found = follow([state(0, 1, 2), state(0, 0, 2), scattered, state(0, 1, 2)], 0.1, 0.02)
    assert found.counts.tolist() == [3, 2, 2, 3]
    first = found.tracks[0]
    assert (first.first, first.last, first.ended, len(first.members)) == (0, 3, False, 6)
    assert (found.tracks[1].merged_into, found.tracks[1].last) == (0, 0)
    assert (found.tracks[2].merged_into, found.tracks[2].ended, found.tracks[2].last) == (None, True, 1)
    assert found.merges == [1]
    assert [track.first for track in found.tracks] == [0, 0, 0, 2, 3]


@pytest.mark.parametrize(
    "counts, expected",
    [
        ([1, 3, 3, 2, 1], (2.0, 3, False)),
        ([1, 3, 2, 2, 2], (2.0, 2, True)),
        ([1, 1, 1], (0.0, 0, False)),
        ([0, 2], (0.0, 0, False)),
        ([2, 2, 1], (2.0, 2, False)),
    ],
)
def test_longest_stretch(counts, expected):
    assert longest_stretch(np.array(counts), np.arange(float(len(counts)))) == expected


def test_a_record_that_ends_too_early_is_censored():
    run = Trajectory([circle(np.array([0.0, 0.0, 2.0, 2.0]))] * 4, np.arange(4.0))
    found = ClusterTracks().measure(run, RNG)["metastable_lifetime"]
    assert found.value == 3.0 and found.flags == (Flag.censored,)


@pytest.mark.parametrize("instrument", [ClusterTracks(), EnergyStaircase()])
def test_refusals(instrument):
    points = np.random.default_rng(1).standard_normal((10, 3))
    for states, at, flag in (
        ([points], [0.0], Flag.too_small),
        ([points[:1]] * 2, [0.0, 1.0], Flag.too_small),
        ([points, points * np.nan], [0.0, 1.0], Flag.non_finite),
        ([points, points], [1.0, 1.0], Flag.constant),
        ([points, 0 * points], [0.0, 1.0], Flag.too_small),
    ):
        with pytest.raises(Refusal) as caught:
            instrument.measure(Trajectory(states, np.array(at)), RNG)
        assert caught.value.flag is flag
    gone = points.copy()
    gone[0] = 0
    reading = instrument.measure(Trajectory([points, gone], np.array([0.0, 1.0])), RNG)
    assert all(Flag.zero_rows in found.flags for found in reading.values())
    with pytest.raises(ValueError, match="positive and finite"):
        type(instrument)(0.0)
