"""TensorFile: named tensors that are read one at a time, or a stretch of rows at a time."""

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gedanken.status import Flag, Refusal


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a header says of one tensor. `dtype` in the file's own words: F32, BF16, F8_E4M3, Q4_1, I64 …

    `quantised` is True for integer-coded blocks (GGUF Q formats …), whose values carry quantisation noise.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    quantised: bool = False

    @property
    def size(self) -> int:
        """How many entries it has."""
        return math.prod(self.shape)

    def rows(self, start: int, stop: int | None) -> tuple[int, int]:
        """First and last-plus-one row of start:stop, as a Python slice means it. A scalar counts as one row."""
        count = self.shape[0] if self.shape else 1
        first, last, _ = slice(start, stop).indices(count)
        return first, max(first, last)


class TensorFile(abc.ABC):
    """A container of named tensors on disk or in memory. Opening reads the header only, and checks it.

    Files hold names and offsets, never open handles, so that they can be sent to worker processes and read by several
    threads at once.
    """

    label: str
    """What to call it in a sentence: a path, a hub id, a class name."""
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, Any]
    """What the container says of itself (safetensors __metadata__, GGUF keys)."""

    @abc.abstractmethod
    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows start:stop (first axis) of one tensor, decoded to float32, or float64 if stored so.

        The array is the caller's own: writing to it changes nothing else.

        Raises Refusal(not_floating | undecodable | unreadable | out_of_memory) with a sentence that names the tensor.
        """

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Hash of header, sizes and sampled bytes (hex): changes when the content does, cheap for any size."""

    def close(self) -> None:
        """Release what reading has mapped. Reading again reopens it."""

    def info(self, name: str) -> TensorInfo:
        """What the header says of `name`. Raises Refusal(unreadable) if there is no such tensor."""
        if name not in self.tensors:
            raise Refusal(Flag.unreadable, f"{self.label} has no tensor named {name}.")
        return self.tensors[name]
