"""Safetensors: 8 bytes of header length, a JSON header, the tensors' bytes without gaps.

The header is not trusted: every number in it is checked against the file before it is used.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from gedanken.sources.tensor_files.base import TensorInfo
from gedanken.sources.tensor_files.checks import checked_shape, is_size, shown
from gedanken.sources.tensor_files.dtypes import Encoding, encoding_of
from gedanken.sources.tensor_files.file_bytes import HEADER_LIMIT, FileBytes
from gedanken.sources.tensor_files.flat import FlatTensorFile, Place
from gedanken.status import Failure

_PREFIX = 8
"""Bytes of the header's length, before the header."""


class SafetensorsFile(FlatTensorFile):
    """One `.safetensors` file. Raises Failure if it breaks the format."""

    def __init__(self, path: str | os.PathLike):
        file = FileBytes.of(path)
        header, length = _header(file)
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise Failure(f"{file.path}: __metadata__ is not an object of strings.")
        start = _PREFIX + length
        tensors, places, spans = {}, {}, []
        for name, entry in header.items():
            info, encoding, begin = _tensor(name, entry, file.size - start, file.path)
            tensors[name], places[name] = info, Place(start + begin, encoding)
            spans.append((begin, begin + info.nbytes, name))
        _check_cover(spans, file.size - start, file.path)
        super().__init__(file, tensors, places, metadata, start)


def _header(file: FileBytes) -> tuple[dict[str, Any], int]:
    """The header's object and its length in bytes."""
    if file.size < _PREFIX:
        raise Failure(f"{file.path} is too short to be a safetensors file.")
    try:
        length = int.from_bytes(file.read(0, _PREFIX), "little")
        if length > min(HEADER_LIMIT, file.size - _PREFIX):
            raise Failure(f"{file.path} is cut short or is no safetensors file: its header would take {length} bytes.")
        text = file.read(_PREFIX, length).decode("utf-8")
        header = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except (OSError, EOFError) as error:
        raise Failure(f"{file.path} could not be read: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise Failure(f"{file.path}: the header is not valid JSON ({shown(str(error))}).") from error
    if not isinstance(header, dict):
        raise Failure(f"{file.path}: the header is not a JSON object.")
    return header, length


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of `pairs`. Raises ValueError if a name comes twice or is not text."""
    found = {}
    for name, value in pairs:
        name.encode()
        if name in found:
            raise ValueError(f"the name {name} comes twice")
        found[name] = value
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _tensor(name: str, entry: Any, room: int, label: str) -> tuple[TensorInfo, Encoding, int]:
    """Description, encoding and first byte of one tensor, whose bytes lie within the `room` bytes after the header."""
    if not isinstance(entry, Mapping) or not {"dtype", "shape", "data_offsets"} <= set(entry):
        raise Failure(f"{label}: the entry of {shown(name)} lacks dtype, shape or data_offsets.")
    word, offsets = entry["dtype"], entry["data_offsets"]
    if not isinstance(word, str):
        raise Failure(f"{label}: the dtype of {shown(name)} is not a word.")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(is_size, offsets)) or offsets[0] > offsets[1]:
        raise Failure(f"{label}: the offsets of {shown(name)} are not two positions in order.")
    begin, end = offsets
    if end > room:
        raise Failure(f"{label} is cut short: {shown(name)} would end {end - room} bytes past the end of the file.")
    info = TensorInfo(name, checked_shape(entry["shape"], label, name), word, end - begin)
    encoding = encoding_of(word)
    if encoding.size and info.size * encoding.size != info.nbytes * encoding.block:
        held = f"{shown(name)} of shape {list(info.shape)} and dtype {word}"
        raise Failure(f"{label}: {held} does not fill its {info.nbytes} bytes.")
    return info, encoding, begin


def _check_cover(spans: list[tuple[int, int, str]], room: int, label: str) -> None:
    """Raises Failure unless the spans cover `room` bytes without overlap or gap, as the format demands."""
    end, before = 0, "the header"
    for begin, stop, name in sorted(spans):
        if begin != end:
            fault = "overlap those of" if begin < end else "leave a gap after"
            raise Failure(f"{label}: the bytes of {shown(name)} {fault} {shown(before)}.")
        end, before = stop, name
    if end != room:
        raise Failure(f"{label}: {room - end} bytes at the end belong to no tensor.")
