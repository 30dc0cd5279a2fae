"""Pictures: rows that analysis has drawn up for one panel, among the report's tables."""

import polars as pl

from gedanken.analysis.wording import cited


def picture_rows(found: pl.DataFrame) -> pl.DataFrame:
    """Rows of pictures as rows of the page: `quantity` names the picture; no step, no site."""
    empty = [pl.lit(None, dtype=pl.Int64).alias("step"), pl.lit(None, dtype=pl.String).alias("site")]
    return found.rename({"picture": "quantity"}).with_columns(*empty)


def picture_quantities(found: pl.DataFrame, labels: dict[str, str]) -> dict[str, dict]:
    """What the page must know of each picture, in the form of data.Data.quantities."""
    return {
        name: {
            "variable": name, "label": labels[name], "title": labels[name], "x_title": "", "symbol": "", "unit": "1",
            "scale": "linear", "no_null": "", "definition": "", "curve": True, "reference": cited(""), "positive": False,
            "ratio": False, "layered": False, "null": "", "picture": True,
        }
        for name in found["quantity"].unique().sort()
    }  # fmt: skip
