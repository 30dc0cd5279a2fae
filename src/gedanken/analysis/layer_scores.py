"""Layer scores: one number a layer from the numbers of its attention matrices."""

import numpy as np
import polars as pl
from jaxtyping import Float

from gedanken.analysis.against_null import against_null, last_steps
from gedanken.measurements.store import Lab
from gedanken.status import Failure

ATTENTION = ("W_Q", "W_K", "W_V", "W_O")


def layer_scores(lab: Lab, run: str, variable: str) -> Float[np.ndarray, " layers"]:
    """Mean over a layer's attention matrices of the value minus its null's median, at the run's last step; NaN for a layer
    without any. Of ranks, the mean of ln(value / null median). A variable without a null is averaged as it is.

    Relative to the null, because matrices of other shapes (grouped keys and values) have other values without any
    structure. Raises Failure if the lab has none of it.
    """
    rows = last_steps(against_null(lab).filter((pl.col("run") == run) & (pl.col("variable") == variable))).collect()
    rows = rows.filter(pl.col("part").is_in(ATTENTION) & pl.col("layer").is_not_null() & (pl.col("variant") == ""))
    if rows.is_empty():
        raise Failure(f"The lab holds no {variable} of {run}.", "gedanken scan MODEL")
    if rows["null"].is_null().all():
        score = pl.col("value")
    else:
        score = pl.col("log_ratio") if variable.endswith("_rank") else pl.col("value") - pl.col("null")
    means = rows.group_by("layer").agg(score.mean().alias("score"))
    found = np.full(rows["layer"].max() + 1, np.nan)
    found[means["layer"].to_numpy()] = means["score"].to_numpy()
    return found
