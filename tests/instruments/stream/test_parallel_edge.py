"""Parallel edges: exact surrogates, their size on noise and on tokens with a memory, deflation."""

import numpy as np
import pytest

from gedanken.instruments.base import KnownCase
from gedanken.instruments.stream._known import stream_of
from gedanken.instruments.stream.parallel_edge import ParallelEdge
from gedanken.instruments.stream_nulls import STREAM_PERMUTATION, SURROGATES, surrogate
from gedanken.theory.marchenko_pastur import edges


@pytest.mark.parametrize("kind", SURROGATES)
def test_surrogates_keep_each_coordinate(kind):
    rng = np.random.default_rng(0)
    rows, prompt = rng.standard_normal((60, 5)), np.repeat([0, 1, 2], [10, 30, 20])
    drawn = surrogate(rows, prompt, kind, rng)
    assert np.sort(np.abs(drawn), axis=0) == pytest.approx(np.sort(np.abs(rows), axis=0), abs=0)
    assert not np.array_equal(drawn, rows)
    if kind == "block_shift":
        for number in range(3):
            block, was = drawn[prompt == number], rows[prompt == number]
            assert all(
                any(np.array_equal(np.roll(was[:, j], k), block[:, j]) for k in range(len(was))) for j in range(5)
            )


def test_shifts_are_uniform():
    rng = np.random.default_rng(1)
    rows = np.tile(np.arange(6.0)[:, None], (1, 6000))
    first = surrogate(rows, np.zeros(6, int), "block_shift", rng)[0].astype(int)
    assert np.bincount(first) == pytest.approx([1000] * 6, abs=4 * np.sqrt(1000 * 5 / 6))


def test_an_unknown_surrogate_is_named():
    with pytest.raises(ValueError, match="block_shift"):
        ParallelEdge(kind="shuffle")


def remembering(n_prompts: int, length: int, d: int, rho: float, rng: np.random.Generator) -> np.ndarray:
    """Independent coordinates, each a stationary AR(1) along each prompt."""
    rows = np.empty((n_prompts, length, d))
    rows[:, 0] = rng.standard_normal((n_prompts, d))
    for t in range(1, length):
        rows[:, t] = rho * rows[:, t - 1] + np.sqrt(1 - rho**2) * rng.standard_normal((n_prompts, d))
    return rows.reshape(-1, d)


def test_shifts_keep_their_size_where_tokens_have_a_memory():
    """Long prompts of AR(1) tokens with nothing shared: shifted edges find nothing, the Marchenko–Pastur edge much."""
    rng = np.random.default_rng(2)
    false, textbook, permuted = 0, 0, 0
    for _ in range(12):
        stream = stream_of(remembering(6, 120, 24, 0.8, rng), length=120)
        reading = ParallelEdge().measure(stream, rng)
        false += reading["parallel_outlier_count"].value > 0
        permuted += ParallelEdge(kind="permutation").measure(stream, rng)["parallel_outlier_count"].value > 0
        n = reading["parallel_outlier_count"].n
        textbook += reading["parallel_eigenvalue"].y[0] > edges(24 / n)[1] * 1.1
    # Size 1 %, drawn from 100 surrogates and with prompts' means of its own: three of 12 has probability 0.02 %.
    assert false <= 2
    assert textbook == 12 and permuted == 12


def test_a_huge_outlier_hides_small_ones_until_deflated():
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((1200, 60))
    rows += 60 * rng.standard_normal((1200, 1)) * np.ones(60) / np.sqrt(60)
    hidden = np.linalg.qr(rng.standard_normal((60, 3)))[0]
    rows += (rng.standard_normal((1200, 3)) * 2.0) @ hidden.T
    reading = ParallelEdge(kind="sign_flip").measure(stream_of(rows), rng)
    assert reading["parallel_outlier_count"].value == 1
    assert reading["parallel_outlier_count_deflated"].value == 4


def test_permuted_streams_keep_what_was_fitted():
    rng = np.random.default_rng(4)
    stream = stream_of(rng.standard_normal((240, 6)) + np.arange(6))
    drawn = next(STREAM_PERMUTATION.draws(stream, 1, rng))
    assert drawn.fit is stream.fit
    assert np.array_equal(drawn.points[~stream.kept], stream.points[~stream.kept])
    assert np.array_equal(np.sort(drawn.points[stream.kept], axis=0), np.sort(stream.points[stream.kept], axis=0))


def test_known_cases_name_what_they_are():
    assert all(isinstance(case, KnownCase) for case in ParallelEdge().known(np.random.default_rng(5)))


def test_half_takes_every_other_group():
    rng = np.random.default_rng(6)
    stream = stream_of(rng.standard_normal((1200, 12)) * np.arange(1.0, 13.0))
    whole, half = (ParallelEdge(draws=5, half=half).measure(stream, rng)["parallel_edge"].n for half in (False, True))
    assert (whole, half) == (1000, 500)


def test_errors_against_the_scatter_of_independent_texts():
    """Eight texts of one law: a count's error has the right size where the edge is sharp, that of the distance is no
    smaller than the scatter, and at most six times as large (see the docstring)."""
    rng, instrument = np.random.default_rng(8), ParallelEdge(draws=10)
    scales = np.sqrt(np.concatenate([np.geomspace(30, 3, 10), np.linspace(1.5, 0.5, 90)]))
    mixing = np.linalg.qr(rng.standard_normal((100, 100)))[0]
    pairs = []
    for _ in range(8):
        found = instrument.measure(stream_of((rng.standard_normal((2400, 100)) * scales) @ mixing), rng)
        pairs.append(
            [
                (found[f"parallel_{name}"].value, found[f"parallel_{name}"].stderr)
                for name in ("outlier_count_deflated", "ks_distance")
            ]
        )
    (count, count_error), (distance, distance_error) = np.transpose(pairs, (1, 2, 0))
    # A scatter of eight is known to 25 %.
    assert 0.5 < count_error.mean() / count.std(ddof=1) < 2.0
    assert 1.0 < distance_error.mean() / distance.std(ddof=1) < 6.0
