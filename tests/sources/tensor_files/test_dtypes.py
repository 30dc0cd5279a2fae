"""Encodings: the table's sizes, and decoding against ml_dtypes' own casts over every bit pattern."""

import ml_dtypes
import numpy as np
import pytest
import torch

from gedanken.sources.tensor_files.dtypes import ENCODINGS, decode, encoding_of
from gedanken.status import Flag, Refusal

ONE_BYTE = ["F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"]


def decoded(raw: np.ndarray, word: str) -> np.ndarray:
    encoding = ENCODINGS[word]
    out = np.empty(raw.size // encoding.size, encoding.decoded)
    decode(raw, encoding, out)
    return out


@pytest.mark.parametrize("word", ONE_BYTE)
def test_every_one_byte_pattern_equals_the_cast(word):
    raw = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(decoded(raw, word), raw.view(ENCODINGS[word].numpy).astype(np.float32))


def test_every_bfloat16_is_the_upper_half_of_its_float32():
    halves = np.arange(1 << 16, dtype=np.uint16)
    shifted = (halves.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(decoded(halves.view(np.uint8), "BF16"), shifted)


def test_float8_e4m3_has_its_published_extremes():
    # 0x7E is the largest finite value 448, 0x01 the smallest subnormal 2⁻⁹, 0x7F is NaN (no infinities).
    values = decoded(np.array([0x7E, 0x01, 0x7F, 0xFE], np.uint8), "F8_E4M3")
    np.testing.assert_array_equal(values, [448.0, 2.0**-9, np.nan, -448.0])


def test_float64_stays_float64():
    values = np.array([np.pi, 1e300])
    np.testing.assert_array_equal(decoded(values.view(np.uint8), "F64"), values)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint64, np.bool_])
def test_numpy_names_are_known(dtype):
    encoding = encoding_of(str(np.dtype(dtype)))
    assert encoding.numpy == np.dtype(dtype)
    assert encoding.integer == (np.dtype(dtype).kind in "iub")


@pytest.mark.parametrize(
    ("dtype", "word"),
    [(torch.bfloat16, "BF16"), (torch.float8_e4m3fn, "F8_E4M3"), (torch.float8_e5m2, "F8_E5M2"), (torch.int64, "I64")],
)
def test_torch_names_are_known(dtype, word):
    assert encoding_of(str(dtype)).word == word
    assert encoding_of(str(dtype)).size == dtype.itemsize


def test_ml_dtypes_names_are_known():
    assert encoding_of(str(np.dtype(ml_dtypes.bfloat16))).word == "BF16"


def test_integers_and_unknown_words_are_refused_with_the_tensor_named():
    with pytest.raises(Refusal, match="ids of f holds integers") as caught:
        encoding_of("I64").check_floating("ids", "f")
    assert caught.value.flag is Flag.not_floating
    for word in ("C64", "F4", "X9"):
        with pytest.raises(Refusal, match=f"w of f is stored as {word}") as caught:
            encoding_of(word).check_floating("w", "f")
        assert caught.value.flag is Flag.undecodable
