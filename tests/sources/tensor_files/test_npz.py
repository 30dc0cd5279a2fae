"""NumPy archives: round trips against np.savez, and headers that lie."""

import io
import pickle
import shutil
import zipfile

import numpy as np
import pytest

from gedanken.sources.tensor_files.npz import NpzFile
from gedanken.status import Failure, Flag, Refusal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.npz"


def npy(header: str | bytes, data: bytes = b"", version: bytes = b"\1\0", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else header.encode()
    size = len(text) if length is None else length
    return b"\x93NUMPY" + version + size.to_bytes(2 if version[0] == 1 else 4, "little") + text + data


def archive(path, **members: bytes):
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in members.items():
            packed.writestr(name + ".npy", content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_round_trip(path, rng, save):
    arrays = {
        "f64": rng.normal(size=(3, 5)),
        "f32": rng.normal(size=(700, 500)).astype(np.float32),
        "f16": rng.normal(size=(11, 4, 2)).astype(np.float16),
        "big_endian": rng.normal(size=(6, 3)).astype(">f4"),
        "column_major": np.asfortranarray(rng.normal(size=(7, 5))),
        "scalar": np.array(2.5, np.float32),
        "empty": np.empty((0, 4)),
        "nested/name": np.ones(3),
    }
    save(path, **arrays)
    file = NpzFile(path)
    assert set(file.tensors) == set(arrays)
    for name, array in arrays.items():
        read = file.read(name)
        assert read.dtype == (np.float32 if array.dtype.itemsize < 8 else np.float64)
        assert read.shape == array.shape == file.tensors[name].shape
        assert read.flags.c_contiguous
        np.testing.assert_array_equal(read, array)
        if array.ndim:
            np.testing.assert_array_equal(file.read(name, 2, 5), array[2:5])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(file)).read("f32"), arrays["f32"])


def test_a_plain_array_is_called_by_its_file(tmp_path, rng):
    array = rng.normal(size=(5, 3)).astype(np.float16)
    np.save(tmp_path / "embedding.npy", array)
    np.testing.assert_array_equal(NpzFile(tmp_path / "embedding.npy").read("embedding", 1, 4), array[1:4])


@pytest.mark.parametrize(
    ("array", "flag"),
    [
        (np.arange(3), Flag.not_floating),
        (np.array([True]), Flag.not_floating),
        (np.array(["a", "bc"]), Flag.undecodable),
        (np.array([1j]), Flag.undecodable),
        (np.zeros(2, [("a", "f4"), ("b", "i2")]), Flag.undecodable),
        (np.array([np.datetime64("2020-01-01")]), Flag.undecodable),
    ],
)
def test_what_is_not_floating_is_refused_alone(path, array, flag):
    np.savez(path, odd=array, w=np.ones(2))
    file = NpzFile(path)
    with pytest.raises(Refusal, match="odd") as caught:
        file.read("odd")
    assert caught.value.flag is flag
    np.testing.assert_array_equal(file.read("w"), [1, 1])


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the object was unpickled",))


def test_objects_are_never_unpickled(path):
    np.savez(path, odd=np.array([_Bomb()], object))
    with pytest.raises(Refusal, match="odd"):
        NpzFile(path).read("odd")


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"
FOUR = b"\0" * 4
LIES = {
    "shape beyond the member": (npy(GOOD.replace("(1,)", "(1000,)"), FOUR), "w of shape .* does not fill"),
    "2**63": (npy(GOOD.replace("(1,)", f"({2**63},)"), FOUR), "shape of w"),
    "negative": (npy(GOOD.replace("(1,)", "(-1,)"), FOUR), "shape of w"),
    "boolean": (npy(GOOD.replace("(1,)", "(True,)"), FOUR), "shape of w"),
    "shape text": (npy(GOOD.replace("(1,)", "'1'"), FOUR), "shape of w"),
    "bytes left over": (npy(GOOD, FOUR * 2), "does not fill"),
    "header beyond the member": (npy(GOOD, FOUR, length=60_000), "header of w would take"),
    "header of gigabytes": (npy(GOOD, FOUR, b"\2\0", length=2**32 - 1), "header of w would take"),
    "no dictionary": (npy("[1]", FOUR), "header of w lacks"),
    "no shape": (npy("{'descr': '<f4', 'fortran_order': False}", FOUR), "header of w lacks"),
    "code": (npy("__import__('os').system('true')", FOUR), "header of w is not valid"),
    "nested junk": (npy("(" * 5000, FOUR), "header of w is not valid"),
    "minus junk": (npy("-" * 5000 + "1", FOUR), "header of w is not valid"),
    "not text": (npy(b"\xff\xfe", FOUR), "header of w is not valid"),
    "version 9": (npy(GOOD, FOUR, b"\x09\0"), "w is not in NumPy's format"),
    "no magic": (b"hello, world", "w is not in NumPy's format"),
    "empty": (b"", "w is not in NumPy's format"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_lying_header_fails_in_one_sentence(path, case):
    content, sentence = LIES[case]
    with pytest.raises(Failure, match=sentence) as caught:
        NpzFile(archive(path, v=npy(GOOD, FOUR), w=content))
    assert str(path) in caught.value.sentence


def test_a_member_that_claims_to_unpack_to_terabytes_fails(path):
    np.savez_compressed(path, w=np.ones(1000))
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\1\2")
    content[directory + 24 : directory + 28] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(Failure, match="w claims to unpack"):
        NpzFile(path)


def test_another_compression_fails(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("w.npy", npy(GOOD, FOUR))
    with pytest.raises(Failure, match="w is compressed in a way"):
        NpzFile(path)


def test_a_name_twice_fails(path):
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "w") as packed:
        packed.writestr("w.npy", npy(GOOD, FOUR))
        packed.writestr("w.npy", npy(GOOD, FOUR))
    with pytest.raises(Failure, match="comes twice"):
        NpzFile(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_truncation_fails(path, rng, save):
    save(path, v=rng.normal(size=(2, 3)), w=np.ones(4))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(Failure):
            NpzFile(path)


def test_damaged_compressed_bytes_are_refused(path, rng):
    np.savez_compressed(path, w=rng.normal(size=1000))
    file = NpzFile(path)
    content = bytearray(path.read_bytes())
    content[3000:3100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(Refusal, match="w of .* could not be read") as caught:
        file.read("w")
    assert caught.value.flag is Flag.unreadable


def test_fingerprint_sees_one_changed_value_and_not_the_name(path, tmp_path, rng):
    array = rng.normal(size=(1000, 300))
    np.savez(path, w=array)
    before = NpzFile(path).fingerprint()
    shutil.copy(path, tmp_path / "copy.npz")
    assert NpzFile(tmp_path / "copy.npz").fingerprint() == before
    array[123, 45] += 1
    np.savez(path, w=array)
    assert NpzFile(path).fingerprint() != before


def test_real_weights_equal_numpy(real_file):
    path = real_file("glassllm", "glassllm/weights/en.npz")
    file = NpzFile(path)
    with np.load(io.BytesIO(path.read_bytes())) as other:
        assert set(other.files) == set(file.tensors)
        for name in other.files:
            if other[name].dtype.kind == "f":
                np.testing.assert_array_equal(file.read(name), other[name].astype(np.float32))
