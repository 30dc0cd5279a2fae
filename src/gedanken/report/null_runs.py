"""Null runs as bands and lines: what random weights and changed text gave at the same site, behind what was measured."""

import polars as pl

_SAME = ["site", "variable", "setting"]

KINDS = {"random": "random weights", "shuffled": "shuffled text", "unigram": "resampled text"}
"""What the name of a null run ends in, and what a reader is told; columns of the values are `null_` and the former."""

LINES = tuple(f"null_{kind}" for kind in KINDS)


def drawn_as_bands(rows: pl.DataFrame, lab, null_of: dict[str, str]) -> pl.DataFrame:
    """Adds LINES, the median of the null runs of each kind. Fills `null`, `null_low`, `null_high` and `null_name` where a
    value has no null of its own but null runs were made: the median of all and their range."""
    nulls = [name for name, of in null_of.items() if of in set(rows["run"])]
    if not nulls:
        return rows.with_columns(pl.lit(None, pl.Float64).alias(name) for name in LINES)
    kind, value = pl.col("run").str.extract(r"~([a-z]+)\d*$"), pl.col("value")
    found = (
        lab.measurements.filter(pl.col("run").is_in(nulls), pl.col("status") == "ok")
        .with_columns(pl.col("run").replace_strict(null_of), kind.alias("_kind"))
        .group_by("run", *_SAME)
        .agg(
            value.median().alias("_median"),
            value.min().alias("_low"),
            value.max().alias("_high"),
            *(value.filter(pl.col("_kind") == word).median().alias(f"null_{word}") for word in KINDS),
        )
        .collect()
    )
    none = pl.col("null").is_null()
    filled = {"null": "_median", "null_low": "_low", "null_high": "_high"}
    return (
        rows.join(found, on=["run", *_SAME], how="left", maintain_order="left")
        .with_columns(
            *(
                pl.when(none).then(pl.col(source)).otherwise(pl.col(name)).alias(name)
                for name, source in filled.items()
            ),
            pl.when(none & pl.col("_median").is_not_null())
            .then(pl.lit("null_runs"))
            .otherwise(pl.col("null_name"))
            .alias("null_name"),
        )
        .drop(*filled.values())
    )
