"""preview: what a plan would measure of a source, and about what it would cost, without reading a tensor."""

from dataclasses import dataclass
from math import ceil
from typing import Any

from gedanken.experiment.plan import Plan
from gedanken.sources.base import Source

SPEED = 1.5e10
"""Floating-point operations in a second of one core in float64 decompositions, all told: half of what a laptop core
reached when it was measured (docs/log.md)."""


@dataclass(frozen=True)
class Preview:
    """`rows`: one for each part of the model. `sentence`: the cost in words."""

    rows: list[dict[str, Any]]
    sentence: str


def preview(source: Source, plan: Plan) -> Preview:
    """The sites of the first snapshot by part, and an estimate of time and memory for all. Raises Failure like `run`."""
    snapshots = list(source.snapshots())
    captures = plan.captures(snapshots[0])
    groups: dict[str, list] = {}
    for capture in captures:
        groups.setdefault(capture.site.part if capture.site.layer is not None else str(capture.site), []).append(
            capture
        )
    rows = [
        {
            "part": part,
            "sites": len(group),
            "shape": f"{group[0].rows} × {group[0].cols}",
            "stored": group[0].dtype,
            "instruments": len(plan.reading(group[0])),
            "core_seconds": sum(capture.work for capture in group) / SPEED,
        }
        for part, group in groups.items()
    ]
    if shared := plan.shared_work(snapshots[0]):
        rows.append(dict.fromkeys(rows[0]) | {"part": "forward passes", "sites": 0, "core_seconds": shared / SPEED})
    seconds = ceil((sum(capture.work for capture in captures) + shared) * len(snapshots) / SPEED)
    largest = max((capture.rows * capture.cols for capture in captures), default=0) * 8 / 2**20
    counted = f"{len(captures)} sites" + (f" × {len(snapshots)} snapshots" if len(snapshots) > 1 else "")
    return Preview(rows, f"{counted}, about {seconds} core-seconds, under {3 * largest:.0f} MB for each worker")
