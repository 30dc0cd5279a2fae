"""Entry statistics and outlier coordinates against scipy, plain norms, null draws, and a memory bound."""

import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gedanken.instruments.matrix import _blocks
from gedanken.instruments.matrix.entry_statistics import EntryStatistics
from gedanken.instruments.matrix.outlier_coordinates import OutlierCoordinates
from gedanken.kinds import Factors
from gedanken.status import Flag, Refusal

RNG = np.random.default_rng(0)


@given(
    st.integers(3, 40),
    st.integers(3, 40),
    st.floats(-5, 5),
    st.sampled_from([1e-150, 1e-3, 1.0, 1e150]),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_against_scipy_and_plain_norms(rows, cols, offset, scale, seed):
    table = np.random.default_rng(seed).standard_t(4, (rows, cols)) + offset
    entries = EntryStatistics().measure(scale * table, RNG)
    assert entries["entry_std"].value == pytest.approx(scale * table.std(), rel=1e-10)
    # moments about a mean of up to ten standard deviations lose two digits
    assert entries["entry_kurtosis"].value == pytest.approx(stats.kurtosis(table, axis=None), rel=1e-9, abs=1e-9)
    assert entries["largest_entry"].value == pytest.approx(abs(table - table.mean()).max() / table.std(), rel=1e-10)
    found = OutlierCoordinates().measure(scale * table, RNG)
    for axis, name in ((0, "outlier_column_ratio"), (1, "outlier_row_ratio")):
        square = np.square(table).sum(axis=axis)
        assert found[name].value == pytest.approx(np.sqrt(square.max() / np.median(square)), rel=1e-10)
    columns = np.square(table).sum(axis=0)
    assert found["top_column_share"].value == pytest.approx(columns.max() / columns.sum(), rel=1e-10)
    listed = found["outlier_columns"]
    np.testing.assert_allclose(listed.y**2, np.sort(columns)[::-1][:16] / np.median(columns), rtol=1e-10)
    np.testing.assert_allclose(columns[listed.x.astype(int)] / np.median(columns), listed.y**2, rtol=1e-10)


def test_blocks_types_and_factors_agree(monkeypatch):
    rng = np.random.default_rng(1)
    factors = Factors(rng.standard_normal((60, 3)), rng.standard_normal((3, 20)))
    dense = factors.left @ factors.right
    whole = EntryStatistics().measure(dense, RNG), OutlierCoordinates().measure(dense, RNG)
    monkeypatch.setattr(_blocks, "ENTRIES", 70)
    for matrix in (dense, factors):
        pieces = EntryStatistics().measure(matrix, RNG), OutlierCoordinates().measure(matrix, RNG)
        for one, other in zip(whole, pieces, strict=True):
            for name in one.keys() - {"outlier_columns"}:
                assert other[name].value == pytest.approx(one[name].value, rel=1e-12)
    stored = dense.astype(ml_dtypes.bfloat16)
    assert EntryStatistics().measure(stored, RNG) == EntryStatistics().measure(stored.astype(np.float64), RNG)


def test_nulls_against_draws():
    rng, shape = np.random.default_rng(2), (60, 40)
    names = ("entry_kurtosis", "largest_entry", "outlier_column_ratio", "outlier_row_ratio", "top_column_share")
    shares, inside = {name: [] for name in names}, []
    for _ in range(400):
        table = rng.standard_normal(shape)
        for instrument in (EntryStatistics(), OutlierCoordinates()):
            reading = instrument.measure(table, rng)
            for name, band in instrument.null(table, reading).items():
                shares[name].append(not band.low <= reading[name].value <= band.high)
            if "outlier_columns" in reading:
                curve = reading["outlier_columns"]
                inside.append((curve.null_low <= curve.y) & (curve.y <= curve.null_high))
    for name, outside in shares.items():
        # 5 % ± 4 × 1.1 %, and up to twice that where the fluctuation of the median or the total is left out
        assert 0.01 < np.mean(outside) < 0.12, (name, np.mean(outside))
    # the median's own fluctuation weighs more in the middle ranks, where the band is narrow
    assert np.mean(inside, axis=0)[:4].min() > 0.88 and np.mean(inside) > 0.75


def test_p_is_uniform_on_normal_entries():
    """With many rows and columns, where the fluctuation of the median no longer counts."""
    rng, p = np.random.default_rng(8), {}
    for _ in range(120):
        table = rng.standard_normal((400, 300))
        for instrument in (EntryStatistics(), OutlierCoordinates()):
            for name, band in instrument.null(table, instrument.measure(table, rng)).items():
                p.setdefault(name, []).append(band.p)
    assert len(p) == 5
    for name, values in p.items():
        assert stats.kstest(values, "uniform").pvalue > 1e-3, name


@pytest.mark.parametrize("value", [0.1, 1 / 3, -7e-200])
def test_equal_entries_of_many_blocks_are_constant(value, monkeypatch):
    monkeypatch.setattr(_blocks, "ENTRIES", 70)  # the mean is then a sum of many rounded ones
    table = np.full((300, 33), value)
    with pytest.raises(Refusal) as refused:
        EntryStatistics().measure(table, RNG)
    assert refused.value.flag == Flag.constant
    table[123, 7] *= 1 + 1e-7  # one step of float32
    assert EntryStatistics().measure(table, RNG)["largest_entry"].value == pytest.approx(np.sqrt(300 * 33), rel=1e-3)


def test_planted_outliers():
    table = np.random.default_rng(3).standard_normal((500, 64))
    table[:, 7] *= 10
    table[3] *= 5
    reading = OutlierCoordinates().measure(table, RNG)
    assert reading["outlier_columns"].x[0] == 7
    assert OutlierCoordinates().null(table, reading)["outlier_column_ratio"].p < 1e-9
    # the row that is five times longer adds 24/500 to every squared column norm alike
    assert reading["outlier_column_ratio"].value == pytest.approx(10, rel=0.15)
    assert EntryStatistics().measure(table, RNG)["entry_kurtosis"].value > 20


@pytest.mark.parametrize(
    ("matrix", "flag"),
    [
        (np.zeros((5, 5)), Flag.zero_matrix),
        (np.full((5, 5), 0.1), Flag.constant),
        (np.full((5, 5), np.inf), Flag.non_finite),
        (np.full((5, 5), -np.inf), Flag.non_finite),
        (np.array([[1.0, np.nan]]), Flag.non_finite),
        (np.zeros((0, 5)), Flag.empty),
    ],
)
def test_refusals(matrix, flag):
    with pytest.raises(Refusal) as refused:
        EntryStatistics().measure(matrix, RNG)
    assert refused.value.flag == flag


def test_no_whole_copy_is_made():
    table = np.random.default_rng(4).standard_normal((20_000, 500), np.float32)  # 40 MB; 80 MB in float64
    for instrument in (EntryStatistics(), OutlierCoordinates()):
        tracemalloc.start()
        instrument.measure(table, RNG)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5 * 8 * _blocks.ENTRIES  # a few blocks of 8 MB
