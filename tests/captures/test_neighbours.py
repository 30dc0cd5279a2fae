"""Neighbours against all pairs at once, planted relations, and degenerate tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.captures import neighbours as module
from gedanken.captures.neighbours import Directions
from gedanken.status import Refusal


def table(V=300, d=16, seed=0):
    return np.random.default_rng(seed).standard_normal((V, d)).astype(np.float32)


def cosines(rows):
    unit = rows.astype(float) / np.linalg.norm(rows.astype(float), axis=1, keepdims=True)
    return unit @ unit.T


def test_nearest_are_those_of_all_pairs(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ENTRIES", 1000)  # a few rows a block
    rows = table()
    found, every = Directions.of(rows), cosines(rows)
    np.fill_diagonal(every, -2)
    for row in (0, 7, 299):
        order = np.argsort(-every[row])[:10]
        listed = found.neighbours(row, 10)
        assert [number for number, _ in listed] == order.tolist()
        assert [cosine for _, cosine in listed] == pytest.approx(every[row][order].tolist(), abs=1e-6)  # float32
    followers = found.followers()
    np.testing.assert_array_equal(followers, np.bincount(every.argmax(axis=1), minlength=300))
    assert followers.sum() == 300


def test_the_edge_is_that_of_all_pairs():
    rows = table() + 0.4
    every = cosines(rows)[np.triu_indices(300, 1)]
    found = Directions.of(rows).pairs
    # unit rows in float32: 6e-8 each, averaged over
    assert found.edge() == pytest.approx(every.mean() + 2 * every.std(), abs=1e-7)
    assert found.n == 300


def test_a_planted_hub_is_the_most_followed():
    rng = np.random.default_rng(0)
    rows = 0.7 * rng.standard_normal((200, 64)) / 8
    rows[:, 0] += 1.0
    rows[42] = np.eye(64)[0]  # the common direction itself
    followers = Directions.of(rows).followers()
    assert followers.argmax() == 42 and followers[42] > 150


def test_a_planted_analogy_is_solved():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((100, 256))
    royal, male, female = rng.standard_normal((3, 256))
    rows[0], rows[1], rows[2], rows[3] = royal + male, male, female, royal + female
    found = Directions.of(rows)
    way = found.analogy(0, 1, 2)
    assert found.nearest(way, 1, (0, 1, 2))[0][0] == 3
    assert found.rank(way, 3, (0, 1, 2)) == 1
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    exact = unit[0] - unit[1] + unit[2]
    np.testing.assert_allclose(way, exact / np.linalg.norm(exact), atol=1e-6)
    thirds = np.array([[1.0, 0], [0.5, np.sqrt(0.75)], [-0.5, np.sqrt(0.75)]])  # the first is the second less the third
    with pytest.raises(Refusal, match="cancel"):
        Directions.of(thirds).analogy(0, 1, 2)


def test_pairs_and_what_is_matched_with_them():
    rows = table(500)
    found = Directions.of(rows)
    assert found.cosine(3, 77) == pytest.approx(cosines(rows)[3, 77], abs=1e-7)
    drawn = found.matched_cosines(3, 77, 20_000, np.random.default_rng(0), within=None)
    # 20,000 of cosines with mean 0 and spread 1/√d: 5 standard errors
    assert abs(drawn.mean() - cosines(rows)[np.triu_indices(500, 1)].mean()) < 5 / np.sqrt(16 * 20_000)
    near = found.matched_cosines(3, 77, 1000, np.random.default_rng(0), within=0)
    assert near == pytest.approx(np.full(1000, found.cosine(3, 77)), abs=1e-6)
    assert len(found.matched_cosines(5, 5, 100, np.random.default_rng(0), within=0)) == 0  # a row with itself


def test_zero_rows_are_nobodys_neighbours():
    rows = table(30)
    rows[4] = 0
    found = Directions.of(rows)
    assert 4 not in [number for number, _ in found.neighbours(0, 100)] and len(found.neighbours(0, 100)) == 28
    assert found.followers()[4] == 0 and found.followers().sum() == 29
    assert found.pairs.n == 29
    for use in (lambda: found.neighbours(4, 3), lambda: found.cosine(4, 5), lambda: found.analogy(1, 4, 5)):
        with pytest.raises(Refusal, match="zero"):
            use()


@pytest.mark.parametrize(
    ("rows", "flag"),
    [
        (np.zeros((5, 3)), "too_small"),
        (np.eye(1, 3), "too_small"),
        (np.empty((0, 3)), "empty"),
        (np.array([[1.0, 2.0], [np.nan, 1.0], [0.0, 1.0]]), "non_finite"),
    ],
)
def test_tables_without_pairs_are_refused(rows, flag):
    with pytest.raises(Refusal) as found:
        Directions.of(rows)
    assert found.value.flag == flag


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 20), st.integers(1, 5), st.floats(1e-30, 1e30))
def test_the_length_of_rows_does_not_matter(V, d, scale):
    rows = table(V, d, seed=V * 10 + d).astype(float)
    one, other = Directions.of(rows), Directions.of(rows * scale)
    np.testing.assert_allclose(one.unit, other.unit, atol=2e-7)  # float32


def test_duplicate_rows_are_each_others_neighbours():
    rows = table(20)
    rows[5] = 3 * rows[11]
    found = Directions.of(rows)
    assert found.neighbours(5, 1)[0] == (11, pytest.approx(1.0, abs=1e-6))
    assert found.cosine(5, 11) == pytest.approx(1.0, abs=1e-7)


def test_one_of_each_group_of_near_duplicates_stays(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ENTRIES", 200)
    rows = table(40)
    rows[[9, 30]] = rows[3] * 2 + 1e-3
    rows[17] = -rows[5]  # opposite is not the same
    rows[22] = 0
    kept = Directions.of(rows).distinct()
    assert np.flatnonzero(~kept).tolist() == [9, 22, 30]
