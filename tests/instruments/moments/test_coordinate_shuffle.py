"""The coordinate shuffle: what it keeps, what it removes, and whether a table without structure lies within it."""

import ml_dtypes
import numpy as np
import pytest

from gedanken.captures.reduce import reduced
from gedanken.instruments.moments.cosine_edge import CosineEdge
from gedanken.instruments.moments.directional_participation_ratio import DirectionalParticipationRatio
from gedanken.instruments.moments.polarization import Polarization
from gedanken.instruments.nulls import COORDINATE_SHUFFLE, Draws

RNG = np.random.default_rng(0)


def edge(table, **fields):
    instrument = CosineEdge(**fields)
    return instrument.measure(reduced(table, instrument.reads, instrument.preparation), RNG)["cosine_edge"]


def draw(table, seed=0):
    return next(COORDINATE_SHUFFLE.draws(table, 1, np.random.default_rng(seed)))


def unit(table):
    return table / np.linalg.norm(np.asarray(table, float), axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_every_coordinate_keeps_its_values(dtype):
    table = np.random.default_rng(1).standard_normal((300, 130)).astype(dtype)
    before = unit(table.astype(np.float64))
    after = draw(table)
    np.testing.assert_array_equal(np.sort(after, axis=0), np.sort(before.astype(np.float32), axis=0))
    assert np.mean(after != before.astype(np.float32)) > 0.99  # a value stays in place once in 300
    # each column in an order of its own
    places = [np.argsort(after[:, j])[np.argsort(np.argsort(before[:, j]))] for j in (0, 1, 129)]
    assert not np.array_equal(places[0], places[1]) and not np.array_equal(places[0], places[2])


def test_zero_rows_stay_out_and_the_input_is_not_touched():
    table = np.random.default_rng(2).standard_normal((50, 8)) * 1e200
    table[::5] = 0
    table.flags.writeable = False
    first, second = COORDINATE_SHUFFLE.draws(table, 2, np.random.default_rng(0))
    assert first.shape == (40, 8) and np.isfinite(first).all() and not np.array_equal(first, second)
    assert COORDINATE_SHUFFLE.shape_key(table) is None


def test_a_mean_and_coordinate_scales_are_kept():
    rng = np.random.default_rng(3)
    table = rng.standard_normal((4000, 96)) * np.exp(rng.standard_normal(96) / 2)
    table[:, :3] += 2.0
    found = edge(table)
    assert found.value > 1.5 * 2 / np.sqrt(96)  # far above the Gaussian twin
    shuffled = [edge(draw(table, seed)).value for seed in range(20)]
    # Coordinates are nearly independent already (they share the row's length): a shuffle is another draw of such rows
    assert np.mean(shuffled) == pytest.approx(found.value, abs=4 * found.stderr)


@pytest.mark.parametrize("centred", [False, True])
def test_groups_of_points_are_removed(centred):
    rng = np.random.default_rng(4)
    # opposite groups of equal size, equally strong in every coordinate: no mean direction, no coordinate scales
    centres = 1.5 * rng.choice([-1.0, 1.0], (6, 96))
    table = rng.standard_normal((3000, 96)) + np.tile(np.concatenate([centres, -centres]), (250, 1))
    found, null = edge(table, centred=centred), edge(draw(table), centred=centred).value
    assert null == pytest.approx(2 / np.sqrt(96), rel=0.02)
    assert found.value > 2 * null


def test_the_mean_direction_survives_lengths_that_go_with_it():
    """Long rows look one way, short rows another: the shuffle must keep R, to which every row counts alike."""
    rng = np.random.default_rng(5)
    table = rng.standard_normal((4000, 64))
    table[:2000, 0] += 6
    table[:2000] *= 0.1
    for instrument, name in ((Polarization(), "polarization"), (CosineEdge(), "cosine_mean")):
        before, after = (
            instrument.measure(reduced(t, instrument.reads, "unit"), RNG)[name].value for t in (table, draw(table))
        )
        raw = np.random.default_rng(0).permuted(table, axis=0)
        astray = instrument.measure(reduced(raw, instrument.reads, "unit"), RNG)[name].value
        # The shuffled rows are brought to length 1 again; their lengths go with the strong coordinate, to 10 % here
        assert after == pytest.approx(before, rel=0.16)
        assert abs(astray - before) > 4 * abs(after - before)


def test_p_is_uniform_without_structure_and_small_with_it():
    rng, ranks = np.random.default_rng(6), []
    for _ in range(60):
        table = rng.standard_normal((60, 12))
        draws = np.array([edge(t).value for t in COORDINATE_SHUFFLE.draws(table, 19, rng)])
        ranks.append(Draws.of(draws).band(edge(table).value, "coordinate_shuffle").p)
    # ranks among 19 draws: p is a multiple of 0.1 and each as likely; 60 of them below 0.2 by chance 12 ± 3.1
    assert 2 <= np.sum(np.array(ranks) <= 0.2) <= 24
    table = rng.standard_normal((300, 12)) + 2 * rng.standard_normal((4, 12))[rng.integers(4, size=300)]
    draws = np.array([edge(t).value for t in COORDINATE_SHUFFLE.draws(table, 39, rng)])
    assert Draws.of(draws).band(edge(table).value, "coordinate_shuffle").p == pytest.approx(1 / (len(draws) + 1))


def test_instruments_of_moments_ask_for_it():
    for instrument in (CosineEdge(), DirectionalParticipationRatio()):
        assert instrument.data_null is COORDINATE_SHUFFLE
    assert Polarization().data_null is None  # the shuffle keeps it by construction
