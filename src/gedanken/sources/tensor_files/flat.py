"""FlatTensorFile: a file in which each tensor is one stretch of bytes. Safetensors, GGUF and npz are such files."""

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from gedanken.sources.tensor_files.base import TensorFile, TensorInfo
from gedanken.sources.tensor_files.dtypes import Encoding, decode
from gedanken.sources.tensor_files.file_bytes import FileBytes, fill
from gedanken.status import Flag, Refusal

_CHUNK = 1 << 18
"""Entries decoded at a time: what they are decoded from and to stays in a core's cache (2¹⁶ to 2²² were
measured equally fast, 2¹⁴ three times slower), and the undecoded bytes never add to a tensor's memory."""

_READ_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor's bytes lie and how they are stored. `member` names the compressed archive member, if any."""

    offset: int
    encoding: Encoding
    column_major: bool = False
    member: str = ""


class FlatTensorFile(TensorFile):
    """Subclasses parse a header into `tensors` and `places`, every offset checked against the file's size."""

    def __init__(
        self,
        file: FileBytes,
        tensors: Mapping[str, TensorInfo],
        places: Mapping[str, Place],
        metadata: Mapping[str, Any],
        header: int,
    ):
        self.file, self.label, self.header = file, file.path, header
        self.tensors, self.places, self.metadata = tensors, places, metadata

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        info = self.info(name)
        place = self.places[name]
        place.encoding.check_floating(name, self.label)
        first, last = info.rows(start, stop)
        shape = (last - first, *info.shape[1:]) if info.shape else ()
        row = info.size // info.shape[0] if info.size and info.shape else info.size
        try:
            if place.column_major:
                whole = self._entries(place, 0, info.size).reshape(info.shape[::-1]).T
                return np.ascontiguousarray(whole[first:last] if info.shape else whole)
            return self._entries(place, first * row, last * row).reshape(shape)
        except _READ_ERRORS as error:
            raise Refusal(Flag.unreadable, f"{name} of {self.label} could not be read: {error}.") from error
        except MemoryError as error:
            raise Refusal(Flag.out_of_memory, f"There is not enough memory to read {name} of {self.label}.") from error

    def fingerprint(self) -> str:
        middles = (self.places[name].offset + info.nbytes // 2 for name, info in self.tensors.items())
        return self.file.fingerprint(self.header, middles)

    def _entries(self, place: Place, first: int, last: int) -> np.ndarray:
        """Entries first:last in stored order."""
        encoding = place.encoding
        if first == last:
            return np.empty(0, encoding.decoded)
        block_first, block_last = first // encoding.block, -(-last // encoding.block)
        skipped = block_first * encoding.block
        out = np.empty((block_last - block_first) * encoding.block, encoding.decoded)
        with self._stream(place) as stream:
            stream.seek(place.offset + block_first * encoding.size)
            if encoding.numpy == out.dtype:
                fill(stream, out.view(np.uint8))
            else:
                self._decode_stream(stream, encoding, out)
        return out[first - skipped : last - skipped]

    def _decode_stream(self, stream: BinaryIO, encoding: Encoding, out: np.ndarray) -> None:
        raw = np.empty(encoding.nbytes(min(_CHUNK, out.size)), np.uint8)
        for begin in range(0, out.size, _CHUNK):
            piece = out[begin : begin + _CHUNK]
            piece_raw = raw[: encoding.nbytes(piece.size)]
            fill(stream, piece_raw)
            with np.errstate(all="ignore"):
                self._decode(piece_raw, encoding, piece)

    @contextmanager
    def _stream(self, place: Place) -> Iterator[BinaryIO]:
        """A stream in which `place.offset` is a position."""
        with self.file.open() as stream:
            yield stream

    def _decode(self, raw: np.ndarray, encoding: Encoding, out: np.ndarray) -> None:
        decode(raw, encoding, out)
