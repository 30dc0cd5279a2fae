"""Checkpoint: the matrices of one stored model, with their sites, read one at a time. CheckpointSource: it as a run."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gedanken.kinds import Factors, Kind
from gedanken.sources.architectures.base import Piece, Skipped
from gedanken.sources.architectures.gguf_names import configuration
from gedanken.sources.architectures.layout import layout
from gedanken.sources.architectures.scales import scaled
from gedanken.sources.architectures.sizes import Heads
from gedanken.sources.base import Snapshot, Source
from gedanken.sources.tensor_files.base import TensorFile
from gedanken.status import Failure, Refusal

CONFIG_LIMIT = 16 << 20
"""Bytes of a configuration file that are read: a classifier's 21,841 labels take about one million."""

_BLOCK = 4096
"""Rows compared at a time when two token tables may be one."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of one model, opened: headers only. Of files it holds names, never tensors, and can be pickled.

    `pieces` are its matrices, `skipped` the tensors that give none, each with the reason. `heads` is None where the
    configuration does not tell. `architecture` is the configuration's model type, else what the names look like, else
    "unknown".
    """

    files: TensorFile
    config: Mapping[str, Any]
    architecture: str
    pieces: tuple[Piece, ...]
    skipped: tuple[Skipped, ...]
    heads: Heads | None = None

    @classmethod
    def of(cls, files: TensorFile, config: Mapping[str, Any] | None = None) -> "Checkpoint":
        """Opened tensors, with what is known of the model. A GGUF header stands in for a missing configuration."""
        config = config or configuration(files.metadata)
        plan = layout(files.tensors, config)
        return _without_copies(cls(files, config, plan.architecture, plan.pieces, plan.skipped, plan.heads))

    def read(self, piece: Piece, start: int = 0, stop: int | None = None) -> Float[np.ndarray, "out in"] | Factors:
        """Rows start:stop of one of `pieces`, out × in, in float32 (float64 if stored so); an adapter's as Factors.

        No more of the file is read than the rows need; a tensor stored in × out must be read whole. Raises Refusal
        with a sentence that names the tensor.
        """
        info = self.files.tensors[piece.tensor]
        read = partial(scaled, self.files, piece.tensor, self.config)
        return piece.cut.apply(read, info.shape, start, stop)

    def fingerprint(self) -> str:
        """Changes when the tensors or the configuration do."""
        told = json.dumps(dict(self.config), sort_keys=True, default=str)
        return hashlib.blake2b(f"{self.files.fingerprint()}\n{told}".encode(), digest_size=16).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Columns of the `runs` table that the checkpoint alone tells."""
        dtypes = sorted({self.files.tensors[piece.tensor].dtype for piece in self.pieces})
        return {
            "architecture": self.architecture,
            "configuration": json.dumps(dict(self.config), sort_keys=True, default=str),
            "dtype": ", ".join(dtypes),
        }


@dataclass(frozen=True)
class Unopened:
    """Stands in a ladder for a checkpoint that cannot be opened: asking for its pieces raises the Failure."""

    failure: Failure

    @property
    def pieces(self) -> tuple[Piece, ...]:
        raise self.failure


@dataclass(frozen=True)
class CheckpointSource(Source):
    """One checkpoint as a run of one snapshot. `origin` is what the user named, `revision` the hub's commit, if any."""

    run: str
    checkpoint: Checkpoint
    origin: str
    revision: str | None = None

    def snapshots(self) -> Iterator[Snapshot]:
        yield Snapshot(self.run, self.checkpoint, self.checkpoint.fingerprint())

    def describe(self) -> dict[str, Any]:
        return {"source": self.origin, "revision": self.revision} | self.checkpoint.describe()


def read_json(path: Path) -> dict[str, Any]:
    """The object in a small JSON file. Raises Failure if it is too large, cannot be read, or holds something else."""
    try:
        if path.stat().st_size > CONFIG_LIMIT:
            raise Failure(f"{path} is larger than a configuration can be ({CONFIG_LIMIT >> 20} MB).")
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Failure(f"{path} could not be read as JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Failure(f"{path} holds no JSON object.")
    return found


def read_config(folder: Path) -> dict[str, Any]:
    """The model's configuration in a folder, or an empty one."""
    path = folder / "config.json"
    return read_json(path) if path.is_file() else {}


def _without_copies(checkpoint: Checkpoint) -> Checkpoint:
    """Token tables that hold the same data are one: it is kept with the note `tied`, the others are skipped."""
    kept: list[Piece] = []
    copies: list[Skipped] = []
    for piece in checkpoint.pieces:
        twin = next((i for i, other in enumerate(kept) if _same_table(checkpoint, piece, other)), None)
        if twin is None:
            kept.append(piece)
        else:
            copies.append(Skipped(piece.tensor, f"the same data as {kept[twin].tensor}"))
            if "tied" not in kept[twin].notes:
                kept[twin] = replace(kept[twin], notes=(*kept[twin].notes, "tied"))
    return replace(checkpoint, pieces=tuple(kept), skipped=(*checkpoint.skipped, *copies))


def _same_table(checkpoint: Checkpoint, one: Piece, other: Piece) -> bool:
    shapes_differ = (one.rows, one.cols) != (other.rows, other.cols)
    if one.kind != Kind.points or other.kind != Kind.points or shapes_differ or one.rows == 0:
        return False
    try:
        return all(
            np.array_equal(checkpoint.read(one, start, start + rows), checkpoint.read(other, start, start + rows))
            for start, rows in [(0, 1), *((start, _BLOCK) for start in range(0, one.rows, _BLOCK))]
        )
    except Refusal:
        return False
