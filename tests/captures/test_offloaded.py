"""Models beyond one device: weights that accelerate keeps in memory or on disk, and loads while a part of the model runs."""

from dataclasses import is_dataclass

import numpy as np
import pytest
import torch
from accelerate import cpu_offload, disk_offload
from running_models import model, prompts
from transformers import AutoModelForCausalLM

from gedanken.captures.of import captures_of
from gedanken.kinds import Kind
from gedanken.sources.models import open_model
from gedanken.sources.runnable import Stored
from gedanken.sources.running import Options, Running, RunningSource
from gedanken.sources.tensor_files.arrays import Arrays
from gedanken.status import Failure, Flag, Refusal

HOST = torch.device("cpu")
LAYER_ON_DISK = {
    "model.embed_tokens": "disk",
    "model.layers.0": "cpu",
    "model.layers.1": "disk",
    "model.layers.2": "cpu",
    "model.norm": "cpu",
    "model.rotary_emb": "cpu",
    "lm_head": "cpu",
}
KINDS = frozenset({Kind.stream, Kind.moments, Kind.trajectory, Kind.ensemble, Kind.surprisal, Kind.heated_loss})


@pytest.fixture
def folder(tmp_path):
    model("llama").save_pretrained(tmp_path / "stored")
    return tmp_path / "stored"


PLACED = {
    "all in memory": lambda folder: cpu_offload(model("llama"), execution_device=HOST),
    "all on disk": lambda folder: disk_offload(model("llama"), str(folder / "weights"), execution_device=HOST),
    "some on disk": lambda folder: AutoModelForCausalLM.from_pretrained(folder, device_map=LAYER_ON_DISK),
}


def numbers(value) -> list[np.ndarray]:
    """Every number of an object, whatever it is made of."""
    if is_dataclass(value):
        value = list(vars(value).values())
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [number for part in value for number in numbers(part)]
    return [np.asarray(value, float)] if isinstance(value, np.ndarray | float | int) else []


def seen(running: RunningSource) -> dict:
    (snapshot,) = running.snapshots()
    return {(c.kind, str(c.site)): numbers(c.read()) for c in captures_of(snapshot, kinds=KINDS)}


def check_equal(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys() and len({kind for kind, _ in found}) >= 5
    for key, arrays in expected.items():
        assert len(found[key]) == len(arrays) > 0
        for one, other in zip(found[key], arrays, strict=True):
            # The same kernels on the same float32 numbers, which a memory-mapped file may align in another way.
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * np.abs(other).max(initial=0), err_msg=str(key))


@pytest.mark.parametrize("place", PLACED)
def test_passes_are_those_of_the_model_in_one_piece(folder, place):
    placed = PLACED[place](folder)
    assert any(parameter.device.type == "meta" for parameter in placed.parameters())
    check_equal(*(seen(RunningSource.of(m, prompts(8))) for m in (placed, model("llama"))))


@pytest.mark.parametrize("room", [{"cpu": 20_000}, {"cpu": 0}])
def test_auto_puts_on_disk_what_memory_does_not_hold(folder, monkeypatch, room):
    monkeypatch.setattr("transformers.integrations.accelerate.get_max_memory", lambda *_: room)
    spread = Stored.at(folder).load("auto", "float32")
    devices = {parameter.device.type for parameter in spread.parameters()}
    assert "meta" in devices
    check_equal(*(seen(RunningSource.of(folder, prompts(8), device=device)) for device in ("auto", "cpu")))


@pytest.mark.parametrize("place", PLACED)
def test_weights_are_read_from_where_they_are_kept(folder, place):
    models = PLACED[place](folder), model("llama")
    assert len({Arrays.of_module(m).fingerprint() for m in models}) == 1
    snapshots = (next(open_model(m).snapshots()) for m in models)
    found, expected = ({str(c.site): c for c in captures_of(s, kinds={Kind.matrix})} for s in snapshots)
    assert found.keys() == expected.keys() and len(found) > 20
    for site, capture in expected.items():
        np.testing.assert_array_equal(found[site].read(), capture.read())


def test_weights_whose_file_is_gone_are_refused(folder):
    placed = PLACED["all on disk"](folder)
    (snapshot,) = open_model(placed).snapshots()
    for file in (folder / "weights").glob("*.dat"):
        file.unlink()
    with pytest.raises(Refusal) as refusal:
        captures_of(snapshot, kinds={Kind.matrix})[0].read()
    assert refusal.value.flag == Flag.unreadable


@pytest.mark.parametrize("place", PLACED)
def test_a_random_twin_is_made_where_tokens_go(folder, place):
    placed = RunningSource.of(PLACED[place](folder), prompts(8))
    twin = next(null for null in placed.nulls() if null.options.null == "random")
    (snapshot,) = twin.snapshots()
    assert all(parameter.device == HOST for parameter in snapshot.state.load().parameters())


@pytest.mark.parametrize("device", ["auto", "balanced"])
def test_the_twin_of_a_model_spread_over_devices_is_in_one_piece(folder, device):
    running = Running(Stored.at(folder), prompts(8), Options(device=device, null="random"))
    assert all(parameter.device == HOST for parameter in running.load().parameters())


def test_without_accelerate_a_sentence_says_how_to_get_it(folder, monkeypatch):
    for name in ("transformers.modeling_utils", "transformers.integrations.accelerate"):
        monkeypatch.setattr(f"{name}.is_accelerate_available", lambda *_: False)
    with pytest.raises(Failure, match="pip install .?accelerate"):
        Stored.at(folder).load("auto", "float32")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_a_device_that_is_not_there_is_a_sentence(folder):
    for null in ("", "random"):
        with pytest.raises(Failure, match="could not be loaded"):
            Running(Stored.at(folder), prompts(8), Options(device="cuda", null=null)).load()
