"""The header of a GGUF file: typed keys and values, then the tensors' descriptions.

Written for untrusted files and for speed: the tokenizer's tens of thousands of strings are stepped over, and turned
into Python objects only when asked for. Format: ggml's docs/gguf.md, versions 2 and 3, little-endian.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gedanken.sources.tensor_files.checks import shown
from gedanken.sources.tensor_files.file_bytes import HEADER_LIMIT, FileBytes
from gedanken.status import Failure

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MOST_DIMENSIONS = 4
"""GGML_MAX_DIMS."""
_LEAST_KEY, _LEAST_TENSOR = 13, 24
"""Bytes of the smallest key with value, and of the smallest tensor description."""
_DEEPEST = 4
"""Levels of arrays in arrays; files in use have one."""
_LONG = 64
"""Arrays longer than this are read when asked for."""
_PAGE = 1 << 20

_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor's description as stored: dimensions fastest first, ggml's type number, offset after the header."""

    name: str
    dimensions: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Later:
    """A long array that was stepped over: its elements' type and number, and where the first lies."""

    kind: int
    count: int
    offset: int


class GGUFMetadata(Mapping[str, Any]):
    """The keys of a GGUF file as plain Python values; long arrays are read from the file each time they are asked for.

    Looking one of those up raises Failure if the file can no longer be read.
    """

    def __init__(self, file: FileBytes, values: dict[str, Any]):
        self._file, self._values = file, values

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        if isinstance(value, _Later):
            return _Cursor(self._file, value.offset).elements(value.kind, value.count, 0)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def read_header(file: FileBytes) -> tuple[dict[str, Any], list[TensorEntry], int]:
    """Values by key (long arrays as placeholders for GGUFMetadata), tensor entries, and the header's length in bytes.

    Raises Failure if the file is no GGUF file, is cut short, or contradicts itself.
    """
    cursor = _Cursor(file, 0)
    if cursor.take(4) != _MAGIC:
        raise Failure(f"{file.path} is not a GGUF file.")
    version = cursor.u32()
    if version not in _VERSIONS:
        raise Failure(f"{file.path} is a GGUF file of version {version} or of the other byte order; 2 and 3 are read.")
    tensor_count, key_count = cursor.u64(), cursor.u64()
    cursor.check_room(tensor_count * _LEAST_TENSOR + key_count * _LEAST_KEY)
    values = {}
    for _ in range(key_count):
        key = cursor.name()
        if key in values:
            raise Failure(f"{file.path}: the key {shown(key)} comes twice.")
        values[key] = cursor.value(cursor.u32())
    entries = [_entry(cursor) for _ in range(tensor_count)]
    return values, entries, cursor.position


def _entry(cursor: "_Cursor") -> TensorEntry:
    name, count = cursor.name(), cursor.u32()
    if count > _MOST_DIMENSIONS:
        raise Failure(f"{cursor.file.path}: {shown(name)} has {count} dimensions; GGUF allows {_MOST_DIMENSIONS}.")
    return TensorEntry(name, tuple(cursor.u64() for _ in range(count)), cursor.u32(), cursor.u64())


class _Cursor:
    """Reads a header from left to right, a page of the file at a time; never past the file or HEADER_LIMIT."""

    def __init__(self, file: FileBytes, offset: int):
        self.file, self.base, self.at = file, offset, 0
        self.end = min(file.size, offset + HEADER_LIMIT) - offset
        self.buffer = bytearray()

    @property
    def position(self) -> int:
        """Position in the file."""
        return self.base + self.at

    def check_room(self, count: int) -> None:
        """Raises Failure if the header cannot have `count` more bytes."""
        if self.at + count > self.end:
            raise Failure(f"{self.file.path} is cut short, or its header claims more than the file holds.")

    def need(self, count: int) -> None:
        """Make `count` bytes from here available. Raises Failure if the file has fewer."""
        missing = self.at + count - len(self.buffer)
        if missing > 0:
            self.check_room(count)
            begin = len(self.buffer)
            try:
                self.buffer += self.file.read(self.base + begin, min(max(missing, _PAGE), self.end - begin))
            except (OSError, EOFError) as error:
                raise Failure(f"{self.file.path} could not be read: {error}.") from error

    def take(self, count: int) -> bytes:
        self.need(count)
        self.at += count
        return bytes(self.buffer[self.at - count : self.at])

    def u32(self) -> int:
        return _U32.unpack(self.take(4))[0]

    def u64(self) -> int:
        return _U64.unpack(self.take(8))[0]

    def name(self) -> str:
        """A string that must be text: a key or a tensor's name."""
        try:
            return self.take(self.u64()).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Failure(f"{self.file.path}: a name in the header is not text.") from error

    def value(self, kind: int, depth: int = 0) -> Any:
        """The value of type `kind` here; a long array is stepped over."""
        if kind == _STRING:
            return self.take(self.u64()).decode("utf-8", "replace")
        if kind in _SCALARS:
            code = struct.Struct("<" + _SCALARS[kind])
            return code.unpack(self.take(code.size))[0]
        if kind != _ARRAY or depth == _DEEPEST:
            raise Failure(f"{self.file.path}: the header has a value of unknown type {kind}.")
        kind, count = self.u32(), self.u64()
        if count <= _LONG or kind == _ARRAY:
            return self.elements(kind, count, depth)
        later = _Later(kind, count, self.position)
        self._step_over(kind, count)
        return later

    def elements(self, kind: int, count: int, depth: int) -> list[Any]:
        """The `count` elements of type `kind` from here."""
        if kind in _SCALARS:
            code = f"<{count}{_SCALARS[kind]}"
            self.check_room(count)
            return list(struct.unpack(code, self.take(struct.calcsize(code))))
        self.check_room(8 * count)
        return [self.value(kind, depth + 1) for _ in range(count)]

    def _step_over(self, kind: int, count: int) -> None:
        if kind in _SCALARS:
            size = count * struct.calcsize(_SCALARS[kind])
            self.check_room(size)
            self.at += size
            return
        if kind != _STRING:
            raise Failure(f"{self.file.path}: the header has an array of unknown type {kind}.")
        self.check_room(8 * count)
        length_at = _U64.unpack_from
        for _ in range(count):
            if self.at + 8 > len(self.buffer):
                self.need(8)
            self.at += 8 + length_at(self.buffer, self.at)[0]
        self.check_room(0)
