"""Particles: the tokens of a simulation at one time as points, and of a finished run as a trajectory."""

from gedanken.captures.base import Capture
from gedanken.kinds import Kind
from gedanken.site import Site
from gedanken.sources.base import Snapshot
from gedanken.sources.particles.configuration import Configuration


def captures(snapshot: Snapshot) -> list[Capture]:
    """`particles.x` of kind points; `particles.path` of kind trajectory where the run ends."""
    state: Configuration = snapshot.state
    found = [_capture(state, "x", Kind.points, {Kind.points, Kind.moments}, lambda: state.points)]
    if state.path is not None:
        found.append(_capture(state, "path", Kind.trajectory, {Kind.trajectory}, lambda: state.path))
    return found


def _capture(state: Configuration, part: str, kind: Kind, kinds: set[Kind], read) -> Capture:
    return Capture(
        site=Site("particles", part),
        kind=kind,
        kinds=frozenset(kinds),
        rows=state.particles,
        cols=state.dimension,
        dtype="float64",
        raw_name=part,
        notes=(),
        read=read,
    )
