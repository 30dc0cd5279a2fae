"""Clusters as weighted points: against the tokens they stand for, closed forms, and times out of reach otherwise."""

import numpy as np
import pytest
from scipy.integrate import quad

from gedanken.sources.particles.adaptive import integrate
from gedanken.sources.particles.centres import Centres, closest, merged
from gedanken.sources.particles.flow import Flow
from gedanken.sources.particles.interaction import Interaction
from gedanken.status import Failure


def on_circle(*angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def first_merge(centres, points, masses=None):
    return next(moment for moment in centres.moments(points, masses) if moment.merged)


def test_two_equal_clusters_by_their_closed_time():
    """φ̇ = −2 sin φ e^{β cos φ}/(e^β + e^{β cos φ}): a quadrature; 388.44 for β = 20 from 1 to .01."""
    pair = on_circle(0.0, 1.0)
    exact = quad(lambda f: (np.exp(5 * (1 - np.cos(f))) + 1) / (2 * np.sin(f)), 0.02, 1.0, epsabs=1e-13)[0]
    assert exact == pytest.approx(5.38605028, abs=4e-8)
    assert first_merge(Centres(Interaction(5.0), 0.02), pair).time == pytest.approx(exact, rel=1e-8)
    assert first_merge(Centres(Interaction(20.0), 0.01), pair).time == pytest.approx(388.44, abs=0.005)


def test_lifetimes_of_ten_million_and_more_in_a_moment():
    """T = e^{β(1−cos φ)}/(2β sin²φ) (1 + O(1/β)) at β = 20 … 60, where it reaches 1e9; at β = 2000 it is e^900."""
    logs = []
    for beta in (20.0, 40.0, 60.0):
        time = first_merge(Centres(Interaction(beta), 0.05), on_circle(0.0, 1.0)).log_time
        leading = beta * (1 - np.cos(1.0)) - np.log(2 * beta * np.sin(1.0) ** 2)
        assert abs(time - leading) < 3 / beta
        logs.append(time + np.log(beta))
    assert np.polyfit([20, 40, 60], logs, 1)[0] == pytest.approx(1 - np.cos(1.0), abs=0.02)
    assert logs[-1] - np.log(60) > np.log(1e9)
    late = first_merge(Centres(Interaction(2000.0), 0.05, tolerance=1e-6), on_circle(0.0, 1.0))
    assert late.log_time == pytest.approx(2000 * (1 - np.cos(1.0)) - np.log(4000 * np.sin(1.0) ** 2), abs=0.01)
    assert late.time == np.inf


@pytest.mark.parametrize("attention", ["softmax", "unnormalised"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_centres_move_as_the_tokens_they_stand_for(attention, dimension):
    """Masses .5, .3, .2 against 10 tokens in three places, at the time of a pair's merge angle."""
    rng = np.random.default_rng(1)
    points = on_circle(0.0, 0.7, 2.2) if dimension == 2 else rng.standard_normal((3, 3))
    points = points / np.linalg.norm(points, axis=1)[:, None]
    angle = closest(points)[0] / 2
    centres = Centres(Interaction(4.0, attention), angle, tolerance=1e-11)
    merge = first_merge(centres, points, np.array([0.5, 0.3, 0.2]))
    before = [
        m for m in centres.moments(points, np.array([0.5, 0.3, 0.2])) if not m.merged and m.log_time <= merge.log_time
    ]
    tokens = np.repeat(points, [5, 3, 2], axis=0)
    flow = Flow(Interaction(4.0, attention), dimension)
    after = flow.points(integrate(flow, flow.state(tokens), 0.0, merge.time, 1e-12).state)
    # Tolerances add up over some hundred increments.
    assert np.abs(after[[0, 5, 8]] - before[-1].points).max() < 1e-8


def test_merging_keeps_mass_and_centre_and_ends_in_one_cluster():
    rng = np.random.default_rng(2)
    angles = np.cumsum(rng.uniform(0.4, 0.9, 6))
    history = list(Centres(Interaction(30.0), 0.05).moments(on_circle(*angles)))
    assert history[0].log_time == -np.inf
    assert all(m.masses.sum() == pytest.approx(1.0, abs=1e-14) for m in history)
    assert [len(m.points) for m in history if m.merged] == [5, 4, 3, 2, 1]
    assert np.all(np.diff([m.log_time for m in history]) >= 0)
    assert history[-1].masses.tolist() == pytest.approx([1.0])
    assert history[-1].energy == pytest.approx(1.0)
    two, mass = merged(on_circle(0.0, 0.1, 2.0), np.array([0.2, 0.6, 0.2]), (0, 1))
    assert np.arctan2(two[0, 1], two[0, 0]) == pytest.approx(np.arctan2(0.6 * np.sin(0.1), 0.2 + 0.6 * np.cos(0.1)))
    assert mass == pytest.approx([0.8, 0.2])


def test_staircase_of_energy_in_arc_length():
    """Five equal masses, gaps in [.3, 1], USA: the closest pair merges, and most of the path lies on plateaus Σ α²."""
    shares = {}
    for beta in (100.0, 500.0):
        found = []
        for seed in range(3):
            angles = np.concatenate([[0.0], np.cumsum(np.random.default_rng(seed).uniform(0.3, 1.0, 4))])
            centres = Centres(Interaction(beta, "unnormalised"), 1 / np.sqrt(beta * np.log(beta)), 1e-7, clock="peak")
            history = list(centres.moments(on_circle(*angles)))
            lengths = np.diff([m.arc_length for m in history])
            level = np.array([np.sum(m.masses**2) for m in history])
            on_plateau = np.abs(np.array([m.energy for m in history]) / level - 1) < 0.01
            found.append(lengths[on_plateau[1:] & on_plateau[:-1]].sum() / lengths.sum())
            for before, after in zip(history, history[1:], strict=False):
                if after.merged:
                    assert closest(before.points)[1] == after.merged
        shares[beta] = np.median(found)
    assert shares[100.0] < 0.82
    assert shares[100.0] < shares[500.0]
    assert shares[500.0] == pytest.approx(0.89, abs=0.04)


def test_equilibria_and_nonsense():
    antipodal = list(Centres(Interaction(5.0), 0.1).moments(on_circle(0.0, np.pi)))
    assert len(antipodal) == 1
    limited = list(Centres(Interaction(50.0), 0.1).moments(on_circle(0.0, 1.5), log_time_limit=np.log(1e6)))
    assert not limited[-1].merged
    assert limited[-1].log_time >= np.log(1e6)
    for wrong in (on_circle(0.3), on_circle(1.0, 1.0)):
        with pytest.raises(Failure, match="two or more"):
            next(Centres(Interaction(5.0), 0.1).moments(wrong))
    with pytest.raises(Failure, match="attractive"):
        Centres(Interaction(5.0, repulsive=True), 0.1)
    with pytest.raises(Failure, match="merge angle"):
        Centres(Interaction(5.0), 0.0)
