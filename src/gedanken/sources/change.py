"""Change: two checkpoints of one architecture, matrix by matrix. ChangeSource: what tuning did, as a run of its own."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gedanken.sources.architectures.base import Piece
from gedanken.sources.base import Snapshot, Source
from gedanken.sources.checkpoints import Checkpoint
from gedanken.status import Failure


@dataclass(frozen=True, slots=True)
class Shared:
    """One matrix that both checkpoints have at the same site, in the same shape."""

    before: Piece
    after: Piece


@dataclass(frozen=True)
class Change:
    """The state of a change: the checkpoint before and the one after (or an adapter, which is the change itself)."""

    before: Checkpoint
    after: Checkpoint

    @cached_property
    def shared(self) -> tuple[Shared, ...]:
        """Sites of both, in the order of the first, where the shapes agree."""
        others = {piece.site: piece for piece in self.after.pieces}
        pairs = [Shared(piece, others[piece.site]) for piece in self.before.pieces if piece.site in others]
        return tuple(pair for pair in pairs if _shape(pair.before) == _shape(pair.after))

    @cached_property
    def unshared(self) -> tuple[str, ...]:
        """Sites that only one has, or that differ in shape."""
        shared = {pair.before.site for pair in self.shared}
        sites = [piece.site for piece in (*self.before.pieces, *self.after.pieces)]
        return tuple(dict.fromkeys(str(site) for site in sites if site not in shared))


def _shape(piece: Piece) -> tuple[int, int]:
    return piece.rows, piece.cols


class ChangeSource(Source):
    """The change from the last snapshot of one source to the last of another, as a run of one snapshot.

    Raises Failure if the two have one content, or share no matrix of equal shape.
    """

    def __init__(self, base: Source, tuned: Source):
        self.base, self.tuned = base, tuned
        self.run = f"{tuned.run} − {base.run}"
        self._before, self._after = _last(base), _last(tuned)
        if self._before.fingerprint == self._after.fingerprint:
            raise Failure(f"{base.run} and {tuned.run} hold the same weights: there is no change to measure.")
        if base.run == tuned.run:
            raise Failure(f"Both models are called {base.run}; rename one of the folders, so that their runs differ.")
        self._change = Change(self._before.state, self._after.state)
        if not self._change.shared:
            raise Failure(f"{base.run} and {tuned.run} share no matrix of equal shape.")

    @property
    def of_adapter(self) -> bool:
        """Whether the second source is an adapter: a change by itself, not a model."""
        return any(pair.after.factored for pair in self._change.shared)

    @property
    def unshared(self) -> tuple[str, ...]:
        """Sites that were not compared; those that an adapter leaves alone are not among them."""
        return () if self.of_adapter else self._change.unshared

    def snapshots(self) -> Iterator[Snapshot]:
        both = f"{self._before.fingerprint}\n{self._after.fingerprint}"
        fingerprint = hashlib.blake2b(both.encode(), digest_size=16).hexdigest()
        yield Snapshot(self.run, self._change, fingerprint, self._after.step)

    def describe(self) -> dict[str, Any]:
        about = self.tuned.describe()
        return about | {"source": f"{about['source']} − {self.base.describe()['source']}"}


def _last(source: Source) -> Snapshot:
    *_, last = source.snapshots()
    return last
