"""open_tensor_file: the right reader, or a sentence that says what was looked for."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from gedanken.sources.tensor_files.npz import NpzFile
from gedanken.sources.tensor_files.open import open_tensor_file
from gedanken.sources.tensor_files.safetensors import SafetensorsFile
from gedanken.sources.tensor_files.torch_file import TorchFile
from gedanken.status import Failure

ARRAY = {"w": np.ones((2, 2), np.float32)}


def test_a_file_and_its_folder_open_alike(tmp_path):
    save_file(ARRAY, tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors", str(tmp_path)):
        assert isinstance(open_tensor_file(path), SafetensorsFile)


def test_preference_and_bystanders(tmp_path):
    np.savez(tmp_path / "extra.npz", w=np.ones(2))
    assert isinstance(open_tensor_file(tmp_path), NpzFile)
    save_file(ARRAY, tmp_path / "adapter_model.safetensors")
    (tmp_path / "training_args.bin").write_bytes(b"code")
    (tmp_path / "optimizer.pt").write_bytes(b"state")
    assert isinstance(open_tensor_file(tmp_path), NpzFile)
    save_file(ARRAY, tmp_path / "other.safetensors")
    assert open_tensor_file(tmp_path).label.endswith("other.safetensors")
    save_file(ARRAY, tmp_path / "model.safetensors")
    assert open_tensor_file(tmp_path).label.endswith("model.safetensors")


def test_real_folders(real_file):
    rxn = real_file("rxnmapper", "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k")
    assert open_tensor_file(rxn).label.endswith("pytorch_model.bin")
    assert isinstance(open_tensor_file(real_file("sceptr", "sceptr/_model_saves/SCEPTR_large")), TorchFile)


def test_several_candidates_are_listed(tmp_path):
    for name in ("a", "b"):
        save_file(ARRAY, tmp_path / f"{name}.safetensors")
    with pytest.raises(Failure, match=r"2 files of weights \(a.safetensors, b.safetensors\)"):
        open_tensor_file(tmp_path)


def test_an_adapter_is_not_a_model(tmp_path):
    save_file(ARRAY, tmp_path / "adapter_model.safetensors")
    with pytest.raises(Failure, match="holds an adapter, not a model"):
        open_tensor_file(tmp_path)
    assert open_tensor_file(tmp_path / "adapter_model.safetensors").tensors.keys() == {"w"}


def test_a_folder_without_weights_says_what_was_looked_for(tmp_path):
    with pytest.raises(Failure, match=r"looked for model.safetensors, .*found nothing"):
        open_tensor_file(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tf_model.h5").write_bytes(b"h5")
    with pytest.raises(Failure, match="found config.json, tf_model.h5"):
        open_tensor_file(tmp_path)


def test_an_unknown_suffix_says_which_are_known(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    with pytest.raises(Failure, match=r"none of \.safetensors, \.gguf"):
        open_tensor_file(tmp_path / "model.onnx")


def test_a_misspelt_path_gets_its_nearest(tmp_path):
    save_file(ARRAY, tmp_path / "model.safetensors")
    with pytest.raises(Failure, match="no file or folder") as caught:
        open_tensor_file(tmp_path / "model.safetensor")
    assert caught.value.try_next == str(tmp_path / "model.safetensors")
    with pytest.raises(Failure, match="no file or folder"):
        open_tensor_file(tmp_path / "no" / "such" / "folder")
    with pytest.raises(Failure, match="no file or folder"):
        open_tensor_file("a\0b")


def test_a_wrong_suffix_fails_in_a_sentence(tmp_path):
    save_file(ARRAY, tmp_path / "model.safetensors")
    for name in ("model.gguf", "model.npz", "model.bin"):
        (tmp_path / name).write_bytes((tmp_path / "model.safetensors").read_bytes())
        with pytest.raises(Failure, match=name):
            open_tensor_file(tmp_path / name)


def test_a_dangling_link_and_a_pipe_fail(tmp_path):
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "gone")
    with pytest.raises(Failure):
        open_tensor_file(tmp_path / "model.safetensors")
    with pytest.raises(Failure):
        open_tensor_file(tmp_path)
    with pytest.raises(Failure, match="is not a file"):
        SafetensorsFile("/dev/zero")
