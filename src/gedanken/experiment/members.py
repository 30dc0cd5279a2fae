"""Members of an ensemble: one thing done many times, seed by seed, each seed kept in the lab as soon as it is done.

An ensemble is one run, however many seeds it has; what was found at a seed are rows of the table `members`. A killed
ensemble goes on where it stopped, and one that is complete is only read.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from gedanken.measurements.store import Lab, digest, part_key

KEEP_EVERY = 5.0
"""Seconds of work that a kill can lose, beside the seed in hand."""

Member = Callable[[int], Mapping[str, float | None]]
"""seed → what was found there, by name."""


def members(
    lab: Lab,
    run: str,
    settings: Mapping[str, Any],
    seeds: Iterable[int],
    measure: Member,
    progress: Callable[[int], None] | None = None,
) -> pl.DataFrame:
    """One row per seed, in order: the column `seed`, and one for each thing found. Seeds the lab holds are not done again.

    `settings` is everything besides the seed that decides the result, and the version of the code that makes it:
    seeds of other settings do not count. `progress` is called with the number of seeds done after each.
    """
    seeds, fingerprint = list(seeds), digest(*sorted(settings.items()), size=8)
    here = (pl.col("run") == run) & (pl.col("fingerprint") == fingerprint) & pl.col("seed").is_in(seeds)
    done = set(lab.members.filter(here).select("seed").unique().collect()["seed"])
    waiting, kept = [], time.monotonic()
    for position, seed in enumerate(seed for seed in seeds if seed not in done):
        found, now = measure(seed), datetime.now(UTC)
        waiting += [
            {"run": run, "seed": seed, "variable": variable, "value": value, "fingerprint": fingerprint, "created": now}
            for variable, value in found.items()
        ]
        if time.monotonic() - kept > KEEP_EVERY:
            _keep(lab, run, fingerprint, waiting)
            waiting, kept = [], time.monotonic()
        if progress:
            progress(len(done) + position + 1)
    _keep(lab, run, fingerprint, waiting)
    rows = lab.members.filter(here).collect()
    return rows.pivot("variable", index="seed", values="value", maintain_order=True).sort("seed")


def _keep(lab: Lab, run: str, fingerprint: str, rows: list[dict]) -> None:
    if rows:
        lab.write("members", rows, part_key(run, fingerprint, rows[0]["seed"], rows[-1]["seed"]))
