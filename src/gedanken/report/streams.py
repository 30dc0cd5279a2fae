"""Streams: the pictures of activations over depth among the report's tables."""

import polars as pl

from gedanken.analysis.depth.pictures import pictures
from gedanken.report.pictures import picture_quantities, picture_rows

LABELS = {"sparsity_parts": "what sparsity is made of", "critical_depths": "where variables change"}


def collect_streams(lab, runs: list[str]) -> pl.DataFrame:
    """As report/particles.collect_pictures."""
    return picture_rows(pictures(lab, runs))


def stream_quantities(found: pl.DataFrame) -> dict[str, dict]:
    """What the page must know of each picture, in the form of data.Data.quantities."""
    return picture_quantities(found, LABELS)
