"""Against the null: every measured value beside its site, its interval and its null. Table → table."""

import polars as pl

from gedanken.analysis.variants import variants

KEY = ("run", "step", "site", "variable", "setting")

NORMAL_95 = 1.96
"""Half width of a 95 % interval in standard errors, where only a standard error is given (normal law)."""


def chosen_nulls(nulls: pl.LazyFrame) -> pl.LazyFrame:
    """One null per variable and setting: the one that covers most rows, the first by name among equals."""
    per = ["variable", "setting"]
    kept = nulls.group_by(*per, "null").len().sort([*per, "len", "null"], descending=[False, False, True, False])
    return nulls.join(kept.unique(per, keep="first").select(*per, "null"), on=[*per, "null"], how="semi")


def against_null(lab) -> pl.LazyFrame:
    """The measured rows (refused ones left out), each with its site's columns and its null.

    Adds `variant` (what sets its setting apart; empty for the usual one), `low`, `high` (95 % interval; from the
    standard error where none is stored), `null_name`, `null`, `null_low`, `null_high`, `p`, and `ratio` = value / null
    median with `log_ratio` = ln ratio, where both are positive and not logarithms already.
    """
    nulls = chosen_nulls(lab.nulls).select(
        *KEY,
        pl.col("null").alias("null_name"),
        pl.col("median").alias("null"),
        pl.col("low").alias("null_low"),
        pl.col("high").alias("null_high"),
        "p",
    )
    places = lab.sites.select(
        "run", "step", "site", "stack", "layer", "block", "part", "expert", "head", "rows", "cols"
    )
    margin = NORMAL_95 * pl.col("stderr")
    # A ratio of two logarithms says nothing: such variables are tested against their null, but not ranked by it.
    logarithms = lab.variables.filter(pl.col("symbol").str.starts_with("log")).select("variable").collect()["variable"]
    comparable = (pl.col("value") > 0) & (pl.col("null") > 0) & ~pl.col("variable").is_in(logarithms.implode())
    ratio = pl.when(comparable).then(pl.col("value") / pl.col("null"))
    names = variants(lab.settings.collect())
    return (
        lab.measurements.filter(pl.col("status") == "ok", pl.col("value").is_finite())
        .join(places, on=["run", "step", "site"], how="left", nulls_equal=True)
        .join(nulls, on=list(KEY), how="left", nulls_equal=True)
        .with_columns(
            pl.coalesce("low", pl.col("value") - margin).alias("low"),
            pl.coalesce("high", pl.col("value") + margin).alias("high"),
            ratio.alias("ratio"),
            pl.col("setting").replace_strict(names, default="", return_dtype=pl.String).alias("variant"),
        )
        .with_columns(pl.col("ratio").log().alias("log_ratio"))
        .drop("fingerprint")
    )


def last_steps(table: pl.LazyFrame) -> pl.LazyFrame:
    """The rows of each run's last step (of its only snapshot where there is no step axis)."""
    latest = table.group_by("run").agg(pl.col("step").max())
    return table.join(latest, on=["run", "step"], how="semi", nulls_equal=True)
