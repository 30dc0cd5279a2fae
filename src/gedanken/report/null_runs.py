"""Null runs as bands: what random weights and shuffled text gave at the same site, behind what was measured."""

import polars as pl

_SAME = ["site", "variable", "setting"]


def drawn_as_bands(rows: pl.DataFrame, lab, null_of: dict[str, str]) -> pl.DataFrame:
    """Fills `null`, `null_low`, `null_high` and `null_name` where a value has no null of its own but null runs were made:
    their median and their range."""
    nulls = [name for name, of in null_of.items() if of in set(rows["run"])]
    if not nulls:
        return rows
    found = (
        lab.measurements.filter(pl.col("run").is_in(nulls), pl.col("status") == "ok")
        .with_columns(pl.col("run").replace_strict(null_of))
        .group_by("run", *_SAME)
        .agg(
            pl.col("value").median().alias("_median"),
            pl.col("value").min().alias("_low"),
            pl.col("value").max().alias("_high"),
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
