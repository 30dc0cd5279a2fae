"""captures_of: what a snapshot can be read as, by what its state is."""

from collections.abc import Callable, Collection, Iterable

from gedanken.captures import changes, packing, particles, weights
from gedanken.captures.base import Capture
from gedanken.kinds import Kind
from gedanken.sources.architectures.base import Skipped
from gedanken.sources.base import Snapshot
from gedanken.sources.change import Change
from gedanken.sources.checkpoints import Checkpoint
from gedanken.sources.packing.source import Packing
from gedanken.sources.particles.configuration import Configuration
from gedanken.sources.running import Running, Unrunnable


def captures_of(
    snapshot: Snapshot,
    products: Iterable[str] = (),
    sites: tuple[str, ...] = (),
    kinds: Collection[Kind] = tuple(Kind),
) -> list[Capture]:
    """Every capture of a snapshot. Of a running model, those whose site matches a pattern (all if there is none) and that
    can be read as one of `kinds`: what nobody reads is not kept.

    Raises Failure if the snapshot cannot be opened.
    """
    if isinstance(snapshot.state, Running):
        # torch is needed for models that run, and for them alone.
        from gedanken.captures import running

        return running.captures(snapshot, sites, kinds)
    if isinstance(snapshot.state, Unrunnable):
        raise snapshot.state.failure
    if isinstance(snapshot.state, Change):
        return changes.captures(snapshot)
    if isinstance(snapshot.state, Packing):
        return packing.captures(snapshot)
    if isinstance(snapshot.state, Configuration):
        return particles.captures(snapshot)
    return weights.captures(snapshot, products)


def prepare(
    snapshot: Snapshot,
    sites: tuple[str, ...],
    kinds: Collection[Kind],
    progress: Callable[[float, float], None] | None = None,
) -> str:
    """Do what all captures of a snapshot share: run a model that is to be run. Gives what must be told of it, or nothing.

    Raises Failure if it cannot be run.
    """
    if isinstance(snapshot.state, Running):
        from gedanken.captures import running

        return running.prepare(snapshot, sites, kinds, progress)
    return ""


def shared_work(snapshot: Snapshot, sites: tuple[str, ...], kinds: Collection[Kind]) -> float:
    """Floating-point operations of `prepare`."""
    if not isinstance(snapshot.state, Running):
        return 0.0
    from gedanken.captures import running

    return running.work(snapshot, sites, kinds)


def forget(snapshot: Snapshot) -> None:
    """Let go of what `prepare` kept of a snapshot that is measured."""
    if isinstance(snapshot.state, Running):
        from gedanken.captures import running

        running.forget()


def skipped_of(snapshot: Snapshot) -> tuple[Skipped, ...]:
    """The tensors of a snapshot that are no capture (biases, norms, copies), each with the reason."""
    return snapshot.state.skipped if isinstance(snapshot.state, Checkpoint) else ()
