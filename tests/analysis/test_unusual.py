"""Benjamini–Hochberg and the ranking: closed cases, a naive twin, properties."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.analysis.against_null import against_null, last_steps
from gedanken.analysis.unusual import adjusted, most_unusual_sites, ranked, with_significance


def test_adjusted_by_hand():
    """m = 4: 0.005·4/1, 0.01·4/2, 0.03·4/3, 0.04·4/4, in the order given."""
    assert adjusted(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.02, 0.04, 0.04, 0.02], abs=1e-15)


def test_adjusted_of_the_original_example():
    """The fifteen p-values of Benjamini and Hochberg (1995), §3.2: at rate 0.05 exactly the first four are rejected."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert (adjusted(np.array(p)) <= 0.05).sum() == 4


def test_adjusted_of_nothing():
    assert adjusted(np.array([])).size == 0


p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
@settings(deadline=None, max_examples=200)
def test_adjusted_rejects_what_the_step_up_procedure_rejects(p, rate):
    """Naive twin: the largest i with p₍ᵢ₎ ≤ i·rate/m, and all below it."""
    p, m = np.array(p), len(p)
    ordered = np.sort(p)
    passing = [i for i in range(m) if ordered[i] * m / (i + 1) <= rate]
    limit = ordered[passing[-1]] if passing else -1.0
    assert ((adjusted(p) <= rate) == (p <= limit)).all()


@given(p_values)
@settings(deadline=None, max_examples=100)
def test_adjusted_follows_the_order_and_never_helps(p):
    p = np.array(p)
    q = adjusted(p)
    assert (q >= p * (1 - 2**-52)).all() and (q <= 1).all()  # m p / m is p to one rounding
    assert (np.diff(q[np.argsort(p, kind="stable")]) >= 0).all()


def rows(*values):
    """value, null, p at sites a, b, c …"""
    return pl.DataFrame(
        [
            {"run": "r", "step": None, "site": chr(97 + i), "variable": "v", "setting": "s", "p": p,
             "log_ratio": None if value * null <= 0 else float(np.log(value / null))}
            for i, (value, null, p) in enumerate(values)
        ],
        schema_overrides={"step": pl.Int64, "log_ratio": pl.Float64, "p": pl.Float64},
    )  # fmt: skip


def test_ties_in_p_are_ordered_by_distance_from_the_null():
    """All share the smallest p that 200 draws can give; ×1/8 is further than ×4 is further than ×2."""
    p = 2 / 201
    assert ranked(rows((2, 1, p), (4, 1, p), (1, 8, p)))["site"].to_list() == ["c", "b", "a"]


def test_insignificant_untested_and_ratioless_rows_are_not_ranked():
    table = rows((1000, 1, 0.9), (3, 1, 1e-4), (1000, 1, None), (5, 0, 1e-4))
    assert ranked(table)["site"].to_list() == ["b"]
    assert with_significance(table).filter(pl.col("site") == "c")["significant"].to_list() == [None]


def test_runs_are_separate_families():
    """One p = 0.04 alone is significant; among nineteen p = 1 it is not."""
    lonely = rows((2, 1, 0.04))
    crowd = rows((2, 1, 0.04), *[(2, 1, 1.0)] * 19).with_columns(pl.lit("crowd").alias("run"))
    judged = with_significance(pl.concat([lonely, crowd])).filter(pl.col("p") == 0.04)
    assert dict(judged.select("run", "significant").iter_rows()) == {"r": True, "crowd": False}


def test_one_row_a_site():
    twice = pl.concat([rows((2, 1, 1e-4)), rows((1, 9, 1e-4)).with_columns(pl.lit("w").alias("variable"))])
    best = most_unusual_sites(twice)
    assert best.select("site", "variable", "rank").rows() == [("a", "w", 1)]


def test_single_checkpoints_meet_their_nulls(lab):
    """Steps are null there: a join that forgot nulls_equal would lose every null."""
    table = last_steps(against_null(lab)).collect()
    single = table.filter(pl.col("step").is_null(), pl.col("variable") == "stable_rank")
    assert len(single) == 30 * 7 + 6 * 6 and single["null"].null_count() == 0


def test_logarithms_are_tested_but_have_no_ratio(lab):
    rows = last_steps(against_null(lab)).filter(pl.col("variable") == "packing_capacity").collect()
    assert rows["p"].null_count() == 0 and rows["ratio"].null_count() == len(rows)
