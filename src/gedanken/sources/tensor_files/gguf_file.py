"""GGUF: one file with keys, tokenizer and tensors, most of them in quantised blocks."""

import os

import numpy as np

from gedanken.sources.tensor_files.base import TensorInfo
from gedanken.sources.tensor_files.checks import check_disjoint, checked_shape, shown
from gedanken.sources.tensor_files.dtypes import Encoding
from gedanken.sources.tensor_files.file_bytes import FileBytes
from gedanken.sources.tensor_files.flat import FlatTensorFile, Place
from gedanken.sources.tensor_files.gguf_blocks import dequantise, encoding_of_kind
from gedanken.sources.tensor_files.gguf_header import GGUFMetadata, TensorEntry, read_header
from gedanken.status import Failure, Flag, Refusal

_ALIGNMENT = 32
"""GGUF_DEFAULT_ALIGNMENT, where the key general.alignment does not say otherwise."""


class GGUFFile(FlatTensorFile):
    """One `.gguf` file. Shapes are (out, in): GGUF's own order, fastest dimension first, reversed.

    Raises Failure if the header contradicts itself or the file.
    """

    def __init__(self, path: str | os.PathLike):
        file = FileBytes.of(path)
        values, entries, header = read_header(file)
        alignment = values.get("general.alignment", _ALIGNMENT)
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
            raise Failure(f"{file.path}: general.alignment is not a power of two.")
        data = -(-header // alignment) * alignment
        tensors, places = {}, {}
        for entry in entries:
            if entry.name in tensors:
                raise Failure(f"{file.path}: the tensor {shown(entry.name)} comes twice.")
            encoding = encoding_of_kind(entry.kind)
            tensors[entry.name] = _info(entry, encoding, file.path)
            places[entry.name] = Place(data + entry.offset, encoding)
        spans = [(place.offset, place.offset + tensors[name].nbytes, name) for name, place in places.items()]
        for begin, end, name in spans:
            if max(begin, end) > file.size and tensors[name].size:
                raise Failure(f"{file.path} is cut short: {shown(name)} would end past the end of the file.")
        check_disjoint(spans, file.path)
        super().__init__(file, tensors, places, GGUFMetadata(file, values), header)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        try:
            return super().read(name, start, stop)
        except NotImplementedError as error:
            word = self.tensors[name].dtype
            raise Refusal(Flag.undecodable, f"{name} of {self.label} is stored as {word}, not yet decoded.") from error

    def _decode(self, raw: np.ndarray, encoding: Encoding, out: np.ndarray) -> None:
        if encoding.quantised:
            dequantise(raw, encoding.word, out)
        else:
            super()._decode(raw, encoding, out)


def _info(entry: TensorEntry, encoding: Encoding, label: str) -> TensorInfo:
    shape = checked_shape(entry.dimensions[::-1], label, entry.name)
    if encoding.block > 1 and (not shape or shape[-1] % encoding.block):
        raise Failure(f"{label}: the rows of {shown(entry.name)} are not whole blocks of {encoding.word}.")
    info = TensorInfo(entry.name, shape, encoding.word, 0, encoding.quantised)
    return TensorInfo(entry.name, shape, encoding.word, encoding.nbytes(info.size), encoding.quantised)
