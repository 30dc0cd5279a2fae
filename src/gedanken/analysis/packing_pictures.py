"""What pictures of packings and of relations between tokens are drawn from, in the columns of particle_pictures.PICTURE."""

import numpy as np
import polars as pl

from gedanken.analysis.capacity import packing_cells
from gedanken.analysis.packing_fits import beyond, fit
from gedanken.analysis.particle_pictures import PICTURE
from gedanken.measurements.store import Lab
from gedanken.status import Failure
from gedanken.theory.packing import FORMS, Form, random_coherence, welch_bound

POINTS = 24
"""Of a drawn curve."""
VIEWS = {"nearest": "nearest_tokens", "pair": "token_pairs", "followed": "followed_tokens"}
"""Relation of the table `neighbours` → picture."""


def packing_picture(lab: Lab) -> pl.DataFrame:
    """ε against k by d: as packed, as the forms say, and the two that frame it. Belongs to the lab, so run is empty."""
    cells = packing_cells(lab)
    if cells.is_empty():
        return pl.DataFrame(schema=PICTURE)
    rows = [
        _row(f"packed, {loss} loss", d, k, epsilon, label=f"p {p}, {evaluations:,} evaluations")
        for d, k, epsilon, _, loss, p, evaluations in cells.iter_rows()
    ]
    form, told = _form(cells)
    low, high = cells["k"].min(), cells["k"].max()
    for d in cells["d"].unique().sort():
        counts = np.unique(
            np.geomspace(max(low / 1.3, d + 1, 3), max(high * 1.3, d + 2, 4), POINTS).round().astype(int)
        )
        for k in map(int, counts):
            rows.append(_row("fit", d, k, form.overlap(k, d), told))
            rows.append(_row("Welch bound", d, k, welch_bound(k, d)))
            rows.append(_row("random directions", d, k, random_coherence(k * (k - 1) / 2, d)))
    return pl.DataFrame(rows, schema=PICTURE).filter(pl.col("y") > 0)


def _form(cells: pl.DataFrame) -> tuple[Form, str]:
    """The four-parameter form fitted to the cells of the commonest loss; the published one where they are too few."""
    loss = cells["loss"].mode().sort()[0]
    try:
        return fit(beyond(cells.filter(pl.col("loss") == loss)), "full").form, f"fitted here, {loss} loss"
    except Failure:
        return FORMS["full"], "published"


def _row(kind: str, d: int, k: int, epsilon: float, label: str = "") -> dict:
    return {"run": "", "picture": "packing", "kind": kind, "number": d, "x": float(k), "y": epsilon, "label": label}


def token_pictures(lab: Lab) -> pl.DataFrame:
    """One row for each neighbour, pair or most-followed token: x its cosine (or followers), y ε, low that of a random
    table; label what it writes, group the token it belongs to."""
    rows = lab.neighbours.collect()
    if rows.is_empty():
        return pl.DataFrame(schema=PICTURE)
    relation, pair = pl.col("relation"), pl.format("{} – {}", "token", "other")
    followed = relation == "followed"
    ids = pl.when(pl.col("picture") == VIEWS["nearest"]).then("other_id").otherwise("token_id")
    found = rows.select(
        "run",
        "token_id",
        "other_id",
        relation.replace_strict(VIEWS, return_dtype=pl.String).alias("picture"),
        pl.col("site").alias("kind"),
        pl.col("rank").alias("number"),
        pl.when(relation == "nearest").then("token").alias("group"),
        pl.lit(None, pl.Float64).alias("time"),
        pl.when(followed).then("followers").otherwise("cosine").cast(pl.Float64).alias("x"),
        pl.when(~followed).then("edge").alias("y"),
        pl.when(~followed).then("null_edge").alias("low"),
        pl.col("share").alias("high"),
        pl.when(relation == "pair").then(pair).when(followed).then("token").otherwise("other").alias("label"),
    )
    # two tokens may write the same; a second line of one name would hide the first
    twice = pl.len().over("run", "picture", "kind", "group", "label") > 1
    found = found.with_columns(pl.when(twice).then(pl.format("{} #{}", "label", ids)).otherwise("label").alias("label"))
    return found.sort("run", "picture", "kind", "group", "number").select(*PICTURE).cast(PICTURE)
