"""Places of the charts: a small chart for each part, over the layers."""

import polars as pl

from gedanken.report.data import _places

COLUMNS = ("run", "stack", "block", "part", "layer", "expert", "head")


def places(*sites: tuple) -> list[tuple]:
    rows = pl.DataFrame([("run", *site, None, None) for site in sites], schema=COLUMNS, orient="row")
    found = _places(rows.with_columns(pl.col("stack", "expert", "head").cast(pl.String)))
    return found.select("group", "layer", "depth").rows()


def test_what_enters_the_first_block_is_the_first_state_of_the_path():
    states = (None, "resid", "resid_pre", 0), (None, "resid", "resid_post", 0), (None, "resid", "resid_post", 1)
    assert places(*states) == [("resid_post", -1, 0.0), ("resid_post", 0, 0.25), ("resid_post", 1, 0.75)]


def test_each_stack_has_a_path_of_its_own():
    states = [(stack, "resid", part, 0) for stack in ("encoder", "decoder") for part in ("resid_pre", "resid_post")]
    assert [group for group, *_ in places(*states)] == ["encoder resid_post"] * 2 + ["decoder resid_post"] * 2


def test_other_parts_stay_where_they_are():
    sites = (None, "attn", "W_Q", 0), (None, "resid", "resid_mid", 0), (None, "stream", "resid_post", None)
    assert places(*sites) == [("W_Q", 0, 0.5), ("resid_mid", 0, 0.5), ("resid_post", None, None)]
