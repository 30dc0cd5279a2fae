"""Valid files, damaged at random: whatever is read, only Failure or Refusal may come out, and soon."""

import struct
import time

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from gedanken.sources.tensor_files.gguf_file import GGUFFile
from gedanken.sources.tensor_files.npz import NpzFile
from gedanken.sources.tensor_files.safetensors import SafetensorsFile
from gedanken.sources.tensor_files.torch_file import TorchFile
from gedanken.status import Failure, Refusal

SECONDS = 2.0
"""A damaged file of a kilobyte opens in milliseconds; two seconds mean that a claimed size was believed."""

EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from(["set", "insert", "delete", "number"]),
        st.binary(min_size=1, max_size=9),
        st.sampled_from([0, 1, 2, 7, 255, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1]),
    ),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, edits, cut: float) -> bytes:
    content = bytearray(content)
    for where, how, bytes_, number in edits:
        at = int(where * len(content))
        if how == "set":
            content[at : at + len(bytes_)] = bytes_
        elif how == "insert":
            content[at:at] = bytes_
        elif how == "delete":
            del content[at : at + len(bytes_)]
        else:
            content[at : at + 8] = struct.pack("<Q", number)
    return bytes(content[: int(cut * len(content))] if cut < 0.9 else content)


def safetensors_file(path, rng):
    save_file({"a": rng.normal(size=(3, 4)), "b": rng.normal(size=5).astype(np.float16)}, path, metadata={"k": "v"})


def gguf_file(path, rng):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_array("tokens", [f"token{i}" for i in range(70)])
    writer.add_array("types", list(range(70)))
    writer.add_uint32("llama.block_count", 3)
    kind = gguf.GGMLQuantizationType.Q4_0
    writer.add_tensor("w", gguf.quantize(rng.normal(size=(2, 64)).astype(np.float32), kind), raw_dtype=kind)
    writer.add_tensor("v", np.ones(3, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def npz_file(path, rng):
    np.savez_compressed(path, a=rng.normal(size=(3, 4)), b=rng.normal(size=5).astype(np.float16))


def stored_npz_file(path, rng):
    np.savez(path, a=rng.normal(size=(3, 4)), b=np.asfortranarray(rng.normal(size=(2, 3))))


def npy_file(path, rng):
    np.save(path, rng.normal(size=(3, 4)))


@pytest.mark.parametrize(
    ("make", "reader", "suffix"),
    [
        (safetensors_file, SafetensorsFile, "safetensors"),
        (gguf_file, GGUFFile, "gguf"),
        (npz_file, NpzFile, "npz"),
        (stored_npz_file, NpzFile, "npz"),
        (npy_file, NpzFile, "npy"),
    ],
)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(edits=EDITS, cut=st.floats(0, 4))
def test_damaged_files_fail_or_refuse(tmp_path, make, reader, suffix, edits, cut):
    whole = tmp_path / f"whole.{suffix}"
    if not whole.exists():
        make(whole, np.random.default_rng(5))
    path = tmp_path / f"damaged.{suffix}"
    path.write_bytes(damaged(whole.read_bytes(), edits, cut))
    begin = time.monotonic()
    try:
        file = reader(path)
    except Failure as failure:
        assert str(path) in failure.sentence
    else:
        file.fingerprint()
        assert len(dict(file.metadata)) == len(file.metadata)
        for name, info in file.tensors.items():
            try:
                assert file.read(name).shape == info.shape
            except Refusal as refusal:
                assert name in refusal.sentence
    assert time.monotonic() - begin < SECONDS


@pytest.mark.parametrize("zipped", [True, False])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(edits=EDITS, cut=st.floats(0, 4))
def test_damaged_torch_files_fail_or_refuse(tmp_path, zipped, edits, cut):
    torch = pytest.importorskip("torch")
    whole = tmp_path / "whole.pt"
    if not whole.exists():
        torch.save({"a": torch.ones(3, 4), "b": torch.ones(5).half()}, whole, _use_new_zipfile_serialization=zipped)
    path = tmp_path / "damaged.pt"
    path.write_bytes(damaged(whole.read_bytes(), edits, cut))
    try:
        file = TorchFile(path)
    except Failure as failure:
        assert str(path) in failure.sentence
    else:
        file.fingerprint()
        for name in file.tensors:
            try:
                file.read(name)
            except Refusal as refusal:
                assert name in refusal.sentence
