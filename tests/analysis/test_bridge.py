"""Skill: its closed form, its interval, and what is read back from a lab."""

import numpy as np
import pytest

from gedanken.analysis.bridge import skill


def test_skill_of_distances_in_proportion_is_exact():
    control = np.random.default_rng(0).uniform(0.5, 1.5, 12)
    found = skill(0.8 * control, control, np.random.default_rng(1))
    assert (found.value, found.low, found.high, found.n) == (
        pytest.approx(0.2),
        pytest.approx(0.2),
        pytest.approx(0.2),
        12,
    )


def test_prompts_are_resampled_in_pairs():
    """A control that differs between prompts far more than from the simulation: unpaired, the interval would hold 0."""
    rng = np.random.default_rng(2)
    control = rng.uniform(0.1, 2.0, 30)
    found = skill(control - 0.02 + 0.005 * rng.standard_normal(30), control, rng)
    assert 0 < found.low < found.value < found.high


def test_the_interval_covers():
    """Of 200 draws with a true skill of 0.1, about 95 % of the intervals hold it; 88 % is 4.5 standard errors below."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        control = rng.gamma(20.0, size=40)
        found = skill(control * (0.9 + 0.2 * rng.standard_normal(40)), control, rng, resamples=400)
        held += found.low <= 0.1 <= found.high
    assert 0.88 <= held / 200 <= 0.995
