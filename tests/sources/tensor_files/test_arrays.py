"""Arrays and live modules in memory."""

import pickle
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import torch

from gedanken.sources.tensor_files.arrays import Arrays, is_module
from gedanken.status import Failure, Flag, Refusal

DTYPES = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2, ">f4"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_arrays(rng, dtype):
    array = rng.normal(size=(5, 3)).astype(dtype)
    file = Arrays({"w": array})
    assert file.read("w").dtype == (np.float64 if dtype is np.float64 else np.float32)
    np.testing.assert_array_equal(file.read("w", 1, 4), array[1:4].astype(np.float64))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2])
def test_torch_tensors(dtype):
    tensor = torch.randn(5, 3, generator=torch.Generator().manual_seed(2)).to(dtype)
    file = Arrays({"w": tensor})
    assert file.tensors["w"].nbytes == tensor.nbytes
    np.testing.assert_array_equal(file.read("w", 1, 4), tensor[1:4].double().numpy())


def test_what_is_read_belongs_to_the_caller():
    arrays = {"n": np.ones(3, np.float32), "t": torch.ones(3)}
    file = Arrays(arrays)
    for name, array in arrays.items():
        file.read(name)[:] = 7
        assert array.sum() == 3


def test_a_live_module_is_read_as_training_leaves_it():
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    assert is_module(module) and not is_module({})
    file = Arrays.of_module(module)
    assert file.label == "Sequential"
    assert set(file.tensors) == set(module.state_dict())
    with torch.no_grad():
        module[0].weight.fill_(3)
    np.testing.assert_array_equal(file.read("0.weight"), np.full((2, 3), 3))
    with pytest.raises(Refusal) as caught:
        file.read("1.num_batches_tracked")
    assert caught.value.flag is Flag.not_floating


def test_wrappers_prefixes_are_taken_off():
    inner = torch.nn.Linear(2, 2)
    wrapped = torch.nn.Module()
    wrapped.module = torch.compile(inner, backend="eager")
    assert set(Arrays.of_module(wrapped).tensors) == {"weight", "bias"}
    assert set(Arrays({"a._orig_mod.w": np.ones(1), "module.w": np.ones(1)}).tensors) == {"a.w", "module.w"}
    assert set(Arrays({"model": {"module.w": np.ones(1)}}).tensors) == {"w"}


def test_names_that_would_collide_stay():
    names = {"a.w", "_orig_mod.a.w"}
    assert set(Arrays(dict.fromkeys(names, np.ones(1))).tensors) == names


def test_what_is_no_array_fails():
    with pytest.raises(Failure, match="cfg of arrays is a dict"):
        Arrays({"cfg": {}})
    with pytest.raises(Refusal) as caught:
        Arrays({"w": np.array([1j])}).read("w")
    assert caught.value.flag is Flag.undecodable


def test_fingerprint_follows_values_names_and_types(rng):
    array = rng.normal(size=(4, 5)).astype(np.float32)
    prints = [
        Arrays(arrays).fingerprint()
        for arrays in ({"w": array}, {"w": array + 1}, {"v": array}, {"w": array.astype(np.float64)}, {"w": array.T})
    ]
    assert len(set(prints)) == len(prints)
    assert Arrays({"w": torch.from_numpy(array.copy())}).fingerprint() == prints[0]
    assert pickle.loads(pickle.dumps(Arrays({"w": array}))).fingerprint() == prints[0]
    assert Arrays({"w": torch.empty(3, device="meta"), "s": np.array(1.5), "e": np.empty((0, 2))}).fingerprint()


def test_torch_is_not_imported():
    code = (
        "import sys, numpy; from gedanken.sources.tensor_files.open import open_tensor_file; "
        "from gedanken.sources.tensor_files.arrays import Arrays, is_module; "
        "Arrays({'w': numpy.ones(2)}).read('w'); is_module(3); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
