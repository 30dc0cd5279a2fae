"""PyTorch files: round trips, wrappers, code that must not run, real weights."""

import importlib.util
import pickle
import shutil
from collections import OrderedDict

import numpy as np
import pytest
import torch

from gedanken.sources.tensor_files.torch_file import TorchFile
from gedanken.status import Failure, Flag, Refusal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(3)
    return OrderedDict((f"layer.{i}.weight", torch.randn(6, 4, generator=generator)) for i in range(3))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_round_trip(path, state, dtype, zipped):
    if dtype is torch.float8_e4m3fn and not zipped:
        pytest.skip("PyTorch's old format cannot hold float8")
    state = {name: tensor.to(dtype) for name, tensor in state.items()}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    file = TorchFile(path)
    assert list(file.tensors) == list(state)
    for name, tensor in state.items():
        wanted = tensor.double().numpy()
        assert file.read(name).dtype == (np.float64 if dtype is torch.float64 else np.float32)
        assert file.tensors[name].nbytes == tensor.nbytes
        np.testing.assert_array_equal(file.read(name), wanted)
        np.testing.assert_array_equal(file.read(name, 1, 4), wanted[1:4])


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict", "module"])
def test_checkpoints_are_unwrapped(path, state, key):
    torch.save({key: state, "optimizer": {"state": {0: torch.ones(2)}}, "epoch": 3, "loss": 0.5}, path)
    file = TorchFile(path)
    assert list(file.tensors) == list(state)
    assert file.metadata == {"epoch": 3, "loss": 0.5}


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod."])
def test_prefixes_are_taken_off(path, state, prefix):
    torch.save({prefix + name: tensor for name, tensor in state.items()}, path)
    assert list(TorchFile(path).tensors) == list(state)


def test_transposed_and_shared_tensors_read_as_they_look(path):
    whole = torch.arange(24.0).reshape(4, 6)
    torch.save({"t": whole.t(), "rows": whole[1:3], "tied": whole}, path)
    file = TorchFile(path)
    np.testing.assert_array_equal(file.read("t"), whole.t().numpy())
    np.testing.assert_array_equal(file.read("rows"), whole[1:3].numpy())


def test_what_is_read_belongs_to_the_caller(path, state):
    torch.save(state, path)
    file = TorchFile(path)
    file.read("layer.0.weight")[:] = 7
    np.testing.assert_array_equal(file.read("layer.0.weight"), state["layer.0.weight"].numpy())


def test_pickled_and_closed_files_reopen(path, state):
    torch.save(state, path)
    file = TorchFile(path)
    sent = pickle.dumps(file)
    assert len(sent) < 2000
    file.close()
    for again in (file, pickle.loads(sent)):
        np.testing.assert_array_equal(again.read("layer.1.weight"), state["layer.1.weight"].numpy())


@pytest.mark.parametrize(
    ("tensor", "flag"),
    [
        (torch.arange(3), Flag.not_floating),
        (torch.tensor([True]), Flag.not_floating),
        (torch.tensor([1j]), Flag.undecodable),
        (torch.eye(3).to_sparse(), Flag.unreadable),
        (torch.empty(3, device="meta"), Flag.unreadable),
    ],
)
def test_what_cannot_be_read_is_refused_alone(path, tensor, flag):
    torch.save({"odd": tensor, "w": torch.ones(2)}, path)
    file = TorchFile(path)
    with pytest.raises(Refusal, match="odd") as caught:
        file.read("odd")
    assert caught.value.flag is flag
    np.testing.assert_array_equal(file.read("w"), [1, 1])


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("code from the pickle has run",))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_not_run(path, zipped):
    torch.save({"w": torch.ones(2), "bomb": _Bomb()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(Failure, match=r"contains code .*it was not loaded"):
        TorchFile(path)


def test_a_plain_pickle_with_code_is_not_run(path):
    path.write_bytes(pickle.dumps({"bomb": _Bomb()}, protocol=2))
    with pytest.raises(Failure, match="contains code"):
        TorchFile(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_code(path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    with pytest.raises(Failure, match="contains code"):
        TorchFile(path)


def test_trainer_arguments_are_code(real_file):
    folder = "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k"
    with pytest.raises(Failure, match="contains code"):
        TorchFile(real_file("rxnmapper", f"{folder}/training_args.bin"))


@pytest.mark.parametrize(
    ("saved", "sentence"),
    [
        ([torch.ones(2)], "holds a list"),
        ({"epoch": 3}, "no tensors under names, but epoch"),
        ({}, "no tensors under names, but nothing"),
        ({0: torch.ones(2)}, "no tensors under names, but 0"),
        ({"w": torch.ones(1).expand(2**40)}, "w claims more entries"),
    ],
)
def test_what_is_no_state_dict_fails(path, saved, sentence):
    torch.save(saved, path)
    with pytest.raises(Failure, match=sentence):
        TorchFile(path)


def test_a_mapping_that_holds_itself_fails(path):
    loop = {"epoch": 1}
    loop["model"] = loop
    torch.save(loop, path)
    with pytest.raises(Failure, match="no tensors"):
        TorchFile(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_truncations_fail(path, state, zipped):
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for length in [*range(0, 200), *range(200, len(whole), 37)]:
        path.write_bytes(whole[:length])
        with pytest.raises(Failure):
            TorchFile(path)


def test_a_file_that_shrinks_after_opening_is_refused(path, state):
    torch.save(state, path)
    file = TorchFile(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(Refusal, match="layer.0.weight of .* could not be read"):
        file.read("layer.0.weight")


def test_without_torch_the_failure_says_what_to_install(path, state, monkeypatch):
    torch.save(state, path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Failure, match="needs PyTorch") as caught:
        TorchFile(path)
    assert caught.value.try_next == "pip install 'gedanken[torch]'"


def test_fingerprint_sees_one_changed_value_and_not_the_name(path, tmp_path):
    state = {"w": torch.zeros(1000, 300)}
    torch.save(state, path)
    before = TorchFile(path).fingerprint()
    shutil.copy(path, tmp_path / "copy.bin")
    assert TorchFile(tmp_path / "copy.bin").fingerprint() == before
    state["w"][123, 45] = 1
    torch.save(state, path)
    assert TorchFile(path).fingerprint() != before


@pytest.mark.parametrize(
    ("package", "relative"),
    [
        ("sceptr", "sceptr/_model_saves/SCEPTR_large/state_dict.pt"),
        ("rxnmapper", "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k/pytorch_model.bin"),
    ],
)
def test_real_weights_equal_torch(real_file, package, relative):
    path = real_file(package, relative)
    file = TorchFile(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    assert set(file.tensors) == set(state)
    for name, tensor in state.items():
        if tensor.is_floating_point():
            np.testing.assert_array_equal(file.read(name), tensor.numpy())
