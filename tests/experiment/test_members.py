"""Members of an ensemble: done once each, kept as they come, and forgotten when what decides them changes."""

import pytest

from gedanken.experiment.members import members
from gedanken.experiment.simulate import counting_time, ensemble, measure_member, random_start
from gedanken.measurements.store import Lab
from gedanken.sources.particles.simulation import Simulation
from gedanken.status import Failure


def test_seeds_are_done_once_and_in_order(tmp_path):
    lab, seen = Lab(tmp_path), []

    def measure(seed):
        seen.append(seed)
        return {"square": float(seed**2), "nothing": None}

    first = members(lab, "some", {"a": 1}, [2, 0, 1], measure)
    more = members(lab, "some", {"a": 1}, range(5), measure)
    assert seen == [2, 0, 1, 3, 4]
    assert first["seed"].to_list() == [0, 1, 2] and more["square"].to_list() == [0, 1, 4, 9, 16]
    assert more["nothing"].null_count() == 5
    members(lab, "some", {"a": 2}, [0], measure)
    assert seen[-1] == 0


def test_a_killed_ensemble_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("gedanken.experiment.members.KEEP_EVERY", 0.0)
    lab, seen = Lab(tmp_path), []

    def killed(seed):
        if seed == 2:
            raise KeyboardInterrupt
        seen.append(seed)
        return {"value": float(seed)}

    with pytest.raises(KeyboardInterrupt):
        members(lab, "some", {}, range(4), killed)
    found = members(lab, "some", {}, range(4), lambda seed: seen.append(seed) or {"value": float(seed)})
    assert seen == [0, 1, 2, 3] and found["value"].to_list() == [0, 1, 2, 3]


def test_a_random_start_counts_its_clusters(tmp_path):
    simulation = Simulation(particles=300, attention="unnormalised", run="ensemble")
    found = ensemble(Lab(tmp_path), simulation, range(4))
    assert set(found["cluster_count"]) <= {2.0, 3.0, 4.0}
    assert found["linear_time"].is_between(0.02, 0.3).all()
    assert (found["time"] == counting_time(simulation)).all()
    same = measure_member(random_start(simulation).model_copy(update={"seed": 2}))
    assert same["saturation_time"] == found["saturation_time"][2]


def test_where_no_rate_is_known_the_time_must_be_given():
    with pytest.raises(Failure, match="give --time"):
        counting_time(Simulation(causal=True))
