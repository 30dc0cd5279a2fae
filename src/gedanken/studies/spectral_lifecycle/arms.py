"""Arms: runs of the warm-up experiment, by arm and learning rate, with their losses at the end."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from gedanken.measurements.store import Lab
from gedanken.studies.spectral_lifecycle.units import bare

REFERENCE = "C0"


@dataclass(frozen=True, eq=False)
class Arm:
    """`losses`: seed → loss in nat a token, mean of the batches of the last 10 % of snapshots, each before its update."""

    experiment: str
    name: str
    learning_rate: float
    recipe: Mapping[str, Any]
    losses: Mapping[int, float]

    @property
    def loss(self) -> float:
        return float(np.mean(list(self.losses.values())))


def arms(lab: Lab, runs: Iterable[str]) -> list[Arm]:
    """Finished runs of recipes of which at least one arm beside the reference was trained. A run without an arm is C0."""
    about = lab.runs.filter(pl.col("run").is_in(list(runs)), pl.col("source") == "training").collect()
    recipes = {run: json.loads(text) for run, text in about.select("run", "configuration").iter_rows() if text}
    groups: dict[tuple[str, str, float], dict[int, float]] = defaultdict(dict)
    example: dict[tuple[str, str, float], dict] = {}
    for run, recipe in recipes.items():
        if recipe["control"] or (loss := last_loss(lab, run, recipe["steps"])) is None:
            continue
        key = bare(recipe, "arm", "learning_rate"), recipe.get("arm") or REFERENCE, recipe["learning_rate"]
        groups[key][recipe["seed"]], example[key] = loss, recipe
    tried = {experiment for experiment, name, _ in groups if name != REFERENCE}
    return [Arm(*key, example[key], losses) for key, losses in sorted(groups.items()) if key[0] in tried]


def last_loss(lab: Lab, run: str, steps: int) -> float | None:
    """None if the run has not reached its last step."""
    rows = lab.steps.filter(pl.col("run") == run).select("step", "loss").sort("step").collect().drop_nulls()
    if rows.is_empty() or rows["step"].max() < steps:
        return None
    return float(rows["loss"].tail(max(1, len(rows) // 10)).mean())
