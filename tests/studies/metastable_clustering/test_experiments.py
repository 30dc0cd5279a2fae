"""The study's experiments, small: they give the anchors, are kept in the lab, and are not done twice."""

import math

import numpy as np
import pytest

from gedanken.measurements.store import Lab
from gedanken.studies import catalogue
from gedanken.studies.metastable_clustering import collapse, lifetimes, linear, mean_field, symmetry
from gedanken.studies.metastable_clustering.evidence import Evidence
from gedanken.studies.metastable_clustering.quiet_start import layer_factor, measured_rate, noisy_rate


def test_rates_are_those_of_the_table():
    # six printed digits
    assert measured_rate(5.0, 3) == pytest.approx(0.682678, abs=1e-6)
    assert measured_rate(5.0, 3, softmax=False) * math.exp(5) == pytest.approx(18.596070, abs=1e-5)
    assert measured_rate(7.0, 4) == pytest.approx(0.691484, abs=1e-6)
    assert measured_rate(2.0, 2, d=3) == pytest.approx(0.582084, abs=1e-6)
    assert measured_rate(5.0, 3, repulsive=True) == pytest.approx(-0.682678, abs=1e-6)


def test_noise_shifts_a_rate():
    assert noisy_rate(5.0, 3, 0.05) == pytest.approx(18.14607, abs=1e-5)
    assert noisy_rate(5.0, 4, 0.05, softmax=True) == pytest.approx(-0.19991, abs=1e-5)


def test_layer_factors_are_the_anchors():
    assert layer_factor(5.0, 3, 0.1, False, 0) == pytest.approx(1.062669, abs=1e-6)
    found = [layer_factor(5.0, 3, 0.1, True, layer) for layer in range(4)]
    assert found == pytest.approx([1.062669, 1.057919, 1.053838, 1.050295], abs=1e-6)


def test_the_density_of_the_mean_field_anchor():
    found = mean_field.quantile_modes()
    assert abs(complex(found["real"], found["imaginary"])) == pytest.approx(0.06328564, abs=1e-8)
    assert found["change"] < 1e-10
    angles = mean_field.drawn(20_000, 0)
    # 20,000 draws: a mode of 0.025 to its standard error of 0.7 %
    assert abs(np.exp(-3j * angles).mean() - 0.025 * np.exp(-0.7j)) < 0.02


def test_periodic_data_end_in_their_period():
    three, four = symmetry.periodic_run(3, 300, 0), symmetry.periodic_run(4, 300, 0)
    assert (three["count"], four["count"]) == (3, 4)
    assert three["defect"] < 1e-12 < 0.1 < three["wrong"]


def test_a_pair_lives_as_long_as_its_integral():
    # 388.44 from 1 rad to 0.01 rad at β = 20; the merge angle is 0.067 here, reached 1.9 earlier (φ̇ = −φ)
    assert math.exp(lifetimes.first_merge(20.0, np.array([0.0, 1.0]))) == pytest.approx(388.44 - 1.9, abs=0.2)


def test_stairs_at_a_low_temperature():
    found = lifetimes.stairs(200.0, 0)
    assert 0.6 < found["share"] < 1 and found["closest"] == 1


def test_strong_centres_of_tokens_in_a_row():
    points = lifetimes.points_at(np.array([0.0, 0.1, 1.0, 1.1, 3.0]))
    assert collapse.strong_count(points, 0.5) == 3


def test_a_claim_is_judged_and_then_only_read(tmp_path, monkeypatch):
    study, lab, calls = catalogue.get("metastable_clustering"), Lab(tmp_path), []
    counted = linear.layer_factor
    monkeypatch.setattr(linear, "LAYERS", linear.LAYERS[:1])
    monkeypatch.setattr(linear, "layer_factor", lambda *given: calls.append(given) or counted(*given))
    first = study.judge(lab, claims=["MC17"])
    done = len(calls)
    again = study.judge(lab, claims=["MC17"])
    assert len(calls) == done == 12
    assert first[0]["verdict"] == again[0]["verdict"] == "supported"
    assert first[0]["effect"] == again[0]["effect"]


def test_progress_is_told(tmp_path):
    told = []
    evidence = Evidence(Lab(tmp_path), progress=lambda done, total: told.append(done))
    evidence.experiment("some", {}, range(4), lambda seed: {"value": float(seed)}, weight=100)
    assert told == pytest.approx([25, 50, 75, 100, 100])


def test_the_bridge_waits(tmp_path):
    (row,) = catalogue.get("metastable_clustering").judge(Lab(tmp_path), claims=["MC18"])
    assert (row["verdict"], row["reason"]) == ("not_testable", "not testable yet")
