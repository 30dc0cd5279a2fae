"""Dequantisation of GGUF blocks: each block of integers has its own scale, and in some formats its own minimum.

The three plainest formats are decoded here, several times as fast as by the gguf package and to the same bits; that
package decodes the others. Layouts: ggml's ggml-common.h.
"""

from collections.abc import Callable

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

from gedanken.sources.tensor_files.dtypes import ENCODINGS, Encoding

_Q4_0 = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_Q4_1 = np.dtype([("scale", "<f2"), ("least", "<f2"), ("nibbles", "u1", 16)])
_Q8_0 = np.dtype([("scale", "<f2"), ("integers", "i1", 32)])


def encoding_of_kind(kind: int) -> Encoding:
    """The encoding of ggml's type number. An unknown number gives an encoding that refuses to be decoded."""
    if kind not in GGMLQuantizationType.__members__.values():
        return Encoding(f"type {kind}", 0)
    kind = GGMLQuantizationType(kind)
    block, size = GGML_QUANT_SIZES[kind]
    return ENCODINGS.get(kind.name) or Encoding(kind.name, size, block, quantised=True)


def dequantise(raw: np.ndarray, word: str, out: np.ndarray) -> None:
    """Write the values of whole blocks `raw` (uint8, one axis) of format `word` into `out` (float32, one axis).

    Raises NotImplementedError if the gguf package does not know how.
    """
    if word in _FAST:
        _FAST[word](raw, out)
    else:
        np.copyto(out, dequantize(raw, GGMLQuantizationType[word]))


def _nibbles(blocks: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The 4-bit integers, as floats in `out`: first the low halves of a block's 16 bytes, then the high ones."""
    halves = out.reshape(-1, 2, 16)
    np.copyto(halves[:, 0], blocks["nibbles"] & 15)
    np.copyto(halves[:, 1], blocks["nibbles"] >> 4)
    return out.reshape(-1, 32)


def _q4_0(raw: np.ndarray, out: np.ndarray) -> None:
    blocks = raw.view(_Q4_0)
    values = _nibbles(blocks, out)
    values -= 8
    values *= blocks["scale"].astype(np.float32)[:, None]


def _q4_1(raw: np.ndarray, out: np.ndarray) -> None:
    blocks = raw.view(_Q4_1)
    values = _nibbles(blocks, out)
    values *= blocks["scale"].astype(np.float32)[:, None]
    values += blocks["least"].astype(np.float32)[:, None]


def _q8_0(raw: np.ndarray, out: np.ndarray) -> None:
    blocks = raw.view(_Q8_0)
    np.multiply(blocks["integers"], blocks["scale"].astype(np.float32)[:, None], out=out.reshape(-1, 32))


_FAST: dict[str, Callable[[np.ndarray, np.ndarray], None]] = {"Q4_0": _q4_0, "Q4_1": _q4_1, "Q8_0": _q8_0}
