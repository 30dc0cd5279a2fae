"""Thinning and packing: what goes in comes out, to three digits."""

import json

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.report.packing import _runs, pack, safe_json
from gedanken.report.thinning import BINS, log_spaced, pick_ranks, thin_curve


def unpacked(coded):
    if isinstance(coded, list):
        return coded
    return [v for v, n in zip(coded["r"][::2], coded["r"][1::2], strict=True) for _ in range(n)]


@given(st.lists(st.sampled_from([None, 1.5, 2.0, "a"])))
@settings(deadline=None, max_examples=100)
def test_run_lengths_come_back(values):
    assert unpacked(_runs(values)) == values


def test_pack_rounds_groups_and_drops_empty_columns():
    frame = pl.DataFrame(
        {"run": list("aab"), "quantity": list("qqq"), "value": [1.23456, float("nan"), 98765.0], "low": [None] * 3},
        schema_overrides={"low": pl.Float64},
    )
    packed = pack(frame, ["value", "low"])
    assert unpacked(packed["a"]["q"]["value"]) == [1.23, None]
    assert packed["b"]["q"]["value"] == [98800.0] and "low" not in packed["a"]["q"]


@given(st.text())
@settings(deadline=None, max_examples=200)
def test_json_cannot_leave_its_script_element(text):
    made = safe_json({"t": text + "</script><!--"})
    assert not set("<>&\u2028\u2029") & set(made) and json.loads(made)["t"] == text + "</script><!--"


@given(st.sets(st.integers(0, 10**6), min_size=1, max_size=200), st.integers(2, 24))
@settings(deadline=None, max_examples=100)
def test_log_spaced_steps(steps, most):
    steps = sorted(steps)
    kept = log_spaced(steps, most)
    assert len(kept) <= most and set(kept) <= set(steps) and kept[0] == steps[0] and kept[-1] == steps[-1]


def test_thinning_keeps_the_area():
    x = np.linspace(-4, 4, 240)
    y = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    thin_x, thin_y, *_ = thin_curve((x.tolist(), y.tolist(), None, None, None, None))
    assert len(thin_x) <= BINS
    # A sum of equal bins; what is cropped has density under 10⁻³ of the peak: area below 10⁻³·0.4·8 ≈ 3·10⁻³.
    assert abs(np.sum(thin_y) * (thin_x[1] - thin_x[0]) - 1) < 3e-3


def test_a_curve_by_rank_keeps_its_first_points_and_its_last():
    rank = [float(i) for i in range(1, 577)]
    x, y, low, *_ = pick_ranks((rank, [1 / i for i in rank], None, None, None, None))
    assert len(x) <= BINS and x[:5] == [1, 2, 3, 4, 5] and x[-1] == 576 and low is None
    assert y == [1 / i for i in x]
