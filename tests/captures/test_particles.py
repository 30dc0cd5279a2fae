"""Particles as points and as a trajectory, and through the loop into a lab."""

import numpy as np

from gedanken.captures.of import captures_of
from gedanken.captures.reduce import reduced
from gedanken.experiment.loop import run
from gedanken.experiment.plan import Plan, standard_instruments
from gedanken.kinds import Kind
from gedanken.measurements.store import Lab
from gedanken.sources.particles.simulation import Simulation
from gedanken.sources.particles.source import ParticleSource


def test_captures_of_a_configuration():
    snapshots = list(ParticleSource(Simulation.of(particles=40, dimension=3, saves=2)).snapshots())
    assert [[str(c.site) for c in captures_of(s)] for s in snapshots] == [
        ["particles.x"], ["particles.x"], ["particles.x", "particles.path"],
    ]  # fmt: skip
    points, path = captures_of(snapshots[-1])
    assert (points.kind, points.rows, points.cols) == (Kind.points, 40, 3)
    assert np.array_equal(reduced(points.read(), Kind.points), snapshots[-1].state.points)
    assert reduced(points.read(), Kind.moments, "unit").n == 40
    trajectory = reduced(path.read(), Kind.trajectory)
    assert np.array_equal(trajectory.states[0], snapshots[0].state.points)


def test_a_simulation_is_measured_into_a_lab(tmp_path):
    lab = Lab(tmp_path / "lab")
    source = ParticleSource(Simulation.of(particles=50, dimension=4, saves=3), tmp_path / "run")
    plan = Plan(standard_instruments(["coherence"]), draws=0)
    outcome = run(source, plan, lab)
    assert not outcome.failures
    rows = lab.measurements.collect()
    assert sorted(rows["step"].unique().to_list()) == [0, 1, 2, 3]
    assert rows["site"].unique().to_list() == ["particles.x"]
    assert run(source, plan, lab).tasks == 0
