"""open_model: whatever the user calls a model → a Source."""

import difflib
import glob
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gedanken.sources import adapters, hub
from gedanken.sources.base import Source
from gedanken.sources.checkpoints import Checkpoint, CheckpointSource, read_config
from gedanken.sources.ladder import LadderSource, rungs, trainer_step
from gedanken.sources.tensor_files.arrays import Arrays, is_module
from gedanken.sources.tensor_files.open import open_tensor_file
from gedanken.status import Failure

_PLAIN_NAMES = frozenset(
    ("model", "models", "weights", "checkpoint", "pytorch_model", "adapter_model", "state_dict", "ckpt", "consolidated")
)
"""Stems and folders that many models share, so that the folder above names the model better."""
_SUFFIXES = (".safetensors", ".gguf", ".npz", ".npy", ".bin", ".pt", ".pth", ".ckpt")
_SHARD = re.compile(r"-\d{5}-of-\d{5}|\.safetensors\.index|\.bin\.index")


def open_model(model: Any, *, run: str | None = None, revision: str | None = None) -> Source:
    """A model, a ladder of checkpoints or an adapter as a Source. Only headers are read.

    model: a path (file or folder), a glob of checkpoints, a hub id `org/name` or `org/name@revision` (with a wildcard
    in the revision: a ladder), a live nn.Module, a mapping of names to arrays, or a Source (given back). run: its name
    in the lab, by default the model's own. Raises Failure if there is no such model or it cannot be opened.
    """
    if isinstance(model, Source):
        return model
    if is_module(model):
        checkpoint = Checkpoint.of(Arrays.of_module(model), _live_config(model))
        return CheckpointSource(run or type(model).__name__, checkpoint, type(model).__name__)
    if isinstance(model, Mapping):
        return CheckpointSource(run or "arrays", Checkpoint.of(Arrays(model)), "arrays")
    if not isinstance(model, str | os.PathLike):
        raise Failure(f"A model is a path, a hub id, a module or a mapping of arrays, not a {type(model).__name__}.")
    text = os.fspath(model)
    if os.path.exists(text):
        path = Path(text)
        return CheckpointSource(run or default_name(path), open_checkpoint(path), text)
    address = hub.Address.parse(text if revision is None else f"{text}@{revision}")
    if address and not _looks_local(text):
        return _hub_ladder(address, run) if address.is_ladder else _hub_model(address, run)
    if glob.has_magic(text):
        return _local_ladder(text, run)
    raise Failure(f"There is no file or folder {text}, and it is no hub id (org/name).", _nearest(text))


def open_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file or folder, with the configuration beside it. Raises Failure if it cannot be opened."""
    path = Path(path)
    if adapters.is_adapter(path):
        return adapters.open_adapter(path)
    if path.name.startswith("adapter_model.") and adapters.is_adapter(path.parent):
        return adapters.open_adapter(path.parent)
    files = open_tensor_file(path)
    return Checkpoint.of(files, {} if path.suffix == ".gguf" else read_config(path if path.is_dir() else path.parent))


def open_hub(address: hub.Address) -> Checkpoint:
    """The checkpoint at an address on the hub, fetched if need be."""
    return open_checkpoint(hub.fetch(address)[0])


def default_name(path: Path) -> str:
    """A short name for a model at a path: the file's stem, or the nearest folder above that says more."""
    path = path.resolve()
    stem = _SHARD.sub("", path.stem) if path.suffix and not path.is_dir() else path.name
    names = [stem, *(folder.name for folder in path.parents if folder.name)]
    return next((name for name in names if name.lower() not in _PLAIN_NAMES), stem)


def _hub_model(address: hub.Address, run: str | None) -> Source:
    path, commit = hub.fetch(address)
    name = address.repo.partition("/")[2] if not address.file else Path(address.file).stem
    if address.revision:
        name = f"{name}@{address.revision}"
    return CheckpointSource(run or name, open_checkpoint(path), str(address), commit or address.revision)


def _hub_ladder(address: hub.Address, run: str | None) -> Source:
    places = [(found.revision, found) for found in hub.ladder(address)]
    steps = rungs(places, lambda _: None, str(address))
    name = address.repo.partition("/")[2]
    return LadderSource(run or name, steps, open_hub, str(address), address.revision)


def _local_ladder(pattern: str, run: str | None) -> Source:
    found = [Path(path) for path in glob.glob(os.path.expanduser(pattern))]
    if not found:
        raise Failure(f"No file or folder matches {pattern}.", _nearest(pattern))
    steps = rungs([(str(path), path) for path in found], trainer_step, pattern)
    return LadderSource(run or _ladder_name(pattern), steps, open_checkpoint, pattern)


def _ladder_name(pattern: str) -> str:
    """The last folder before the wildcard, or the fixed beginning of the name if there is none."""
    fixed = re.split(r"[*?\[]", os.path.abspath(os.path.expanduser(pattern)))[0]
    folder, start = os.path.split(fixed)
    return default_name(Path(folder)) if os.path.basename(folder) else start.rstrip("-_.") or "ladder"


def _live_config(model: Any) -> dict[str, Any]:
    """A transformers model's configuration; nothing is known of other modules."""
    transformers = sys.modules.get("transformers")
    if transformers is None or not isinstance(model, transformers.PreTrainedModel):
        return {}
    return model.config.to_dict()


def _looks_local(text: str) -> bool:
    """Written as a path, below a folder that is here, or ending as a weight file: a missing path, no hub id."""
    is_file = text.count("/") == 1 and Path(text).suffix.lower() in _SUFFIXES
    return text.startswith(("/", ".", "~")) or os.path.isdir(text.partition("/")[0]) or is_file


def _nearest(text: str) -> str:
    """Existing names most like a path that does not exist."""
    path = Path(text)
    folder = next((parent for parent in path.parents if parent.is_dir()), Path("."))
    wanted = path.relative_to(folder).parts[0] if path != folder else path.name
    names = difflib.get_close_matches(wanted, sorted(os.listdir(folder)), n=3)
    return " or ".join(str(folder / name) for name in names)
