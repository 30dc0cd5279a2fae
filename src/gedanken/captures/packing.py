"""Packing: the vectors of a packing as points, at the site packing.x."""

from gedanken.captures.base import Capture
from gedanken.kinds import Kind
from gedanken.site import Site
from gedanken.sources.base import Snapshot
from gedanken.sources.packing.source import Packing


def captures(snapshot: Snapshot) -> list[Capture]:
    """The one capture of a packing's snapshot."""
    packing: Packing = snapshot.state
    rows, cols = packing.vectors.shape
    return [
        Capture(
            site=Site("packing", "x"),
            kind=Kind.points,
            kinds=frozenset({Kind.points, Kind.moments}),
            rows=rows,
            cols=cols,
            dtype=str(packing.vectors.dtype),
            raw_name="x",
            notes=(),
            read=lambda: packing.vectors,
        )
    ]
