"""The formats in which tensors are stored, under safetensors' words, and how to turn their bytes into floats."""

from dataclasses import dataclass
from functools import cache

import ml_dtypes
import numpy as np

from gedanken.status import Flag, Refusal


@dataclass(frozen=True, slots=True)
class Encoding:
    """How entries are stored: `block` of them in `size` bytes.

    `numpy` is the element type that the bytes can be viewed as; None where there is none (quantised blocks, words we
    do not know). `size` 0 means that not even the length is known.
    """

    word: str
    size: int
    block: int = 1
    numpy: np.dtype | None = None
    integer: bool = False
    quantised: bool = False

    @property
    def decoded(self) -> np.dtype:
        """What reading gives: float64 for float64, else float32."""
        return np.dtype(np.float64) if self.word == "F64" else np.dtype(np.float32)

    def nbytes(self, entries: int) -> int:
        """Bytes that `entries` entries (a whole number of blocks) take."""
        return entries // self.block * self.size

    def check_floating(self, name: str, label: str) -> None:
        """Raises Refusal(not_floating | undecodable) if the tensor `name` of the file `label` holds no weights."""
        if self.integer:
            raise Refusal(Flag.not_floating, f"{name} of {label} holds integers ({self.word}), not weights.")
        if self.numpy is None and not self.quantised:
            raise Refusal(Flag.undecodable, f"{name} of {label} is stored as {self.word}, which cannot be decoded.")


# Words and sizes: the safetensors format's Dtype enumeration (F4 and F6 count bits, so several entries share bytes).
_FLOATS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
}
_INTEGERS = {
    **{f"I{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    "BOOL": "?",
}
_OPAQUE = {"C64": (8, 1), "F4": (1, 2), "F6_E2M3": (3, 4), "F6_E3M2": (3, 4)}

ENCODINGS = {
    **{word: Encoding(word, np.dtype(kind).itemsize, numpy=np.dtype(kind)) for word, kind in _FLOATS.items()},
    **{
        word: Encoding(word, np.dtype(kind).itemsize, numpy=np.dtype(kind), integer=True)
        for word, kind in _INTEGERS.items()
    },
    **{word: Encoding(word, size, block) for word, (size, block) in _OPAQUE.items()},
}

_WORDS = {
    **{str(encoding.numpy.newbyteorder("=")): word for word, encoding in ENCODINGS.items() if encoding.numpy},
    "complex64": "C64",
    "float4_e2m1fn_x2": "F4",
}


def encoding_of(name: str) -> Encoding:
    """The encoding called `name` by safetensors, numpy, ml_dtypes or torch: BF16, bfloat16, torch.bfloat16.

    An unknown name gives an encoding of unknown size that refuses to be decoded.
    """
    plain = name.removeprefix("torch.")
    return ENCODINGS.get(_WORDS.get(plain, plain)) or Encoding(plain, 0)


@cache
def _table(word: str) -> np.ndarray:
    """The 256 values of a one-byte float format: looking them up is 3.5 times as fast as casting."""
    return np.arange(256, dtype=np.uint8).view(ENCODINGS[word].numpy).astype(np.float32)


def decode(raw: np.ndarray, encoding: Encoding, out: np.ndarray) -> None:
    """Write the floats stored in `raw` (uint8, one axis) into `out` (one axis, of type `encoding.decoded`).

    bfloat16 is cast by ml_dtypes, which runs at the speed of memory, as a 16-bit shift does.
    """
    if encoding.size == 1:
        np.take(_table(encoding.word), raw, out=out, mode="clip")
    else:
        np.copyto(out, raw.view(encoding.numpy))
