"""Changes: each matrix that two checkpoints share, before and after, as captures of kind `pair`."""

from gedanken.captures.base import Capture
from gedanken.kinds import Factors, Kind, Pair
from gedanken.sources.base import Snapshot
from gedanken.sources.change import Change, Shared

_KINDS = frozenset({Kind.pair, Kind.spectrum})


def captures(snapshot: Snapshot) -> list[Capture]:
    """Every matrix that the two checkpoints share."""
    change: Change = snapshot.state
    return [_capture(change, shared) for shared in change.shared]


def _capture(change: Change, shared: Shared) -> Capture:
    before, after = shared.before, shared.after
    infos = change.before.files.tensors[before.tensor], change.after.files.tensors[after.tensor]
    return Capture(
        site=before.site,
        kind=Kind.pair,
        kinds=_KINDS,
        rows=before.rows,
        cols=before.cols,
        dtype=infos[0].dtype if infos[0].dtype == infos[1].dtype else f"{infos[0].dtype} → {infos[1].dtype}",
        raw_name=after.tensor,
        notes=tuple(dict.fromkeys((*before.notes, *after.notes))),
        read=lambda: _read(change, shared),
    )


def _read(change: Change, shared: Shared) -> Pair:
    base, after = change.before.read(shared.before), change.after.read(shared.after)
    return Pair(base, after if isinstance(after, Factors) else after - base)
