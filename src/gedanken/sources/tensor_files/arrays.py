"""Tensors already in memory: a mapping of arrays (NumPy, PyTorch, anything NumPy converts), or a live `nn.Module`.

torch is never imported here: an object can only be a tensor or a module if somebody has imported it already.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gedanken.sources.tensor_files.base import TensorFile, TensorInfo
from gedanken.sources.tensor_files.checks import shown
from gedanken.sources.tensor_files.dtypes import Encoding, encoding_of
from gedanken.sources.tensor_files.offloaded import offloaded
from gedanken.sources.tensor_files.unwrap import plain_names, unwrap
from gedanken.status import Failure, Flag, Refusal

_SAMPLES = 64
"""Values of each array that its fingerprint hashes."""
_UNCOPIED = (RuntimeError, NotImplementedError, TypeError, OSError)
"""What torch raises for tensors without values (on `meta`), for layouts that NumPy lacks (sparse), and for values kept in
a file that is gone."""


class Arrays(TensorFile):
    """Named arrays in memory, or a checkpoint's mapping that holds them; wrappers' prefixes are taken off their names.

    `outside` gives the values of those that are without, being kept elsewhere. Raises Failure for a value that is no
    array of numbers.
    """

    def __init__(
        self,
        arrays: Mapping[str, Any],
        label: str = "arrays",
        metadata: Mapping[str, Any] | None = None,
        outside: Mapping[str, Callable[[], Any]] | None = None,
    ):
        self.label, self.metadata = label, dict(metadata or {})
        arrays = unwrap(arrays)
        names = plain_names(arrays)
        self._arrays = {names[raw]: _as_array(value, raw, label) for raw, value in arrays.items()}
        self._outside = {names[raw]: fetch for raw, fetch in (outside or {}).items() if raw in names}
        self.tensors = {name: _info(name, array) for name, array in self._arrays.items()}

    @classmethod
    def of_module(cls, module: Any) -> "Arrays":
        """The parameters and buffers of a live `nn.Module`. They are read when asked for, as training left them."""
        return cls(module.state_dict(), type(module).__name__, outside=offloaded(module))

    def _array(self, name: str) -> Any:
        return self._outside[name]() if name in self._outside else self._arrays[name]

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        info = self.info(name)
        encoding = encoding_of(info.dtype)
        encoding.check_floating(name, self.label)
        first, last = info.rows(start, stop)
        try:
            array = _whole(self._array(name))
            return _floats(array[first:last] if info.shape else array, encoding)
        except _UNCOPIED as error:
            raise Refusal(Flag.unreadable, f"{name} of {self.label} could not be read: {shown(str(error))}.") from error
        except MemoryError as error:
            raise Refusal(Flag.out_of_memory, f"There is not enough memory to read {name} of {self.label}.") from error

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for name, whole in self.tensors.items():
            digest.update(f"{name} {whole.shape} {whole.dtype}\n".encode())
            array = _here(self._array(name))
            info = whole if array is self._arrays[name] else _info(name, array)
            if info.size and encoding_of(info.dtype).numpy is not None:
                count = min(_SAMPLES, info.size)
                flat = np.array([i * (info.size - 1) // max(1, count - 1) for i in range(count)])
                try:
                    digest.update(_sampled(array, flat, info))
                except _UNCOPIED:
                    digest.update(b"unreadable")
        return digest.hexdigest()


def is_tensor(value: Any) -> bool:
    """Whether `value` is a torch tensor; never imports torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_module(value: Any) -> bool:
    """Whether `value` is a torch module; never imports torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def is_sharded(array: Any) -> bool:
    """Whether the array is spread over several processes (FSDP's and tensor parallelism's DTensor)."""
    sharding = sys.modules.get("torch.distributed.tensor")
    return sharding is not None and isinstance(array, sharding.DTensor)


def _whole(array: Any) -> Any:
    """The array, gathered if it is sharded: then every process must ask for it, at the same time."""
    return array.detach().full_tensor() if is_sharded(array) else array


def _here(array: Any) -> Any:
    """The part of the array that this process holds."""
    return array.detach().to_local() if is_sharded(array) else array


def _as_array(value: Any, name: str, label: str) -> Any:
    if is_tensor(value):
        return value
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise Failure(f"{shown(name)} of {label} is a {type(value).__name__}, not an array of numbers.")
    return array


def _info(name: str, array: Any) -> TensorInfo:
    encoding = encoding_of(str(array.dtype) if is_tensor(array) else array.dtype.name)
    size = array.numel() * array.element_size() if is_tensor(array) else array.nbytes
    return TensorInfo(name, tuple(array.shape), encoding.word, size)


def _viewed(array: Any) -> Any:
    """A tensor in the host's memory that NumPy can look at, as NumPy sees it: torch's own copies wake all its threads,
    which then spin beside whatever measures them."""
    torch = sys.modules.get("torch")
    if not is_tensor(array) or array.device.type != "cpu" or array.layout != torch.strided:
        return array
    return array.detach().numpy() if array.dtype in (torch.float32, torch.float64) else array


def _floats(array: Any, encoding: Encoding) -> np.ndarray:
    """A fresh array, in the host's memory, whatever the device and layout."""
    array = _viewed(array)
    if is_tensor(array):
        wanted = sys.modules["torch"].float64 if encoding.word == "F64" else sys.modules["torch"].float32
        return array.detach().to(device="cpu", dtype=wanted, copy=True).contiguous().numpy()
    return np.array(array, encoding.decoded, order="C")


def _sampled(array: Any, flat: np.ndarray, info: TensorInfo) -> bytes:
    """Bytes of the entries at the flat indices, without copying the rest."""
    array = _viewed(array)
    if not info.shape:
        chosen = array.reshape(1)
    else:
        indices = np.unravel_index(flat, info.shape)
        if is_tensor(array):
            indices = tuple(sys.modules["torch"].as_tensor(index, device=array.device) for index in indices)
        chosen = array[indices]
    if is_tensor(chosen):
        chosen = chosen.detach().to(device="cpu", dtype=sys.modules["torch"].float64).numpy()
    return chosen.astype(np.float64).tobytes()
