"""What changed between two runs: every variable at every site, with its error, and in units of the null band."""

import polars as pl

from gedanken.measurements.store import Lab
from gedanken.status import Status

_PLACE = ("site", "variable", "setting")


def changes(lab: Lab, base: str, tuned: str) -> pl.DataFrame:
    """One row for each site, variable and setting that stands in both runs, each at its last step.

    Columns: base, tuned, change (tuned − base), stderr (√(s₁² + s₂²); null where neither has one: the weights are
    known exactly, and so is the change), relative_change, null_widths (change over the width of the null's 95 % band).
    """
    before, after = _last(lab, base), _last(lab, tuned)
    joined = before.join(after, on=list(_PLACE), suffix="_tuned")
    errors = [pl.col(name).fill_null(0.0) for name in ("stderr", "stderr_tuned")]
    known = pl.col("stderr").is_not_null() | pl.col("stderr_tuned").is_not_null()
    change = pl.col("value_tuned") - pl.col("value")
    width = pl.col("high") - pl.col("low")
    return joined.select(
        *_PLACE,
        pl.col("value").alias("base"),
        pl.col("value_tuned").alias("tuned"),
        change.alias("change"),
        pl.when(known).then((errors[0] ** 2 + errors[1] ** 2).sqrt()).alias("stderr"),
        pl.when(pl.col("value") != 0).then(change / pl.col("value").abs()).alias("relative_change"),
        pl.when(width > 0).then(change / width).alias("null_widths"),
    ).sort(pl.col("null_widths").abs(), descending=True, nulls_last=True)


def _last(lab: Lab, run: str) -> pl.DataFrame:
    """The values of a run that stand at its last step, with the band of one null each."""
    rows = lab.measurements.filter((pl.col("run") == run) & (pl.col("status") == Status.ok)).collect()
    nulls = lab.nulls.filter(pl.col("run") == run).collect()
    if rows["step"].drop_nulls().len():
        rows, nulls = (frame.filter(pl.col("step") == rows["step"].max()) for frame in (rows, nulls))
    band = nulls.unique(subset=list(_PLACE), keep="first", maintain_order=True).select(*_PLACE, "low", "high")
    return rows.select(*_PLACE, "value", "stderr").join(band, on=list(_PLACE), how="left")
