"""The request: read from files and flags, refused with one sentence, fingerprinted. And the starts."""

import numpy as np
import pytest

from gedanken.sources.particles import start
from gedanken.sources.particles.flow import Flow
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.mean_field import modes_of
from gedanken.sources.particles.simulation import Simulation
from gedanken.sources.particles.source import ParticleSource
from gedanken.status import Failure

HALF = [[0.6, 0.8], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"inverse_temprature": 3}, "nearest is 'inverse_temperature'"),
        ({"beta": 3}, "nearest is 'inverse_temperature'"),
        ({"inverse_temperature": -1}, "inverse_temperature = -1"),
        ({"inverse_temperature": float("nan")}, "inverse_temperature = nan"),
        ({"particles": 1}, "particles = 1"),
        ({"attention": "softmx"}, "'softmax' or 'unnormalised'"),
        ({"inverse_temperature": float("inf"), "attention": "unnormalised"}, "needs softmax"),
        ({"inverse_temperature": 800, "attention": "unnormalised"}, "clock `peak`"),
        ({"W_Q": [[1, 2, 3]]}, "W_Q maps to 1 coordinates and W_K to 3"),
        ({"W_V": [[1, 2, 3], [4, 5, 6]]}, "W_V must be square"),
        ({"W_V": np.eye(3)}, "matrices are for 3 coordinates, but tokens have 2"),
        ({"W_V": [[1, float("nan")], [0, 1]]}, "W_V holds a NaN"),
        ({"W_V": [1, 2]}, "must be a matrix"),
        ({"W_V": "nowhere.npy"}, "no array file"),
        ({"W_V": np.eye(2), "W_K": np.ones((2, 2, 2))}, "disagree in heads"),
        ({"method": "rk4", "step": 3.0}, "rk4 needs at most 2.785"),
        ({"method": "euler", "step": 1.0, "attention": "unnormalised"}, "euler needs at most 0.01348"),
        ({"method": "rk4"}, "needs a step"),
        ({"noise": 0.1}, "Noise needs"),
        ({"start": "points"}, "Points are given"),
        ({"start": "equispaced", "dimension": 3}, "dimension must be 2"),
        ({"times": (1.0, 0.5)}, "increase"),
        ({"start": "equispaced"}, "equilibrium"),
        ({"start": "points", "particles": 2, "points": [[1, 0], [1, 0]]}, "Points 0 and 1 coincide"),
        ({"start": "points", "particles": 2, "points": [[1, 0], [-1, 0]]}, "antipodal"),
        ({"start": "points", "particles": 2, "points": [[1, 0], [0, 0]]}, "Point 1 is the zero vector"),
        ({"start": "points", "particles": 2, "points": [[1, 0], [np.nan, 0]]}, "Point 1 holds a NaN"),
        ({"start": "points", "particles": 3, "points": HALF}, "2 points are given for 3 particles"),
        ({"start": "points", "particles": 2, "dimension": 3, "points": HALF}, "2 coordinates, but dimension is 3"),
        ({"start": "points", "particles": 2, "points": HALF, "masses": [0.5, 0.6]}, "sum to one"),
        ({"start": "points", "particles": 2, "points": HALF, "masses": [0.2, 0.3, 0.5]}, "3 masses"),
        ({"start": "periodic", "mode": 3, "particles": 100}, "multiple of 3"),
        ({"start": "equiangular", "particles": 5}, "need 5 coordinates"),
        ({"start": "equiangular", "particles": 5, "dimension": 9, "cosine": -0.5}, "lies in"),
        ({"start": "quantiles", "amplitude": 1.5}, "negative"),
        ({"device": "no such device"}, "cannot be used here"),
    ],
)
def test_bad_input_is_one_sentence(settings, sentence):
    with pytest.raises(Failure) as caught:
        next(ParticleSource(Simulation.of(**settings)).snapshots())
    assert sentence in caught.value.sentence
    assert caught.value.sentence.endswith(".")
    assert "\n" not in caught.value.sentence


def test_interaction_refuses_what_a_request_cannot_hold():
    for wrong in (-1.0, float("nan")):
        with pytest.raises(Failure, match="at least zero"):
            Interaction(wrong)
    with pytest.raises(Failure, match="softmax or unnormalised"):
        Interaction(1.0, "sigmoid")
    with pytest.raises(Failure, match="at least two coordinates"):
        Flow(Interaction(1.0), 1)


def test_toml_and_settings(tmp_path):
    np.save(tmp_path / "v.npy", np.diag([1.0, -0.5]))
    file = tmp_path / "run.toml"
    file.write_text(f'particles = 20\ninverse_temperature = 2.5\nW_V = "{tmp_path}/v.npy"\ntimes = [0.5, 2]\n')
    read = Simulation.read(file, seed=3)
    assert (read.particles, read.inverse_temperature, read.seed, read.times) == (20, 2.5, 3, (0.5, 2.0))
    assert read.W_V.tolist() == [[1.0, 0.0], [0.0, -0.5]]
    assert read.fingerprint == Simulation.of(**(dict(read) | {"run": "another name"})).fingerprint
    assert read.fingerprint != Simulation.read(file, seed=4).fingerprint
    assert read.fingerprint != Simulation.of(**(dict(read) | {"W_V": np.eye(2)})).fingerprint
    file.write_text("particles = = 3")
    for path, message in ((file, "not valid TOML"), (tmp_path / "none.toml", "no file")):
        with pytest.raises(Failure, match=message):
            Simulation.read(path)


def test_starts():
    rng = np.random.default_rng(0)
    angles = start.equispaced(300, 3, 1e-4, 0.7)
    assert modes_of(angles, 3)[2] == pytest.approx(-1.5e-4 * np.exp(-0.7j), rel=1e-6)
    assert np.abs(modes_of(start.periodic(300, 4, rng), 12)[[0, 1, 2, 4, 5, 6, 8, 9, 10]]).max() < 1e-14
    gram = (lambda x: x @ x.T)(start.equiangular(5, 4, -0.25))
    assert gram == pytest.approx(np.where(np.eye(5, dtype=bool), 1, -0.25), abs=1e-14)
    uniform = start.uniform(4000, 3, rng)
    assert np.abs(uniform.mean(axis=0)).max() < 4 / np.sqrt(3 * 4000)
    assert np.abs(uniform.T @ uniform / 4000 - np.eye(3) / 3).max() < 4 * np.sqrt(4 / 45 / 4000)
    for d in (2, 4):
        tokens = start.clusters(300, d, 3, 0.01, rng)
        points = np.stack([np.cos(tokens), np.sin(tokens)], axis=1) if d == 2 else tokens
        centres = np.array([points[i::3].mean(axis=0) for i in range(3)])
        assert np.abs(centres @ centres.T - 1.5 * np.eye(3) + 0.5).max() < 0.01
    points, masses = start.sphere_grid(20)
    assert masses.sum() == pytest.approx(1.0)
    assert np.sum(masses * points[:, 2] ** 20) == pytest.approx(1 / 21, rel=1e-12)
    assert np.sum(masses * points[:, 0] ** 18 * points[:, 1] ** 2) == pytest.approx(1 / (19 * 21), rel=1e-12)
