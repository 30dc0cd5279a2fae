"""Clusters by linkage, their events, and the passage from tokens to centres."""

import numpy as np
import pytest

from gedanken.sources.particles import start
from gedanken.sources.particles.adaptive import integrate
from gedanken.sources.particles.centres import Centres
from gedanken.sources.particles.clusters import centres_of, count_changes, labels, mode_reaches
from gedanken.sources.particles.flow import Flow, points_of
from gedanken.sources.particles.interaction import Interaction
from gedanken.sources.particles.mean_field import modes_of


@pytest.mark.parametrize("dimension", [2, 3])
def test_linkage_equals_components_of_all_pairs(dimension):
    rng = np.random.default_rng(0)
    state = start.uniform(60, dimension, rng)
    points = points_of(state)
    for angle in (0.02, 0.1, 0.3):
        near = np.arccos(np.clip(points @ points.T, -1, 1)) < angle
        reach = np.linalg.matrix_power(near.astype(float), 60) > 0
        found = labels(state, angle)
        assert np.array_equal(reach, found[:, None] == found[None, :])
        assert set(found) == set(range(found.max() + 1))


def test_a_cluster_across_the_seam_is_one():
    angles = np.array([-0.05, 0.05, 6.27, 3.0, 3.05])
    found = labels(angles, 0.2)
    assert len(set(found)) == 2
    assert found[0] == found[1] == found[2]
    centres, masses = centres_of(angles, 0.2)
    assert sorted(masses) == pytest.approx([0.4, 0.6])


def test_saturation_event_is_where_the_fastest_mode_reaches_the_threshold():
    flow = Flow(Interaction(5.0, "unnormalised"), 2)
    angles = start.equispaced(600, 3, 1e-4)
    arrival = integrate(flow, angles, 0.0, 2.0, 1e-10, events=[mode_reaches(0.3, 7)])
    assert np.abs(modes_of(arrival.state, 7)).max() == pytest.approx(0.3, abs=1e-9)
    # Linear theory: ln(.3/1.5e−4)/λ_3; saturation shows only near the end.
    assert arrival.time == pytest.approx(np.log(0.3 / 1.5e-4) / 18.59607, rel=0.03)


def test_tokens_then_centres_give_the_merge_time_of_tokens():
    """Two tight groups, SA: tokens until they are points, then centres; against tokens all the way."""
    rng = np.random.default_rng(1)
    flow, merge = Flow(Interaction(6.0), 2), 0.1
    state = start.clusters(50, 2, 2, 0.02, rng, angle=1.2)
    tight = integrate(flow, state, 0.0, 3.0, 1e-10).state
    points, masses = centres_of(tight, 0.3)
    assert masses == pytest.approx([0.5, 0.5])
    history = Centres(Interaction(6.0), merge).moments(points, masses)
    late = 3.0 + next(moment for moment in history if moment.merged).time
    tokens = integrate(flow, state, 0.0, 100.0, 1e-10, events=[count_changes(state, merge)])
    assert tokens.event is not None
    # Groups still e^{−3} · .02 wide at the passage link up earlier than their centres by about that width
    # over the speed at the end, 2 · .1 · e^{−…}/2 ≈ .1.
    assert tokens.time == pytest.approx(late, abs=0.02)


def test_count_event_is_silent_while_clusters_stand():
    flow = Flow(Interaction(40.0), 2)
    state = start.clusters(60, 2, 4, 0.001, np.random.default_rng(2))
    event = count_changes(state, 0.05)
    assert integrate(flow, state, 0.0, 20.0, 1e-8, events=[event]).event is None
