"""Replay: the alarms of a run that a lab holds, by the definitions of today, whichever were in force when it was measured."""

from typing import Any

import polars as pl

from gedanken.measurements.store import Lab
from gedanken.monitor.alarms import READ, Watch
from gedanken.sources.base import Snapshot


def replay(lab: Lab, run: str, steps: int | None = None) -> list[dict[str, Any]]:
    """Rows of the table `alarms`, in the order of steps. steps: the length of the training (alarms.Watch)."""
    mine, watch = pl.col("run") == run, Watch(steps)
    tables = {
        "measurements": lab.measurements.filter(mine, pl.col("variable").is_in(READ)),
        "nulls": lab.nulls.filter(mine, pl.col("variable").is_in(READ)),
        "sites": lab.sites.filter(mine),
    }
    by_step = {name: frame.collect().partition_by("step", as_dict=True) for name, frame in tables.items()}
    found = []
    for step, loss in lab.steps.filter(mine).select("step", "loss").sort("step").collect().iter_rows():
        rows = {name: parts[step,].to_dicts() if (step,) in parts else [] for name, parts in by_step.items()}
        found += watch.alarms(Snapshot(run, None, "", step, loss=loss), rows)
    return found
