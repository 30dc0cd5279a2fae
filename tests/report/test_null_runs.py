"""Null runs stand behind the run they are nulls of: as bands where a value has no null, and not among the runs."""

import json

import polars as pl
import pytest

from gedanken.report.null_runs import LINES, drawn_as_bands
from gedanken.report.panels import depth


class OfNulls:
    """What of a lab is read: the measurements of two null runs, 1 and 3 at the one site."""

    measurements = pl.LazyFrame(
        {
            "run": ["m~random", "m~random2", "m~random"],
            "site": ["a", "a", "b"],
            "variable": ["v", "v", "v"],
            "setting": ["s", "s", "s"],
            "value": [1.0, 3.0, 9.0],
            "status": ["ok", "ok", "refused"],
        }
    )


def rows() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "run": ["m", "m", "m"], "site": ["a", "b", "a"], "variable": ["v", "v", "w"], "setting": ["s", "s", "s"],
            "null": [None, None, 5.0], "null_low": [None, None, 4.0], "null_high": [None, None, 6.0],
            "null_name": [None, None, "gaussian_twin"],
        }
    )  # fmt: skip


def test_a_value_without_a_null_gets_the_range_of_the_null_runs():
    found = drawn_as_bands(rows(), OfNulls, {"m~random": "m", "m~random2": "m"})
    assert found.row(0, named=True) | {
        "null": 2.0,
        "null_low": 1.0,
        "null_high": 3.0,
        "null_name": "null_runs",
        "null_random": 2.0,
        "null_shuffled": None,
    } == found.row(0, named=True)
    # A refused null says nothing, and a value's own null stays.
    assert found["null"].to_list()[1:] == [None, 5.0] and found["null_name"].to_list()[1:] == [None, "gaussian_twin"]


def test_each_kind_of_null_run_has_its_line():
    nulls = {"m~random": "m", "m~shuffled": "m"}
    measured = OfNulls.measurements.with_columns(run=pl.Series(["m~random", "m~shuffled", "m~random"]))

    class Lab:
        measurements = measured

    found = drawn_as_bands(rows(), Lab, nulls).row(0, named=True)
    assert [found[name] for name in LINES] == [1.0, 3.0, None]


def test_without_null_runs_nothing_changes():
    assert drawn_as_bands(rows(), OfNulls, {}).drop(LINES).equals(rows())


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_lines_of_null_runs_name_their_colours(scale):
    """A key whose colours come from rows has no size where a run has no null runs."""
    with_runs, without = (json.dumps(depth.chart(scale, null_runs).to_dict()) for null_runs in (True, False))
    assert '"domain": ["measured", "random weights", "shuffled text", "resampled text"]' in with_runs
    assert "null_random" not in without and '"color"' not in without
