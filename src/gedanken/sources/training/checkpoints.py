"""Checkpoints of a run: folders `step-000500` that transformers loads and from which training goes on exactly.

A folder is written under a name that begins with a dot and then renamed, so it is whole or absent; hashes of its files
stand in trainer_state.json, so that damage is seen. The last few hold the optimiser's memory; of the older ones those
whose steps are kept for good lose it, and the others go.
"""

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gedanken.sources.training import transformers_format
from gedanken.sources.training.recipe import Recipe
from gedanken.sources.training.trainer import Trainer, Update
from gedanken.status import Failure

MODEL, MEMORY, STATE = "model.safetensors", "optimizer.safetensors", "trainer_state.json"
MONITOR = "monitor.safetensors"
"""What whoever measures the run needs in order to go on."""
_STEP = re.compile(r"step-(\d+)")
_PARTIAL, _DAMAGED = ".partial-", "damaged-"


@dataclass(frozen=True)
class Saved:
    """What a whole checkpoint holds."""

    step: int
    weights: dict[str, Tensor]
    memory: dict[str, Tensor]
    last: Update | None
    monitor: dict[str, Tensor]


def save(folder: Path, trainer: Trainer, monitor: Mapping[str, Tensor] = MappingProxyType({})) -> Path:
    """Write the trainer's checkpoint of now, and in it tensors that `monitor` needs to go on.

    Raises Failure if the disk is full or the folder cannot be written.
    """
    final = folder / f"step-{trainer.step:06d}"
    partial = folder / f"{_PARTIAL}{final.name}-{uuid.uuid4().hex}"
    try:
        partial.mkdir(parents=True)
        _write(partial, trainer, monitor)
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
        _sync(folder)
    except (OSError, SafetensorError) as broken:
        shutil.rmtree(partial, ignore_errors=True)
        raise Failure(
            f"The checkpoint of step {trainer.step} could not be written to {folder}: {_why(broken)}. "
            f"{_what_stands(folder)}",
            "make room, then the same command with --resume",
        ) from broken
    return final


def prune(folder: Path, last: int, kept: Collection[int]) -> None:
    """Of all but the `last` checkpoints, keep the weights of the steps in `kept` and remove the rest."""
    for step, path in sorted(steps(folder).items())[:-last]:
        if step in kept:
            for name in (MEMORY, MONITOR):
                (path / name).unlink(missing_ok=True)
        else:
            shutil.rmtree(path)


def newest(folder: Path, recipe: Recipe) -> tuple[Saved | None, list[str]]:
    """The newest whole checkpoint to go on from, and a sentence for each newer one that is damaged.

    Damaged ones are put aside under another name, halves that a killed run left behind are removed.
    """
    for partial in folder.glob(f"{_PARTIAL}*"):
        shutil.rmtree(partial)
    said = []
    for step, path in sorted(steps(folder).items(), reverse=True):
        state = _read_state(path)
        if isinstance(state, str):
            aside = path.with_name(f"{_DAMAGED}{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            said.append(f"The checkpoint of step {step} is damaged ({state}) and was put aside as {aside.name}.")
        elif (path / MEMORY).exists():
            weights = transformers_format.parameters(recipe, load_file(path / MODEL))
            last = Update(**state["last"]) if state["last"] else None
            monitor = load_file(path / MONITOR) if (path / MONITOR).exists() else {}
            return Saved(step, weights, load_file(path / MEMORY), last, monitor), said
    return None, said


def steps(folder: Path) -> dict[int, Path]:
    """Step → folder of every checkpoint, by their names alone."""
    found = {path: _STEP.fullmatch(path.name) for path in folder.glob("step-*") if path.is_dir()}
    return {int(match[1]): path for path, match in found.items() if match}


def _write(partial: Path, trainer: Trainer, monitor: Mapping[str, Tensor]) -> None:
    recipe = trainer.recipe
    _put(partial / MODEL, transformers_format.stored(recipe, trainer.weights()))
    _put(partial / MEMORY, {name: tensor.contiguous() for name, tensor in trainer.memory().items()})
    if monitor:
        _put(partial / MONITOR, monitor)
    texts = {"config.json": json.dumps(transformers_format.config(recipe), indent=2)}
    if trainer.data.tokens is not None:
        texts |= trainer.data.tokens.files(recipe.context)
    for name, content in texts.items():
        (partial / name).write_text(content, "utf-8")
    state = {
        "global_step": trainer.step,
        "tokens": trainer.tokens,
        "last": asdict(trainer.last) if trainer.last else None,
        "hashes": {path.name: _hash(path) for path in sorted(partial.iterdir())},
    }
    (partial / STATE).write_text(json.dumps(state, indent=2), "utf-8")
    for path in partial.iterdir():
        _sync(path)


def _put(path: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file({name: tensor.cpu() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})


def _read_state(path: Path) -> dict | str:
    """The checkpoint's state if every file is as it was written, else what is wrong with it."""
    try:
        state = json.loads((path / STATE).read_text("utf-8"))
        for name, expected in state["hashes"].items():
            # Older checkpoints have lost both (`prune`).
            if name in (MEMORY, MONITOR) and not (path / MEMORY).exists():
                continue
            if _hash(path / name) != expected:
                return f"{name} is not as it was written"
    except OSError as missing:
        return f"{Path(missing.filename or path).name} cannot be read"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{STATE} is not as it was written"
    return state


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _sync(path: Path) -> None:
    """Have the system write it out, so that a power cut leaves no empty file under a whole name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _why(broken: OSError | SafetensorError) -> str:
    return broken.strerror or str(broken) if isinstance(broken, OSError) else str(broken)


def _what_stands(folder: Path) -> str:
    found = steps(folder)
    return f"The last whole one is that of step {max(found)}." if found else "There is none before it."


def read_weights(folder: Path, recipe: Recipe) -> dict[str, Tensor]:
    """The parameters of a checkpoint folder, to start another run from. Raises Failure if they are of another model."""
    path = Path(folder) / MODEL
    try:
        return transformers_format.parameters(recipe, load_file(path))
    except (OSError, SafetensorError) as broken:
        raise Failure(f"{path} could not be read: {broken}.") from broken
