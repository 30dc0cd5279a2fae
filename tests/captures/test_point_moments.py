"""The streamed moments against the plainest reduction, whatever the blocks, the type and the order of merging."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.captures import point_moments
from gedanken.captures.point_moments import accumulate, merge
from gedanken.status import Flag, Refusal


def cut(table, *ends):
    """A callable that yields the table in blocks which end at `ends`."""
    return lambda: iter(np.split(table, ends))


def naive(table, preparation):
    """Rows as the preparation leaves them."""
    rows = np.asarray(table, np.float64)
    if preparation != "raw":
        rows = rows[np.any(rows != 0, axis=1)]
    if preparation == "centred":
        rows = rows - (rows.mean(axis=0) if len(rows) else 0)
        rows = rows[np.linalg.norm(rows, axis=1) > 1e-12]
    return rows if preparation == "raw" else rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(
    preparation=st.sampled_from(point_moments.PREPARATIONS),
    rows=st.integers(1, 60),
    cols=st.integers(1, 12),
    ends=st.lists(st.integers(0, 60), max_size=4),
    zero=st.lists(st.integers(0, 59), max_size=3),
    dtype=st.sampled_from([np.float64, np.float32, np.float16, ml_dtypes.bfloat16]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=80)
def test_against_the_plain_reduction(preparation, rows, cols, ends, zero, dtype, seed):
    table = (np.random.default_rng(seed).standard_normal((rows, cols)) + 1).astype(dtype)
    table[[z for z in zero if z < rows]] = 0
    expected = naive(table, preparation)
    if not len(expected):
        with pytest.raises(Refusal) as refused:
            accumulate(cut(table, *sorted(e for e in ends if e < rows)), rows, preparation)
        assert refused.value.flag == Flag.zero_rows
        return
    found = accumulate(cut(table, *sorted(e for e in ends if e < rows)), rows, preparation)
    tolerance = 1e-13 * rows  # sums of at most 60 terms of order one (raw: below 50)
    assert found.n == len(expected) and found.dropped == rows - len(expected)
    np.testing.assert_allclose(found.total, expected.sum(axis=0), atol=10 * tolerance)
    np.testing.assert_allclose(found.second, expected.T @ expected, atol=30 * tolerance)
    np.testing.assert_array_equal(found.second, found.second.T)
    np.testing.assert_allclose(found.sample, expected, atol=1e-12)
    assert sum(n for n, _, _ in found.groups) == found.n
    np.testing.assert_allclose(sum(total for _, total, _ in found.groups), found.total, atol=10 * tolerance)
    start = 0
    for n, total, square in found.groups:
        part = expected[start : start + n]
        np.testing.assert_allclose(total, part.sum(axis=0), atol=10 * tolerance)
        assert square == pytest.approx(np.sum((part.T @ part) ** 2), rel=1e-12, abs=1e-12)
        start += n


def test_blocks_larger_than_the_buffer_are_cut(monkeypatch):
    table = np.random.default_rng(0).standard_normal((100, 6))
    whole = accumulate(cut(table), 100, "unit")
    monkeypatch.setattr(point_moments, "BLOCK_ENTRIES", 42)
    pieces = accumulate(cut(table, 3, 50), 100, "unit")
    np.testing.assert_allclose(pieces.second, whole.second, atol=1e-13)
    assert [n for n, _, _ in pieces.groups] == [n for n, _, _ in whole.groups] == [12, 13, 12, 13, 12, 13, 12, 13]


def test_the_sample_is_even_and_bounded():
    table = np.arange(1, 1001, dtype=float)[:, None] * np.array([1.0, 0.0])
    sample = accumulate(cut(table, 333), 1000, "raw", sample=100).sample[:, 0]
    np.testing.assert_array_equal(sample, np.arange(1, 1001, 10))


def test_smallest_norm_is_relative_to_the_median():
    rows = np.diag([1.0, 3.0, 5.0, 7.0, 0.0])
    assert accumulate(cut(rows), 5, "unit").smallest_norm == pytest.approx(1 / 4, rel=1e-15)


def test_the_input_is_not_written_to():
    table = np.random.default_rng(0).standard_normal((20, 4))
    table.flags.writeable = False
    for preparation in point_moments.PREPARATIONS:
        accumulate(cut(table), 20, preparation)


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e200])
def test_extreme_scales_keep_their_directions(size):
    table = np.random.default_rng(0).standard_normal((30, 5))
    found, plain = (accumulate(cut(scale * table), 30, "unit") for scale in (size, 1.0))
    np.testing.assert_allclose(found.second, plain.second, rtol=1e-13, atol=1e-13)
    assert found.dropped == 0


def test_centred_rows_without_a_direction_are_dropped():
    table = np.ones((50, 8)) * 0.1
    with pytest.raises(Refusal) as refused:
        accumulate(cut(table), 50, "centred")
    assert refused.value.flag == Flag.zero_rows
    table[:25, 0] = 0.3
    assert accumulate(cut(table), 50, "centred").n == 50


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("preparation", point_moments.PREPARATIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, ml_dtypes.bfloat16])
def test_non_finite_is_refused(bad, preparation, dtype):
    table = np.ones((9, 3), dtype)
    table[7, 1] = bad
    with pytest.raises(Refusal) as refused:
        accumulate(cut(table, 4), 9, preparation)
    assert refused.value.flag == Flag.non_finite


def test_other_misuse():
    with pytest.raises(Refusal) as refused:
        accumulate(cut(np.ones((0, 3))), 0)
    assert refused.value.flag == Flag.empty
    with pytest.raises(ValueError, match="end at row 4 of 5"):
        accumulate(cut(np.ones((4, 3))), 5)
    with pytest.raises(ValueError, match="none of raw, unit, centred"):
        accumulate(cut(np.ones((4, 3))), 4, "whitened")


def test_merging_is_accumulating_all():
    table = np.random.default_rng(0).standard_normal((500, 7))
    table[[3, 400]] = 0
    parts = [accumulate(cut(part), len(part), "unit") for part in np.split(table, [120, 300])]
    merged, whole = merge(merge(parts[0], parts[1]), parts[2]), accumulate(cut(table), 500, "unit")
    assert (merged.n, merged.dropped) == (whole.n, whole.dropped) == (498, 2)
    np.testing.assert_allclose(merged.total, whole.total, atol=1e-12)
    np.testing.assert_allclose(merged.second, whole.second, atol=1e-12)
    assert len(merged.groups) == 24
    np.testing.assert_array_equal(merged.sample, whole.sample)


def test_merged_samples_stand_for_their_rows():
    first, second = np.zeros((4000, 2)) + [1, 0], np.zeros((1000, 2)) + [0, 1]
    parts = [accumulate(cut(rows), len(rows), "raw", sample=100) for rows in (first, second)]
    sample = merge(*parts, sample=100).sample
    np.testing.assert_allclose(sample.mean(axis=0), [0.8, 0.2], atol=0.01)  # rounding to whole rows of a hundred
    assert len(sample) == 100
    with pytest.raises(ValueError, match="do not merge"):
        merge(parts[0], accumulate(cut(np.ones((3, 5))), 3, "raw"))
