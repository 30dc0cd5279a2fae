"""Linear CKA along a trajectory: a planted change, first positions, bands."""

import numpy as np
import pytest

from gedanken.instruments.trajectory.linear_cka import LinearCka
from gedanken.kinds import Trajectory
from gedanken.status import Flag, Refusal


def measured(trajectory: Trajectory):
    return LinearCka().measure(trajectory, np.random.default_rng(0))


def test_a_planted_change_is_the_least_similar_step():
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, 480, 30))
    states = [first, 2 * first, first + 3, second, second[:, ::-1]]
    group, position = np.arange(480) // 24, np.arange(480) % 24
    reading = measured(Trajectory(states, np.linspace(0, 1, 5), group, position))
    assert reading["linear_cka_next"].x == pytest.approx([0.125, 0.375, 0.625, 0.875])
    assert reading["linear_cka_next"].y == pytest.approx([1, 1, 0, 1], abs=4 * np.sqrt(2) / 400)
    assert reading["linear_cka_first"].y == pytest.approx([1, 1, 0, 0], abs=4 * np.sqrt(2) / 400)
    assert reading["linear_cka_least_at"].value == 0.625
    assert reading["linear_cka_least"].n == 400
    assert reading["linear_cka_next"].null_high[0] == pytest.approx(1.96 * np.sqrt(2) / 20, rel=1e-3)


def test_first_positions_do_not_count():
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((240, 10))
    other = rng.standard_normal((240, 10))
    other[::24] = rows[::24] = 1e4
    position = np.arange(240) % 24
    with_sinks = measured(Trajectory([rows, other], np.array([0.0, 1.0]), np.arange(240) // 24))
    without = measured(Trajectory([rows, other], np.array([0.0, 1.0]), np.arange(240) // 24, position))
    # One token per prompt makes the two alike.
    assert with_sinks["linear_cka_least"].value > 0.99
    assert abs(without["linear_cka_least"].value) < 4 * np.sqrt(2) / 200


def test_refusals():
    rng = np.random.default_rng(3)
    for states, flag in (
        ([rng.standard_normal((3, 5))] * 2, Flag.too_small),
        ([rng.standard_normal((9, 5))], Flag.too_small),
        ([np.ones((9, 5))] * 2, Flag.constant),
        ([np.full((9, 5), np.nan)] * 2, Flag.non_finite),
    ):
        with pytest.raises(Refusal) as refused:
            measured(Trajectory(states, np.linspace(0, 1, len(states))))
        assert refused.value.flag == flag
