"""ln τ* with its error: the vertex, its jackknife against a bootstrap-free formula, and what has no vertex."""

import numpy as np
import pytest

from gedanken.instruments.heated_loss.loss_at_temperature import LossAtTemperature
from gedanken.kinds import HeatedLoss
from gedanken.status import Flag, Refusal
from gedanken.theory.row_sums import GRID


def read(array: HeatedLoss):
    return LossAtTemperature().measure(array, np.random.default_rng(0))


def bowls(centres: np.ndarray, tokens: int = 50) -> HeatedLoss:
    """Groups of equal size and curvature, each with its own best ln τ: the mean's is the mean of theirs."""
    loss = 3 + (np.log(GRID) - centres[:, None]) ** 2
    return HeatedLoss(GRID, tokens * loss, np.full(len(centres), tokens))


def test_the_error_is_that_of_a_mean_over_groups():
    centres = 0.2 + 0.05 * np.random.default_rng(0).standard_normal(30)
    found = read(bowls(centres))["log_best_temperature"]
    assert found.value == pytest.approx(centres.mean(), abs=1e-9)
    # Jackknife of a mean is its standard error exactly.
    assert found.stderr == pytest.approx(centres.std(ddof=1) / 30**0.5, rel=1e-6)


def test_the_excess_is_free_of_what_all_temperatures_share():
    same = bowls(np.full(10, 0.2))
    shifted = HeatedLoss(GRID, same.nats + 1000 * np.arange(10)[:, None], same.tokens)
    found = read(shifted)["loss_excess_at_temperature"]
    np.testing.assert_allclose(found.high - found.low, 0, atol=1e-9)  # rounding of sums of some thousand nats


@pytest.mark.parametrize("centre", [-5.0, 5.0])
def test_a_minimum_outside_the_grid_is_refused(centre):
    found = read(bowls(np.full(3, centre)))["log_best_temperature"]
    assert isinstance(found, Refusal) and found.flag == Flag.at_bound


def test_one_group_has_no_error():
    found = read(bowls(np.array([0.1])))
    assert found["log_best_temperature"].stderr is None and found["loss_excess_at_temperature"].low is None
