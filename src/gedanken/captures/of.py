"""captures_of: what a snapshot can be read as, by what its state is."""

from collections.abc import Iterable

from gedanken.captures import changes, packing, weights
from gedanken.captures.base import Capture
from gedanken.sources.architectures.base import Skipped
from gedanken.sources.base import Snapshot
from gedanken.sources.change import Change
from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.packing.source import Packing


def captures_of(snapshot: Snapshot, products: Iterable[str] = ()) -> list[Capture]:
    """Every capture of a snapshot. Raises Failure if the snapshot cannot be opened."""
    if isinstance(snapshot.state, Change):
        return changes.captures(snapshot)
    if isinstance(snapshot.state, Packing):
        return packing.captures(snapshot)
    return weights.captures(snapshot, products)


def skipped_of(snapshot: Snapshot) -> tuple[Skipped, ...]:
    """The tensors of a snapshot that are no capture (biases, norms, copies), each with the reason."""
    return snapshot.state.skipped if isinstance(snapshot.state, Checkpoint) else ()
