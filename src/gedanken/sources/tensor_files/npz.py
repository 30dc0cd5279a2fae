"""NumPy's `.npz` (a zip of `.npy`) and plain `.npy`. Objects are never unpickled.

A member that is stored uncompressed, as `np.savez` writes it, is read by rows straight from the file; a compressed one
is unpacked as a stream up to the rows that are asked for.
"""

import ast
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from gedanken.sources.tensor_files import archive
from gedanken.sources.tensor_files.base import TensorInfo
from gedanken.sources.tensor_files.checks import checked_shape, shown
from gedanken.sources.tensor_files.dtypes import ENCODINGS, Encoding
from gedanken.sources.tensor_files.file_bytes import FileBytes
from gedanken.sources.tensor_files.flat import FlatTensorFile, Place
from gedanken.status import Failure

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
"""numpy.lib.format's own limit for untrusted headers."""
_MOST_INFLATED = 1032
"""Deflate cannot shrink data more than 1032-fold (zlib's technical notes); a directory that says so lies."""
_LOCAL_HEADER = 30
"""Bytes of a zip member's fixed local header; the lengths of name and extra field stand at 26 and 28."""
_DESCRIPTION = re.compile(r"([<>|=])([a-zA-Z])(\d+)")
_KINDS = {"f": "F", "i": "I", "u": "U"}


class NpzFile(FlatTensorFile):
    """One `.npz` or `.npy` file; an `.npy`'s array is called by the file's stem. Raises Failure if it is broken."""

    def __init__(self, path: str | os.PathLike):
        file = FileBytes.of(path)
        try:
            with file.open() as stream:
                single = stream.read(len(_MAGIC)) == _MAGIC
                arrays = _single(file, stream) if single else _members(file, stream)
        except archive.ZIP_ERRORS as error:
            raise Failure(f"{file.path} could not be read as NumPy arrays: {shown(str(error))}.") from error
        tensors = {info.name: info for info, _ in arrays}
        if len(tensors) < len(arrays):
            raise Failure(f"{file.path}: an array's name comes twice.")
        self.single = single
        super().__init__(file, tensors, {info.name: place for info, place in arrays}, {}, 0)

    def fingerprint(self) -> str:
        return super().fingerprint() if self.single else archive.fingerprint(self.file)

    @contextmanager
    def _stream(self, place: Place) -> Iterator[BinaryIO]:
        with self.file.open() as stream:
            if not place.member:
                yield stream
                return
            with zipfile.ZipFile(stream) as packed, packed.open(place.member) as unpacked:
                yield unpacked


def _single(file: FileBytes, stream: BinaryIO) -> list[tuple[TensorInfo, Place]]:
    stream.seek(0)
    name = os.path.splitext(os.path.basename(file.path))[0]
    info, place = _array(name, stream, file.size, file.path)
    return [(info, place)]


def _members(file: FileBytes, stream: BinaryIO) -> list[tuple[TensorInfo, Place]]:
    arrays = []
    with zipfile.ZipFile(stream) as packed:
        for member in packed.infolist():
            if not member.filename.endswith(".npy"):
                continue
            name = member.filename.removesuffix(".npy")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Failure(f"{file.path}: {shown(name)} is compressed in a way that NumPy does not write.")
            if member.file_size > _MOST_INFLATED * (member.compress_size + 1) + _LONGEST_HEADER:
                raise Failure(f"{file.path}: {shown(name)} claims to unpack to {member.file_size} bytes.")
            with packed.open(member) as unpacked:
                info, place = _array(name, unpacked, member.file_size, file.path)
            if member.compress_type == zipfile.ZIP_STORED:
                begin = _data_offset(stream, member.header_offset)
                if begin + member.file_size > file.size:
                    raise Failure(f"{file.path} is cut short: {shown(name)} would end past the end of the file.")
                place = Place(begin + place.offset, place.encoding, place.column_major)
            else:
                place = Place(place.offset, place.encoding, place.column_major, member.filename)
            arrays.append((info, place))
    return arrays


def _data_offset(stream: BinaryIO, header_offset: int) -> int:
    stream.seek(header_offset)
    local = stream.read(_LOCAL_HEADER)
    return header_offset + _LOCAL_HEADER + sum(int.from_bytes(local[at : at + 2], "little") for at in (26, 28))


def _array(name: str, stream: BinaryIO, size: int, label: str) -> tuple[TensorInfo, Place]:
    """Description and place of the array whose `.npy` bytes, `size` of them, start the stream."""
    head = stream.read(8)
    if len(head) < 8 or head[:6] != _MAGIC or head[6] not in (1, 2, 3):
        raise Failure(f"{label}: {shown(name)} is not in NumPy's format.")
    width = 2 if head[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    offset = 8 + width + length
    if length > _LONGEST_HEADER or offset > size:
        raise Failure(f"{label}: the header of {shown(name)} would take {length} bytes.")
    header = _header(stream.read(length), name, label)
    encoding = _encoding(header["descr"])
    shape = checked_shape(header["shape"], label, name)
    nbytes = TensorInfo(name, shape, encoding.word, 0).size * encoding.size
    if encoding.size and nbytes != size - offset:
        raise Failure(f"{label}: {shown(name)} of shape {list(shape)} does not fill its {size - offset} bytes.")
    place = Place(offset, encoding, bool(header["fortran_order"]) and len(shape) > 1)
    return TensorInfo(name, shape, encoding.word, size - offset), place


def _header(text: bytes, name: str, label: str) -> dict:
    try:
        header = ast.literal_eval(text.decode("utf-8").strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise Failure(f"{label}: the header of {shown(name)} is not valid.") from error
    if not isinstance(header, dict) or not {"descr", "fortran_order", "shape"} <= set(header):
        raise Failure(f"{label}: the header of {shown(name)} lacks descr, fortran_order or shape.")
    return header


def _encoding(description: object) -> Encoding:
    """The encoding of a NumPy type description such as '<f4'; of unknown size where we cannot decode it."""
    if description == "|b1":
        return ENCODINGS["BOOL"]
    match = _DESCRIPTION.fullmatch(description) if isinstance(description, str) else None
    if match is None:
        return Encoding("a record", 0)
    order, kind, size = match.groups()
    word = f"{_KINDS[kind]}{8 * int(size)}" if kind in _KINDS and int(size) <= 8 else ""
    known = ENCODINGS.get(word)
    if known is None:
        return Encoding(shown(description), 0)
    if order == ">" and known.size > 1:
        return Encoding(word, known.size, numpy=known.numpy.newbyteorder(">"), integer=known.integer)
    return known
