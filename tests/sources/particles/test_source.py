"""The run: snapshots in order, the same after a kill, bit for bit, and readable by instruments."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from gedanken.sources.particles.simulation import Simulation
from gedanken.sources.particles.source import ParticleSource
from gedanken.status import Failure

RUNS = {
    "circle": {},
    "sphere": {"dimension": 3, "attention": "unnormalised", "end": 0.2},
    "noisy": {"method": "euler", "step": 0.1, "noise": 0.05},
    "layers": {"method": "pre_norm", "step": 0.1, "dimension": 8, "causal": True, "end": 3.0},
    "shared layer": {
        "method": "post_norm",
        "step": 1.0,
        "dimension": 4,
        "W_Q": np.eye(4)[None],
        "W_K": np.eye(4),
        "W_V": np.eye(4),
    },  # fmt: skip
    "weights": {"start": "points", "points": [0.0, 1.0, 2.5], "particles": 3, "masses": np.array([0.2, 0.3, 0.5])},
}


def states(source):
    return [snapshot.state.state for snapshot in source.snapshots()]


@pytest.mark.parametrize("name", RUNS)
def test_resumed_run_is_the_same_bit_for_bit(name, tmp_path):
    request = Simulation.of(**({"particles": 60, "saves": 6} | RUNS[name]))
    whole = states(ParticleSource(request))
    first = ParticleSource(request, tmp_path).snapshots()
    for _ in range(3):
        next(first)
    first.close()
    again = states(ParticleSource(request, tmp_path))
    assert len(whole) == len(again) == 7
    for one, other in zip(whole, again, strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(whole[-1], whole[0])


def test_killed_process_resumes(tmp_path):
    """SIGKILL in the middle of a noisy run; the resumed run equals an undisturbed one."""
    settings = {"particles": 400, "method": "euler", "step": 0.01, "noise": 0.02, "end": 4.0, "saves": 40, "seed": 5}
    script = f"""
from gedanken.sources.particles.simulation import Simulation
from gedanken.sources.particles.source import ParticleSource
for snapshot in ParticleSource(Simulation.of(**{settings!r}), {str(tmp_path)!r}).snapshots():
    pass
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    limit = time.monotonic() + 30
    while not (tmp_path / "000005.npz").exists() and time.monotonic() < limit:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(list(tmp_path.glob("0*.npz")))
    assert kept >= 6
    request = Simulation.of(**settings)
    for one, other in zip(states(ParticleSource(request, tmp_path)), states(ParticleSource(request)), strict=True):
        assert np.array_equal(one, other)


def test_snapshots_say_when_and_the_last_one_has_the_path(tmp_path):
    for folder in (None, tmp_path):
        source = ParticleSource(Simulation.of(particles=30, dimension=3, times=(0.5, 2.0, 3.0), run="three"), folder)
        found = list(source.snapshots())
        assert [s.time for s in found] == [0.0, 0.5, 2.0, 3.0]
        assert [s.step for s in found] == [0, 1, 2, 3]
        assert {s.run for s in found} == {"three"}
        assert {s.fingerprint for s in found} == {source.simulation.fingerprint}
        assert [s.state.path is None for s in found] == [True, True, True, False]
        path = found[-1].state.path
        assert path.at.tolist() == [0.0, 0.5, 2.0, 3.0]
        assert len(path.states) == 4
        assert np.array_equal(path.states[2], found[2].state.points)
        assert np.linalg.norm(path.states[3], axis=1) == pytest.approx(1.0, abs=1e-14)
        assert json.loads(source.describe()["configuration"])["particles"] == 30


def test_fixed_steps_are_saved_at_whole_increments():
    found = list(ParticleSource(Simulation.of(particles=10, method="rk4", step=0.3, end=3.0, saves=4)).snapshots())
    assert [s.step for s in found] == [0, 2, 5, 8, 10]
    assert [s.time for s in found] == pytest.approx([0.0, 0.6, 1.5, 2.4, 3.0])


def test_saves_do_not_change_an_adaptive_run_beyond_its_tolerance():
    few, many = (
        states(ParticleSource(Simulation.of(particles=50, end=6.0, saves=saves, tolerance=1e-10)))[-1]
        for saves in (1, 30)
    )
    assert np.abs(few - many).max() < 1e-7


def test_a_folder_holds_one_simulation(tmp_path):
    list(ParticleSource(Simulation.of(particles=5, saves=1), tmp_path).snapshots())
    with pytest.raises(Failure, match="holds another simulation"):
        next(ParticleSource(Simulation.of(particles=6, saves=1), tmp_path).snapshots())


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(Failure, match="cannot hold a simulation"):
        next(ParticleSource(Simulation.of(particles=6, saves=1), tmp_path / "taken").snapshots())


def test_importing_the_source_does_not_import_torch():
    script = "import sys, gedanken.sources.particles.source; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
