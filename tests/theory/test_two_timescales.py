"""Closed forms of the two-timescale model against its equations and against printed numbers."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gedanken.theory import two_timescales as law

X = (np.arange(8) + 0.5) / 8
AMPLITUDE, ONSET = 0.8 + 0.6 * X, 100 + 50.0 * np.arange(8)


def test_two_layers_with_a_travelling_front():
    early, late = AMPLITUDE[0], AMPLITUDE[-1]
    assert (early, late) == pytest.approx((0.8375, 1.3625), abs=1e-12)
    assert (ONSET[0], ONSET[-1]) == (100, 450)
    # printed to five and three decimals
    assert law.peak_of_two(early, 100, 450, 300) == pytest.approx((450, 0.57670), abs=5e-6)
    assert law.reversal_of_two(early, late, 100, 450, 300) == pytest.approx(672.363, abs=5e-4)
    assert law.end_of_two(early, late) == pytest.approx(-0.525, abs=1e-12)


def test_two_layers_without_delay():
    step, value = law.peak_without_delay(0.8, 1.4, 300, 900)
    assert (step, value) == (pytest.approx(242.548, abs=5e-4), pytest.approx(0.112845, abs=5e-7))


def test_the_formulas_agree_with_the_curves():
    t = np.arange(0.0, 5000.0, 0.5)[:, None]
    u = law.fall(t, AMPLITUDE, ONSET, 300)
    gradient = u[:, -1] - u[:, 0]
    step, value = law.peak_of_two(AMPLITUDE[0], 100, 450, 300)
    assert gradient.max() == pytest.approx(value, abs=1e-12) and t[gradient.argmax(), 0] == step
    crossing = t[np.argmax((t[:, 0] > step) & (gradient <= 0)), 0]
    assert abs(crossing - law.reversal_of_two(AMPLITUDE[0], AMPLITUDE[-1], 100, 450, 300)) <= 0.5
    slow = law.fall(t, np.array([0.8, 1.4]), np.zeros(2), np.array([300.0, 900.0]))
    assert (slow[:, 1] - slow[:, 0]).max() == pytest.approx(law.peak_without_delay(0.8, 1.4, 300, 900)[1], abs=1e-7)


def test_closed_forms_solve_their_equations():
    t = np.linspace(0, 1000, 41)
    rank = solve_ivp(
        lambda s, u: np.where(s >= ONSET, -(u + AMPLITUDE) / 300, 0), (0, 1000), np.zeros(8), t_eval=t, max_step=1.0
    )
    np.testing.assert_allclose(law.fall(t[:, None], AMPLITUDE, ONSET, 300), rank.y.T, atol=2e-3)
    target = law.bump(X, 0.2, 0.1, 0.4, 0.2)
    shape = solve_ivp(lambda s, a: (target - a) / 700, (0, 1000), np.full(8, 0.1), t_eval=t, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(law.settle(t[:, None], 0.1, target, 700), shape.y.T, atol=1e-8)


def test_a_smooth_fall_starts_at_zero_and_ends_at_its_amplitude():
    t = np.array([[0.0], [1e6]])
    u = law.logistic_fall(t, AMPLITUDE, ONSET, 50.0)
    np.testing.assert_allclose(u, [np.zeros(8), -AMPLITUDE], atol=1e-12)


def test_what_does_not_happen_is_refused():
    with pytest.raises(ValueError, match="reverses only if"):
        law.reversal_of_two(1.0, 0.9, 100, 450, 300)
    with pytest.raises(ValueError, match="no peak"):
        law.peak_without_delay(0.5, 2.0, 300, 400)
