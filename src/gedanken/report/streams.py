"""Streams: the pictures of activations over depth among the report's tables."""

import polars as pl

from gedanken.analysis.depth.pictures import pictures
from gedanken.analysis.wording import cited

LABELS = {"sparsity_parts": "what sparsity is made of", "critical_depths": "where variables change"}


def collect_streams(lab, runs: list[str]) -> pl.DataFrame:
    """As report/particles.collect_pictures."""
    empty = [pl.lit(None, dtype=pl.Int64).alias("step"), pl.lit(None, dtype=pl.String).alias("site")]
    return pictures(lab, runs).rename({"picture": "quantity"}).with_columns(*empty)


def stream_quantities(found: pl.DataFrame) -> dict[str, dict]:
    """What the page must know of each picture, in the form of data.Data.quantities."""
    return {
        name: {
            "variable": name, "label": LABELS[name], "title": LABELS[name], "x_title": "", "symbol": "", "unit": "1",
            "scale": "linear", "no_null": "", "definition": "", "curve": True, "reference": cited(""), "positive": False,
            "ratio": False, "layered": False, "null": "", "picture": True,
        }
        for name in found["quantity"].unique().sort()
    }  # fmt: skip
