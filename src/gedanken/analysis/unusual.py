"""Unusual: which sites lie furthest from what structureless weights would give.

Significance is the Benjamini–Hochberg procedure over all comparisons of a snapshot; the order is that of
|ln(value / null median)|. A rank p-value has only as many levels as the null has draws, so most sites of a trained
model share the smallest one: p says whether, never how far.
"""

import numpy as np
import polars as pl
from jaxtyping import Float

RATE = 0.05
"""False-discovery rate: the share of false alarms tolerated among what is called unusual."""


def adjusted(p: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Benjamini–Hochberg adjusted p-values q: rejecting q ≤ r keeps the false-discovery rate at r.

    q₍ᵢ₎ = min over j ≥ i of m p₍ⱼ₎ / j, at most 1 [@benjamini1995controlling, §3.1]. Empty in, empty out.
    """
    order = np.argsort(p, kind="stable")
    scaled = p[order] * p.size / np.arange(1, p.size + 1)
    q = np.empty_like(scaled)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


def with_significance(table: pl.DataFrame, rate: float = RATE) -> pl.DataFrame:
    """The rows of `against_null` with `q` (adjusted within run and step) and `significant` (null where untested)."""
    tested = table.filter(pl.col("p").is_not_null())
    parts = [
        part.with_columns(pl.Series("q", adjusted(part["p"].to_numpy())))
        for part in tested.partition_by("run", "step", maintain_order=True)
    ]
    untested = table.filter(pl.col("p").is_null()).with_columns(pl.lit(None, pl.Float64).alias("q"))
    return pl.concat([*parts, untested]).with_columns((pl.col("q") <= rate).alias("significant"))


def ranked(table: pl.DataFrame, rate: float = RATE) -> pl.DataFrame:
    """The significant rows that have a ratio, most unusual first within each run and step, with their `rank` from 1.

    Rows whose value or null median is not positive have no ratio: they are tested, but cannot be ranked.
    """
    return (
        with_significance(table, rate)
        .filter(pl.col("significant"), pl.col("log_ratio").is_not_null())
        .with_columns(pl.col("log_ratio").abs().alias("distance"))
        .sort(
            ["run", "step", "distance", "site", "variable", "setting"],
            descending=[False, False, True, False, False, False],
        )
        .with_columns((pl.int_range(pl.len()) + 1).over("run", "step").alias("rank"))
    )


def most_unusual_sites(table: pl.DataFrame, rate: float = RATE) -> pl.DataFrame:
    """One row per site: its most unusual variable; sites in the order of that distance, with their `rank` from 1."""
    return (
        ranked(table, rate)
        .unique(["run", "step", "site"], keep="first", maintain_order=True)
        .with_columns((pl.int_range(pl.len()) + 1).over("run", "step").alias("rank"))
    )
