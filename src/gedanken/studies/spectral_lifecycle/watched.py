"""Watched: training runs with their alarms and losses, healthy ones and those with a planted failure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from gedanken.experiment.alarms import replay
from gedanken.measurements.store import Lab

PLANTED = ("rate-jump", "frozen-layer", "rank-one")
OF_THE_LOSS = "divergence"


@dataclass(frozen=True, eq=False)
class Watched:
    """`alarms`: (step, alarm, site) of spectra, in the order of steps, by the definitions of today."""

    run: str
    recipe: Mapping[str, Any]
    alarms: tuple[tuple[int, str, str], ...]
    steps: Int[np.ndarray, " step"]
    losses: Float[np.ndarray, " step"]

    @property
    def planted(self) -> bool:
        return self.recipe["control"] in PLANTED

    @property
    def fails_at(self) -> int:
        """Step after which the planted failure is there."""
        return 0 if self.recipe["control"] == "frozen-layer" else self.recipe["steps"] // 2

    @property
    def first_alarm(self) -> float:
        """Step of the first alarm after the failure; infinite if there is none."""
        return min((step for step, _, _ in self.alarms if step > self.fails_at), default=np.inf)

    @property
    def rises(self) -> Float[np.ndarray, " step"]:
        """Loss above the lowest one before it."""
        lowest = np.minimum.accumulate(self.losses)
        return np.append(0.0, self.losses[1:] - lowest[:-1])


def watched(lab: Lab, runs: Iterable[str]) -> Iterator[Watched]:
    """Finished training runs without a control, or with a planted failure."""
    about = lab.runs.filter(pl.col("run").is_in(list(runs)), pl.col("source") == "training").collect()
    for run, text in about.select("run", "configuration").iter_rows():
        recipe = json.loads(text) if text else {}
        if not recipe or recipe["control"] not in ("", *PLANTED) or recipe.get("arm") or recipe["preset"] == "smoke":
            continue
        rows = lab.steps.filter(pl.col("run") == run).select("step", "loss").sort("step").collect().drop_nulls()
        if rows.is_empty() or rows["step"].max() < recipe["steps"]:
            continue
        raised = [alarm for alarm in replay(lab, run, recipe["steps"]) if alarm["alarm"] != OF_THE_LOSS]
        alarms = tuple((alarm["step"], alarm["alarm"], alarm["site"]) for alarm in raised)
        yield Watched(run, recipe, alarms, rows["step"].to_numpy(), rows["loss"].to_numpy())
