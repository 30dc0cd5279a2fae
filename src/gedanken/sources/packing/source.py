"""PackingSource: an optimisation of k unit vectors in d dimensions as a run. It can be stopped, and taken up again.

A snapshot at step t holds the vectors that the recipe would give as result after t evaluations; step 0 is the random
start. With a folder, the optimiser's state is kept there and the same arguments go on from it, to the same result bit
for bit (same machine, threads and library versions).
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from gedanken.sources.base import Snapshot, Source
from gedanken.sources.packing import optimise
from gedanken.sources.packing.overlaps import Overlaps
from gedanken.sources.packing.recipe import Recipe
from gedanken.status import Failure

CHECKPOINT_SECONDS = 20.0
"""Work that a kill can lose, where the state is small."""
CHECKPOINT_SHARE = 20
"""Work is at least so many times as long as keeping its state takes: 2 GB at k = 32,000, d = 4096."""


@dataclass(frozen=True)
class Packing:
    """k unit vectors in d dimensions, as rows; with a folder they stay in a file until they are read."""

    vectors: Float[np.ndarray, "k d"]


@dataclass(frozen=True)
class PackingSource(Source):
    """k unit vectors in d dimensions, made as nearly orthogonal as `recipe` can.

    steps: where snapshots are taken (default: 0, powers of 2, the end). folder: where it is kept. device: "cpu" or a
    torch device. progress: called with evaluations done and in all. Raises Failure for k < 2 or d < 1.
    """

    k: int
    d: int
    recipe: Recipe = field(default_factory=Recipe)
    name: str | None = None
    steps: tuple[int, ...] = ()
    folder: Path | None = None
    device: str = "cpu"
    threads: int | None = None
    progress: Callable[[float, float], None] | None = field(default=None, compare=False)

    def __post_init__(self):
        if self.d < 1:
            raise Failure(f"Vectors have at least one coordinate, not {self.d}.")
        if self.k < 2:
            raise Failure(f"A packing needs at least two vectors, which make a pair; {self.k} was asked for.")
        if self.folder is not None:
            object.__setattr__(self, "folder", Path(self.folder))
        if any(not 0 <= step <= self.recipe.evaluations for step in self.steps):
            raise Failure(f"Snapshots are taken from step 0 to {self.recipe.evaluations}, not outside of it.")

    @property
    def run(self) -> str:
        """The name given, or one that differs wherever a setting does."""
        told = hashlib.blake2b(self._settings().encode(), digest_size=3).hexdigest()
        return self.name or f"packing-d{self.d}-k{self.k}-{self.recipe.loss}-p{self.recipe.p}-{told}"

    def describe(self) -> dict[str, Any]:
        about = {"source": "packing", "architecture": "packing", "dtype": "float32", "device": self.device}
        return about | {"configuration": self._settings()}

    def _settings(self) -> str:
        return json.dumps({"k": self.k, "d": self.d} | self.recipe.describe(), sort_keys=True)

    def snapshots(self) -> Iterator[Snapshot]:
        """The states at `steps`. Raises Failure if the folder holds another packing or cannot be written."""
        wanted = self.steps or recorded_steps(self.recipe.evaluations)
        kept = _Folder(self.folder, self._settings()) if self.folder else None
        state, losses = kept.restore(self.device) if kept else (None, {})
        if state is None:
            state = optimise.start(self.k, self.d, self.recipe, self.device)
        overlaps = Overlaps(self.k, self.d, self.recipe.p, self.device, self.threads)
        for step in sorted(set(wanted)):
            if kept and step in losses:
                yield self._snapshot(step, kept.vectors(step), losses[step])
                continue
            if step < state.step:
                raise Failure(f"{self.folder} has gone past step {step} without keeping it.", "another folder")
            with threadpool_limits(1, user_api="blas"):
                self._advance(state, step, overlaps, kept, losses)
            losses[step] = state.loss
            vectors = state.saved()["result"]
            if kept:
                kept.keep(step, vectors)
                kept.save(state, losses)
                vectors = kept.vectors(step)
            yield self._snapshot(step, vectors, state.loss)

    def _advance(self, state: optimise.State, until: int, overlaps: Overlaps, kept: "_Folder | None", losses) -> None:
        saved, patience = time.monotonic(), CHECKPOINT_SECONDS
        while state.step < until:
            optimise.advance(state, self.recipe, overlaps)
            if self.progress:
                self.progress(state.step, self.recipe.evaluations)
            if kept and (begun := time.monotonic()) - saved > patience:
                kept.save(state, losses)
                saved = time.monotonic()
                patience = max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * (saved - begun))

    def _snapshot(self, step: int, vectors: Float[np.ndarray, "k d"], loss: float) -> Snapshot:
        told = hashlib.blake2b(np.ascontiguousarray(vectors), digest_size=16).hexdigest()
        rate = self.recipe.rate_at(step)
        return Snapshot(
            self.run, Packing(vectors), told, step, loss=None if np.isnan(loss) else loss, learning_rate=rate
        )


def recorded_steps(evaluations: int) -> tuple[int, ...]:
    """0, the powers of 2, and the end."""
    return (0, *(1 << n for n in range(evaluations.bit_length()) if 1 << n < evaluations), evaluations)


class _Folder:
    """Where a packing is kept: `packing.json` says which, `state.npz` where it stands, `vectors-STEP.npy` its snapshots.

    Raises Failure if it holds another packing, or cannot be read or written.
    """

    def __init__(self, path: Path, settings: str):
        self.path = path
        told = path / "packing.json"
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not told.exists():
                _write(told, lambda file: file.write(settings.encode()))
            found = told.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Failure(f"{path} cannot hold a packing: {error}.") from error
        if found != settings:
            raise Failure(f"{path} holds another packing: {found}.", "another folder")

    def restore(self, device: str) -> tuple[optimise.State | None, dict[int, float]]:
        """The optimiser's state, None before the first one, and the loss at each step that was kept."""
        path = self.path / "state.npz"
        if not path.exists():
            return None, {}
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            state = optimise.State.restored(arrays, device)
            return state, dict(zip(arrays["kept_steps"].tolist(), arrays["kept_losses"].tolist(), strict=True))
        except (OSError, ValueError, KeyError) as error:
            raise Failure(f"{path} is no state of a packing: {error}.") from error

    def save(self, state: optimise.State, losses: dict[int, float]) -> None:
        kept = {"kept_steps": np.array(list(losses), np.int64), "kept_losses": np.array(list(losses.values()), float)}
        _write(self.path / "state.npz", lambda file: np.savez(file, **state.saved(), **kept))

    def keep(self, step: int, vectors: Float[np.ndarray, "k d"]) -> None:
        _write(self._place(step), lambda file: np.save(file, vectors))

    def vectors(self, step: int) -> Float[np.ndarray, "k d"]:
        try:
            return np.load(self._place(step), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise Failure(f"{self._place(step)} cannot be read: {error}.") from error

    def _place(self, step: int) -> Path:
        return self.path / f"vectors-{step:08d}.npy"


def _write(path: Path, fill: Callable[[Any], Any]) -> None:
    """Write under a temporary name, then rename: the file is there whole or not at all. Raises Failure."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            fill(file)
        os.replace(temporary, path)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
