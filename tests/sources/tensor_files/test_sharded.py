"""Sharded checkpoints: the union that the index describes, and indexes that lie."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from gedanken.sources.tensor_files.open import open_tensor_file
from gedanken.status import Failure, Refusal


def write_index(folder, weight_map, name="model.safetensors.index.json"):
    (folder / name).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return folder / name


@pytest.fixture
def shards(tmp_path, rng):
    folder = tmp_path / "model"
    folder.mkdir()
    arrays = {name: rng.normal(size=(4, 3)).astype(np.float32) for name in "abc"}
    save_file({"a": arrays["a"]}, folder / "one.safetensors")
    save_file({"b": arrays["b"], "c": arrays["c"], "a": arrays["a"] + 1}, folder / "two.safetensors")
    return folder, arrays, {"a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors"}


def test_the_union_is_read_and_the_index_decides(shards):
    folder, arrays, weight_map = shards
    write_index(folder, weight_map)
    file = open_tensor_file(folder)
    assert file.metadata == {"total_size": 1}
    for again in (file, pickle.loads(pickle.dumps(file))):
        for name, array in arrays.items():
            np.testing.assert_array_equal(again.read(name, 1), array[1:])
    file.close()
    with pytest.raises(Refusal, match="no tensor named z"):
        file.read("z")


def test_torch_shards(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "one.bin")
    torch.save({"b": torch.zeros(2)}, tmp_path / "two.bin")
    write_index(tmp_path, {"a": "one.bin", "b": "two.bin"}, "pytorch_model.bin.index.json")
    file = open_tensor_file(tmp_path)
    np.testing.assert_array_equal(file.read("a"), [1, 1])
    np.testing.assert_array_equal(file.read("b"), [0, 0])


def test_fingerprint_follows_any_shard(shards, tmp_path):
    folder, arrays, weight_map = shards
    write_index(folder, weight_map)
    before = open_tensor_file(folder).fingerprint()
    shutil.copytree(folder, tmp_path / "copy")
    assert open_tensor_file(tmp_path / "copy").fingerprint() == before
    save_file({"a": arrays["a"] + 1}, folder / "one.safetensors")
    assert open_tensor_file(folder).fingerprint() != before


OUTSIDE = ["../one.safetensors", "/etc/passwd", "..", ".", "", "a/b.safetensors", "a\\b", "C:x", "a\0b"]


@pytest.mark.parametrize("shard", OUTSIDE)
def test_a_shard_outside_the_folder_fails(shards, shard):
    folder, _, weight_map = shards
    shutil.copy(folder / "one.safetensors", folder.parent / "one.safetensors")
    with pytest.raises(Failure, match="points outside its folder"):
        open_tensor_file(write_index(folder, weight_map | {"a": shard}))


def test_a_link_out_of_the_folder_fails(shards):
    folder, _, weight_map = shards
    (folder / "one.safetensors").rename(folder.parent / "elsewhere.safetensors")
    (folder / "one.safetensors").symlink_to(folder.parent / "elsewhere.safetensors")
    with pytest.raises(Failure, match="one.safetensors is a link"):
        open_tensor_file(write_index(folder, weight_map))


def test_a_hub_cache_of_links_is_read(shards):
    folder, arrays, weight_map = shards
    write_index(folder, weight_map)
    blobs = folder.parent / "blobs"
    blobs.mkdir()
    for i, file in enumerate(list(folder.iterdir())):
        file.rename(blobs / f"blob{i}")
        file.symlink_to(f"../blobs/blob{i}")
    np.testing.assert_array_equal(open_tensor_file(folder).read("a"), arrays["a"])


def test_a_missing_shard_fails_and_is_named(shards):
    folder, _, weight_map = shards
    with pytest.raises(Failure, match="the file three.safetensors, which is missing"):
        open_tensor_file(write_index(folder, weight_map | {"d": "three.safetensors"}))


def test_a_broken_shard_fails_and_is_named(shards):
    folder, _, weight_map = shards
    whole = (folder / "two.safetensors").read_bytes()
    (folder / "two.safetensors").write_bytes(whole[:-4])
    with pytest.raises(Failure, match="two.safetensors is cut short"):
        open_tensor_file(write_index(folder, weight_map))


def test_a_tensor_that_its_shard_lacks_fails(shards):
    folder, _, weight_map = shards
    with pytest.raises(Failure, match="z is not in one.safetensors"):
        open_tensor_file(write_index(folder, weight_map | {"z": "one.safetensors"}))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "no weight_map"),
        ('{"weight_map": {}}', "no weight_map"),
        ('{"weight_map": {"a": 3}}', "no weight_map"),
        ('{"weight_map": ["a"]}', "no weight_map"),
    ],
)
def test_what_is_no_index_fails(tmp_path, text, sentence):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(Failure, match=sentence):
        open_tensor_file(tmp_path)


def test_an_index_that_names_an_index_fails(shards):
    folder, _, weight_map = shards
    with pytest.raises(Failure):
        open_tensor_file(write_index(folder, weight_map | {"a": "model.safetensors.index.json"}))
