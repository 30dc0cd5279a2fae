"""open_tensor_file: the right reader for a file or a folder."""

import difflib
import os
from pathlib import Path

from gedanken.sources.tensor_files.base import TensorFile
from gedanken.sources.tensor_files.gguf_file import GGUFFile
from gedanken.sources.tensor_files.npz import NpzFile
from gedanken.sources.tensor_files.safetensors import SafetensorsFile
from gedanken.sources.tensor_files.sharded import ShardedFile
from gedanken.sources.tensor_files.torch_file import TorchFile
from gedanken.status import Failure

_INDEX = ".index.json"
_READERS = {
    ".safetensors": SafetensorsFile,
    ".gguf": GGUFFile,
    ".npz": NpzFile,
    ".npy": NpzFile,
    ".bin": TorchFile,
    ".pt": TorchFile,
    ".pth": TorchFile,
    ".ckpt": TorchFile,
}
_ORDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "*.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "*.gguf",
    "*.npz",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.bin",
)
"""Where a folder's model is looked for: first the names that transformers writes, then the only file of a format."""
_NOT_MODELS = (
    "adapter_model.safetensors",
    "adapter_model.bin",
    "training_args.bin",
    "optimizer.pt",
    "optimizer.bin",
    "scheduler.pt",
    "scheduler.bin",
    "scaler.pt",
    "rng_state.pth",
)
"""What peft and the transformers Trainer write beside or instead of a model."""


def open_tensor_file(path: str | os.PathLike) -> TensorFile:
    """The reader of a weight file, of an index of shards, or of the model in a folder.

    Raises Failure with a sentence that says what was looked for, or what is wrong with the file.
    """
    path = Path(path)
    if path.is_dir():
        return open_tensor_file(_weights_in(path))
    if not path.exists():
        raise Failure(f"There is no file or folder {path}.", _nearest(path))
    if path.name.endswith(_INDEX):
        return ShardedFile(path, open_tensor_file)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise Failure(f"{path} is not a weight file: its name ends in none of {known} or {_INDEX}.")
    return reader(path)


def _weights_in(folder: Path) -> Path:
    """The file in `folder` that holds the model."""
    for pattern in _ORDER:
        found = sorted(file for file in folder.glob(pattern) if file.is_file() and file.name not in _NOT_MODELS)
        if len(found) > 1:
            names = ", ".join(file.name for file in found[:6]) + (" …" if len(found) > 6 else "")
            raise Failure(f"{folder} holds {len(found)} files of weights ({names}): name one of them.", str(found[0]))
        if found:
            return found[0]
    raise Failure(_nothing_in(folder))


def _nothing_in(folder: Path) -> str:
    if any((folder / name).is_file() for name in _NOT_MODELS[:2]):
        return f"{folder} holds an adapter, not a model."
    looked_for = ", ".join(_ORDER)
    held = sorted(file.name for file in folder.iterdir())
    listed = ", ".join(held[:6]) + (" …" if len(held) > 6 else "") if held else "nothing"
    return f"{folder} holds no weights: looked for {looked_for}, found {listed}."


def _nearest(path: Path) -> str:
    """The existing sibling whose name is most like that of `path`; empty if none is."""
    if not path.parent.is_dir():
        return ""
    names = [sibling.name for sibling in path.parent.iterdir()]
    return "".join(str(path.parent / name) for name in difflib.get_close_matches(path.name, names, n=1))
