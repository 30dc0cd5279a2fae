"""Lifecycle: the pictures of training runs and of pruned models among the report's tables."""

import polars as pl

from gedanken.analysis.lifecycle_pictures import lifecycle_pictures
from gedanken.report.pictures import picture_quantities, picture_rows

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
    return picture_rows(lifecycle_pictures(lab, runs))


def lifecycle_quantities(found: pl.DataFrame) -> dict[str, dict]:
    """What the page must know of each picture, in the form of data.Data.quantities."""
    return picture_quantities(found, LABELS)
