"""PyTorch's `.bin`, `.pt`, `.pth`: a pickle of tensors, of which only tensors are ever loaded.

torch is imported when such a file is opened. Files of PyTorch 1.6 and later are mapped, so that opening reads no
weights; older ones are read whole.
"""

import importlib.util
import os
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from gedanken.sources.tensor_files import archive
from gedanken.sources.tensor_files.arrays import Arrays
from gedanken.sources.tensor_files.base import TensorFile
from gedanken.sources.tensor_files.checks import shown
from gedanken.sources.tensor_files.file_bytes import FileBytes
from gedanken.sources.tensor_files.unwrap import unwrap
from gedanken.status import Failure, Flag, Refusal

_BROKEN = (
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    ArithmeticError,
    AssertionError,
    ImportError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
)
"""What unpickling a broken file raises: Python's documentation of pickle leaves the list open."""
_FORBIDDEN = re.compile(r"GLOBAL (\S+) (?:was not|whose)|unrecognized (?:function|class) (\S+)")
"""How torch's restricted unpickler names what it refuses to run."""


class TorchFile(TensorFile):
    """One file written by `torch.save`: a state dict, or a checkpoint that holds one.

    Raises Failure if it holds code, no tensors, or cannot be read, and where torch is not installed.
    """

    def __init__(self, path: str | os.PathLike):
        self.file = FileBytes.of(path)
        self.label = self.file.path
        self._arrays: Arrays | None = None
        loaded = self._load()
        self.tensors, self.metadata = loaded.tensors, loaded.metadata

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        self.info(name)
        try:
            # A mapped file that has shrunk would end the process, so its size is checked before the map is touched.
            self.file.open().close()
            return self._load().read(name, start, stop)
        except (OSError, EOFError) as error:
            raise Refusal(Flag.unreadable, f"{name} of {self.label} could not be read: {error}.") from error
        except Failure as failure:
            raise Refusal(Flag.unreadable, f"{name} of {self.label} could not be read: {failure}") from failure

    def fingerprint(self) -> str:
        return archive.fingerprint(self.file) if archive.is_archive(self.file) else self.file.fingerprint()

    def close(self) -> None:
        self._arrays = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_arrays": None}

    def _load(self) -> Arrays:
        if self._arrays is None:
            loaded = _loaded(self.file)
            state = unwrap(loaded)
            self._arrays = Arrays(_tensors(state, self.file), self.label, _notes(loaded))
        return self._arrays


def _loaded(file: FileBytes) -> Mapping[str, Any]:
    """What `torch.save` was given. Raises Failure if it is more than tensors in mappings."""
    if importlib.util.find_spec("torch") is None:
        raise Failure(f"{file.path} needs PyTorch to be read.", "pip install 'gedanken[torch]'")
    import torch

    zipped = archive.is_archive(file)
    if zipped and any("/code/" in member.filename for member in archive.members(file)):
        raise Failure(f"{file.path} contains code (TorchScript), not only tensors; it was not loaded.")
    try:
        with warnings.catch_warnings():
            # torch asks the reader of a damaged file to report it to PyTorch.
            warnings.simplefilter("ignore")
            loaded = torch.load(file.path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        found = _FORBIDDEN.search(str(error))
        if found:
            code = shown(found[1] or found[2])
            raise Failure(f"{file.path} contains code ({code}), not only tensors; it was not loaded.") from error
        raise Failure(f"{file.path} is broken: it could not be unpickled.") from error
    except _BROKEN as error:
        raise Failure(f"{file.path} is broken or no PyTorch file ({type(error).__name__}).") from error
    if not isinstance(loaded, Mapping):
        raise Failure(f"{file.path} holds a {type(loaded).__name__}, not a mapping of names to tensors.")
    return loaded


def _tensors(state: Mapping[str, Any], file: FileBytes) -> dict[str, Any]:
    import torch

    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    if not tensors or not all(isinstance(name, str) for name in tensors):
        keys = ", ".join(shown(str(key)) for key in list(state)[:5]) or "nothing"
        raise Failure(f"{file.path} holds no tensors under names, but {keys}.")
    for name, tensor in tensors.items():
        if tensor.layout == torch.strided and tensor.numel() * tensor.element_size() > file.size:
            raise Failure(f"{file.path}: {shown(name)} claims more entries than the file holds.")
    return tensors


def _notes(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values beside the state dict: epoch, loss, configuration entries."""
    plain = int | float | str
    return {key: value for key, value in loaded.items() if isinstance(key, str) and isinstance(value, plain)}
