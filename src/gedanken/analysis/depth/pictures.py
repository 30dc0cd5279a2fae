"""Pictures of the residual stream over depth: what sparsity is made of, and where each variable is said to change."""

import json

import numpy as np
import polars as pl

from gedanken.analysis.depth.locate import locate
from gedanken.analysis.depth.series import Excerpt, of_lab
from gedanken.status import Refusal
from gedanken.theory import hoyer

COUNT = 400
"""Replicates behind a drawn interval: its ends are then known to a few per cent of its width; verdicts take more."""

SPARSITY = {
    "raw": ("hoyer_sparsity", {"basis": "coordinates", "removed": 0, "first": False}),
    "massive alone": ("hoyer_massive", {"first": False}),
    "without 16 coordinates": ("hoyer_sparsity", {"basis": "coordinates", "removed": 16, "first": False}),
    "standardised": ("hoyer_sparsity", {"basis": "standardised", "removed": 0, "first": False}),
}
"""The lines of the decomposition: variable and fields."""

PLACED = {
    "s_H": SPARSITY["raw"],
    "s_H standardised": SPARSITY["standardised"],
    "s_H without 16": SPARSITY["without 16 coordinates"],
    "s_H whitened": ("hoyer_sparsity", {"basis": "whitened", "removed": 0, "first": False}),
    "ln PR": ("covariance_participation_ratio", {"centring": "centred"}),
    "ln energy rank": ("covariance_energy_rank", {"centring": "centred"}),
    "ln gap": ("spectral_gap", {"centring": "centred"}),
    "tail share": ("tail_share_64", {"centring": "centred"}),
}
"""Variables whose change is placed: what the paper's claims are about."""

ESTIMATORS = {"increment": "largest increment", "logistic": "logistic", "levels": "two levels", "kernel": "kernel",
              "kink": "kink"}  # fmt: skip

_COLUMNS = {"run": pl.String, "picture": pl.String, "kind": pl.String, "group": pl.String, "label": pl.String,
            "x": pl.Float64, "y": pl.Float64, "low": pl.Float64, "high": pl.Float64}  # fmt: skip


def pictures(lab, runs: list[str]) -> pl.DataFrame:
    """Rows of `sparsity_parts` and `critical_depths` of runs and, by `label`, of their null runs."""
    settings = lab.settings.filter(pl.col("instrument").is_in(_INSTRUMENTS)).collect().to_dicts()
    if not settings:
        return pl.DataFrame(schema=_COLUMNS)
    null_of = dict(lab.runs.select("run", "null_of").collect().iter_rows())
    rows = []
    for run in runs:
        for name in [run, *(other for other, of in null_of.items() if of == run)]:
            label = "measured" if name == run else name.rpartition("~")[2]
            excerpt = Excerpt.of(lab, name, _VARIABLES)
            parts = [{"run": run, "label": label} | row for row in _parts(excerpt, name, settings)]
            rows += parts if any(row["kind"] == "raw" for row in parts) else []
            rows += [{"run": run, "label": label} | row for row in _places(excerpt, name, settings)]
    return pl.DataFrame(rows, schema=_COLUMNS)


_INSTRUMENTS = ("hoyer_sparsity", "massive_coordinates", "covariance_participation_ratio", "covariance_spectrum")
_VARIABLES = sorted({variable for variable, _ in (SPARSITY | PLACED).values()})


def _series(lab, run: str, variable: str, fields: dict, settings: list[dict], change=None):
    instruments = {"hoyer_massive": "massive_coordinates", "spectral_gap": "covariance_spectrum"}
    instruments |= {"covariance_energy_rank": "covariance_spectrum", "tail_share_64": "covariance_spectrum"}
    wanted = [
        row["setting"]
        for row in settings
        if row["instrument"] == instruments.get(variable, variable)
        and fields.items() <= json.loads(row["fields"]).items()
    ]
    if not wanted:
        return None
    try:
        return of_lab(lab, run, variable, wanted[-1], np.random.default_rng(0), change=change, count=COUNT)
    except Refusal:
        return None


def _parts(lab, run: str, settings: list[dict]):
    yield from _random_directions(lab, run)
    for kind, (variable, fields) in SPARSITY.items():
        found = _series(lab, run, variable, fields, settings)
        if found is None:
            continue
        low, high = np.quantile(found.replicates, [0.025, 0.975], axis=0)
        for s, value in enumerate(found.values):
            yield {"picture": "sparsity_parts", "kind": kind, "group": "", "x": s / found.blocks, "y": float(value),
                   "low": float(low[s]), "high": float(high[s])}  # fmt: skip


def _random_directions(lab, run: str):
    """Sparsity of random directions, which has no depth."""
    here = lab.sites.filter(pl.col("run") == run, block="resid")
    d = here.select(pl.col("cols").max()).collect().item()
    for x in (0.0, 1.0) if d and d > 1 else ():
        yield {"picture": "sparsity_parts", "kind": "random directions", "group": "", "x": x,
               "y": hoyer.random_mean(d) / hoyer.largest(d), "low": None, "high": None}  # fmt: skip


def _places(lab, run: str, settings: list[dict]):
    for group, (variable, fields) in PLACED.items():
        found = _series(lab, run, variable, fields, settings, np.log if group.startswith("ln") else None)
        try:
            located = locate(found) if found is not None else None
        except Refusal:
            located = None
        for name, place in (located.places if located else {}).items():
            yield {"picture": "critical_depths", "kind": ESTIMATORS[name], "group": group, "x": place.depth, "y": None,
                   "low": max(place.low / place.blocks, 0.0), "high": min(place.high / place.blocks, 1.0)}  # fmt: skip
