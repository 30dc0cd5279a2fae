"""open_model: what may be called a model, default names, and sentences for what is none."""

from pathlib import Path

import numpy as np
import pytest

from gedanken.sources import hub
from gedanken.sources.base import Source
from gedanken.sources.models import default_name, open_model
from gedanken.status import Failure


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pythia-tiny").mkdir()
    np.savez(tmp_path / "pythia-tiny" / "model.npz", w=np.ones((2, 3), np.float32))
    return tmp_path


def test_a_folder_and_its_file_are_the_same_model(folder):
    for path in ("pythia-tiny", folder / "pythia-tiny" / "model.npz"):
        source = open_model(path)
        assert isinstance(source, Source) and source.run == "pythia-tiny"
        (snapshot,) = source.snapshots()
        assert (snapshot.run, snapshot.step) == ("pythia-tiny", None)
        assert [str(piece.site) for piece in snapshot.state.pieces] == ["other.w"]
        assert source.describe()["source"] == str(path)
    assert open_model("pythia-tiny", run="mine").run == "mine"


def test_arrays_and_modules():
    assert open_model({"w": np.ones((2, 2))}).run == "arrays"
    torch = pytest.importorskip("torch")
    source = open_model(torch.nn.Sequential(torch.nn.Linear(2, 3)))
    assert source.run == "Sequential"
    assert [(str(p.site), p.rows, p.cols) for p in source.checkpoint.pieces] == [("other.0.weight", 3, 2)]


def test_a_live_transformers_model_brings_its_configuration():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=9
    )
    source = open_model(transformers.BertModel(config))
    assert (source.run, source.checkpoint.architecture, source.checkpoint.heads.heads) == ("BertModel", "bert", 2)
    assert source.describe()["architecture"] == "bert"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/SmolLM2-135M.Q4_1.gguf", "SmolLM2-135M.Q4_1"),
        ("minilm/model/model.safetensors", "minilm"),
        ("minilm/model.safetensors.index.json", "minilm"),
        ("big/model-00001-of-00002.safetensors", "big"),
        ("SCEPTR_large/state_dict.pt", "SCEPTR_large"),
        ("weights/en.npz", "en"),
        ("run/checkpoint-500", "checkpoint-500"),
    ],
)
def test_default_names_say_more_than_model(path, name):
    assert default_name(Path(path)) == name


@pytest.mark.parametrize("missing", ["pythia-tyni", "./pythia-tyni", "pythia-tyni/model.npz"])
def test_a_missing_path_is_a_sentence_with_the_nearest_names(folder, missing):
    with pytest.raises(Failure, match="no file or folder") as failure:
        open_model(missing)
    assert failure.value.try_next == "pythia-tiny"


def test_what_may_be_a_hub_id_is_asked_of_the_hub(folder, monkeypatch):
    asked = []

    def fetch(address):
        asked.append(str(address))
        return folder / "pythia-tiny", "c" * 40

    monkeypatch.setattr(hub, "fetch", fetch)
    sources = [open_model("org/name"), open_model("org/name@step5"), open_model("org/name", revision="step5")]
    assert asked == ["org/name", "org/name@step5", "org/name@step5"]
    assert [source.run for source in sources] == ["name", "name@step5", "name@step5"]
    assert sources[0].describe()["revision"] == "c" * 40


def test_inside_an_existing_folder_a_missing_path_is_no_hub_id(folder):
    with pytest.raises(Failure, match="no file or folder") as failure:
        open_model("pythia-tiny/modle.npz")
    assert failure.value.try_next == "pythia-tiny/model.npz"


def test_a_pattern_that_matches_nothing_is_a_sentence(folder):
    with pytest.raises(Failure, match="No file or folder matches"):
        open_model("pythia-*/step*")


def test_anything_else_is_a_sentence():
    with pytest.raises(Failure, match="not a int"):
        open_model(3)
