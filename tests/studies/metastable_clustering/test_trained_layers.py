"""The rule of MC18 on planted skills, both ways."""

import numpy as np
import pytest

from gedanken.analysis.bridge import Bridged, skill
from gedanken.analysis.intervals import Estimate
from gedanken.studies.metastable_clustering.trained_layers import judge_skills


def planted(**shares: float):
    """Distances to the measured tokens: 30 prompts, controls at these multiples of the simulation's."""
    rng = np.random.default_rng(0)
    mine = rng.uniform(0.5, 1.0, 30)
    return {name: skill(mine, mine * share * rng.uniform(0.98, 1.02, 30), rng) for name, share in shares.items()}


def test_nearer_than_every_control_transfers():
    made = judge_skills(planted(frozen=1.5, uniform=1.2, rotated=2.0), "attention", "free", "some")
    assert (made.verdict, made.reason) == ("supported", "")
    assert made.effect == pytest.approx(1 - 1 / 1.2, abs=0.01) and made.low > 0
    assert "scores zero" in made.sentence and made.part == "some: attention, free"


def test_further_than_one_control_does_not():
    made = judge_skills(planted(frozen=0.8, uniform=1.2, rotated=2.0), "attention", "forced", "some")
    assert (made.verdict, made.reason) == ("not_supported", "does not transfer")
    assert made.high < 0 and "persistence" in made.quantity and "do not move" in made.sentence


def test_between_is_undecided():
    skills = planted(frozen=1.3, rotated=2.0) | {"uniform": Estimate(0.01, -0.02, 0.04, 30)}
    made = judge_skills(skills, "particles_logit", "free", "some")
    assert (made.verdict, made.reason) == ("inconclusive", "undecided")
    assert "uniform" in made.quantity


def test_random_weights_are_no_control():
    distance = {(name, "free"): np.ones(3) for name in ("attention", "frozen", "random_weights")}
    assert set(Bridged("some", 0.0, distance).skills("attention", "free", np.random.default_rng(0))) == {"frozen"}


def test_what_the_replay_could_be_off_by_decides_nothing():
    tiny = {"frozen": Estimate(4e-6, 3e-6, 5e-6, 6), "uniform": Estimate(0.1, 0.09, 0.11, 6)}
    assert judge_skills(tiny, "particles_logit", "forced", "some").verdict == "supported"
    assert judge_skills(tiny, "particles_logit", "forced", "some", 1e-4).verdict == "inconclusive"
    worse = tiny | {"frozen": Estimate(-4e-6, -5e-6, -3e-6, 6)}
    assert judge_skills(worse, "particles_logit", "forced", "some", 1e-4).verdict == "inconclusive"
    distance = {("attention", "free"): np.ones(3), ("frozen", "free"): np.full(3, 0.5), ("uniform", "free"): np.ones(3)}
    assert Bridged("some", 0.0, distance).resolution("free") == pytest.approx(2e-4)
