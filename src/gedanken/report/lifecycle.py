"""Lifecycle: the pictures of training runs and of pruned models among the report's tables."""

import polars as pl

from gedanken.analysis.lifecycle_pictures import lifecycle_pictures
from gedanken.analysis.wording import cited

LABELS = {
    "wave": "stable rank",
    "gradient": "depth gradient",
    "parts_rank": "log compression, u",
    "parts_shape": "rank exponent, α",
    "fit_rank": "log compression, u",
    "fit_shape": "rank exponent, α",
    "importance": "importance",
    "pruning": "loss",
}


def collect_lifecycle(lab, runs: list[str]) -> pl.DataFrame:
    """The rows of all pictures as rows of the page's pictures: `quantity` names the picture; no step, no site."""
    empty = [pl.lit(None, dtype=pl.Int64).alias("step"), pl.lit(None, dtype=pl.String).alias("site")]
    return lifecycle_pictures(lab, runs).rename({"picture": "quantity"}).with_columns(*empty)


def lifecycle_quantities(found: pl.DataFrame) -> dict[str, dict]:
    """What the page must know of each picture, in the form of data.Data.quantities."""
    return {
        name: {
            "variable": name, "label": LABELS[name], "title": LABELS[name], "x_title": "", "symbol": "", "unit": "1",
            "scale": "linear", "no_null": "", "definition": "", "curve": True, "reference": cited(""), "positive": False,
            "ratio": False, "layered": False, "null": "", "picture": True,
        }
        for name in found["quantity"].unique().sort()
    }  # fmt: skip
