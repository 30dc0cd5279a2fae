"""Pictures of simulations: paths without jumps, predicted places, places on the sphere, growth, levels, counts."""

import math

import numpy as np
import polars as pl
import pytest

from gedanken.analysis import particle_pictures as pictures
from gedanken.experiment import run
from gedanken.experiment.simulate import ensemble, particle_plan
from gedanken.measurements.store import Lab
from gedanken.sources.particles.simulation import Simulation
from gedanken.sources.particles.source import ParticleSource
from gedanken.theory.clustering.mode_growth import growth_rates


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    found = Lab(tmp_path_factory.mktemp("lab"))
    circle = Simulation(run="circle", particles=160, attention="unnormalised", end=0.6, saves=30, tolerance=1e-5)
    sphere = Simulation(run="sphere", particles=60, dimension=3, end=4.0, saves=6, tolerance=1e-5)
    times = tuple(np.geomspace(0.01, 100, 12))
    late = Simulation(run="late", particles=40, times=times, tolerance=1e-5)
    for simulation in (circle, sphere, late):
        run(ParticleSource(simulation), particle_plan(simulation), found, threads=1)
    ensemble(found, Simulation(run="many", particles=100, attention="unnormalised"), range(5))
    return found


@pytest.fixture(scope="module")
def rows(lab):
    return pictures.pictures(lab)


def of(rows, run, picture):
    return rows.filter(pl.col("run") == run, pl.col("picture") == picture)


def test_tracks_are_paths_without_jumps_that_cover_the_circle(rows):
    tracks = of(rows, "circle", "tracks").filter(pl.col("kind") == "track")
    longest = tracks.sort("number", "time").select(pl.col("y").diff().over("number").abs().max()).item()
    assert longest < 1.5
    inside = tracks.filter(pl.col("y").is_between(0, 2 * math.pi))
    # at each moment every particle is drawn once inside the turn
    assert inside.group_by("time").len()["len"].unique().to_list() == [160]


def test_predicted_angles_are_a_turn_over_k_apart(rows):
    found = of(rows, "circle", "tracks").filter(pl.col("kind") == "predicted")["y"].sort().to_numpy()
    assert np.diff(found) == pytest.approx([2 * math.pi / 3] * 2)


def test_particles_of_one_cluster_share_a_colour(rows):
    last = of(rows, "circle", "tracks").filter(pl.col("kind") == "track", pl.col("time") == 0.6)
    spread = last.with_columns(turn=pl.col("y") % (2 * math.pi)).group_by("group").agg(
        pl.col("turn").cos().mean().alias("c"), pl.col("turn").sin().mean().alias("s"), pl.len()
    )  # fmt: skip
    large = spread.filter(pl.col("len") > 10)
    assert (large["c"] ** 2 + large["s"] ** 2 > 0.99).all() and large.height >= 2


def test_the_sphere_has_its_moments(rows):
    places = of(rows, "sphere", "places")
    assert places["number"].unique().sort().to_list() == list(range(7))
    assert places["y"].abs().max() <= 90 and places["x"].abs().max() <= 180
    assert places.group_by("number").len()["len"].unique().to_list() == [60]


def test_theory_starts_at_the_measured_amplitude_and_grows_at_its_rate(rows):
    third = of(rows, "circle", "growth").filter(pl.col("number") == 3).sort("time")
    assert third["group"].unique().to_list() == ["fastest"]
    measured, theory = (third.filter(pl.col("kind") == kind) for kind in ("measured", "theory"))
    assert theory["y"][0] == pytest.approx(measured["y"][0])
    slope = math.log(theory["y"][1] / theory["y"][0]) / (theory["time"][1] - theory["time"][0])
    assert slope == pytest.approx(growth_rates(5.0, 2, 3, softmax=False)[2])


def test_energy_has_levels_with_names(rows):
    levels = of(rows, "circle", "staircase").filter(pl.col("kind") == "level")
    named = dict(levels.select("label", "y").iter_rows())
    # the table of levels at β = 5
    assert named["one cluster"] == pytest.approx(1)
    assert named["3 equal clusters"] == pytest.approx(0.33370, abs=1e-5)
    assert named["uniform"] == pytest.approx(0.18354, abs=1e-5)


def test_logarithmic_times_are_noticed(rows):
    assert of(rows, "late", "staircase_log").height and of(rows, "late", "tracks_log").height
    assert not of(rows, "late", "staircase").height and not of(rows, "late", "growth").height
    assert of(rows, "late", "tracks_log")["time"].min() > 0


def test_counts_of_ensembles_by_beta_and_n(rows):
    (cell,) = rows.filter(pl.col("picture") == "counts").to_dicts()
    assert (cell["x"], cell["number"], cell["group"]) == (5.0, 100, "k = 3")
    assert cell["low"] <= cell["y"] <= cell["high"]


def test_a_lab_without_simulations_has_no_pictures(tmp_path):
    assert pictures.pictures(Lab(tmp_path)).is_empty()
