"""The bridge on tiny models: simulations against dense ones, what is kept, and what is refused."""

import json

import numpy as np
import polars as pl
import pytest
import torch
import transformers as tf

from gedanken.analysis.bridge import CONTROLS, MODES, NULL, RUNGS, VIEWS, bridge_pictures, bridges
from gedanken.experiment.bridge import _Ladder, _particle_step, bridge
from gedanken.experiment.bridge_readings import compared, looks, readings
from gedanken.interventions.replay import Replay
from gedanken.measurements.store import Lab
from gedanken.report.data import collect
from gedanken.report.export import export
from gedanken.report.panels import panels
from gedanken.sources.particles.flow import normalised
from gedanken.sources.running import RunningSource
from gedanken.status import Failure
from gedanken.studies import catalogue

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
FAMILIES = {
    "albert": lambda: tf.AlbertForMaskedLM(tf.AlbertConfig(**SMALL, embedding_size=8)),
    "bert": lambda: tf.BertForMaskedLM(tf.BertConfig(**SMALL)),
    "one head": lambda: tf.AlbertForMaskedLM(tf.AlbertConfig(**SMALL | {"num_attention_heads": 1}, embedding_size=8)),
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**SMALL, num_key_value_heads=1, head_dim=8)),
}


def source(family: str, change=None) -> RunningSource:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = FAMILIES[family]().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.15 * torch.randn_like(parameter))
            if change:
                change(model)
    rng = np.random.default_rng(0)
    return RunningSource.of(model, [rng.integers(3, 50, 9) for _ in range(4)], run=family)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["albert", "bert", "llama"])
def test_every_rung_and_control_is_there_and_kept(family, tmp_path):
    lab = Lab(tmp_path)
    found = bridge(source(family), lab, iterate=9 if family == "albert" else 0)
    assert found.replay_error == 0.0
    controls = set(CONTROLS) - ({"other_layer"} if family == "albert" else set())
    rungs = set(RUNGS) - ({"attention_unbiased"} if family == "llama" else set())  # it has no biases
    assert set(found.distance) == {
        (n, mode, view) for n in {*rungs, *controls, NULL} for mode in MODES for view in VIEWS
    }
    assert all(len(by) == 4 and (by > 0).all() for by in found.distance.values())
    for view in VIEWS:
        (kept,) = bridges(lab, view=view)
        assert kept.run == f"bridge-{family}" and kept.replay_error == 0.0
        for key, by_prompt in kept.distance.items():
            np.testing.assert_array_equal(found.distance[*key, view], by_prompt)
    measured = lab.measurements.filter(pl.col("variable") == "anisotropy").collect()
    assert measured["site"].to_list() == [
        "layers.0.resid.resid_pre",
        *(f"layers.{i}.resid.resid_post" for i in range(3)),
    ]
    pictures = bridge_pictures(lab)
    drawn = pictures.filter(pl.col("picture") == "bridge_anisotropy")
    assert {"bridge_arc_distance_trimmed", "bridge_arc_distance_centred_forced"} <= set(pictures["picture"])
    by = {label: part for (label,), part in drawn.partition_by("label", as_dict=True).items()}
    np.testing.assert_allclose(by["measured"]["y"], measured["value"])
    # whole blocks, applied one after the other, are the model
    np.testing.assert_array_equal(by["whole block"]["y"][:4], by["measured"]["y"])
    assert by["attention alone"]["time"].max() == (9 if family == "albert" else 3)
    told = json.loads(lab.runs.collect()["configuration"][0])
    assert len(told["layers"]) == 3 and told["norm"] == ("pre" if family == "llama" else "post")
    assert len(told["trimmed"]) == 4


def test_attention_with_scalar_matrices_is_the_particle_system():
    """A post-norm layer whose heads are one, whose B and V are numbers times the identity and whose MLP is silent:
    the particles of every β are the model itself."""

    def scalar(model):
        layer = model.albert.encoder.albert_layer_groups[0].albert_layers[0]
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.zero_()
        for norm in (layer.attention.LayerNorm, layer.full_layer_layer_norm):
            norm.weight.fill_(1.0)
        model.albert.embeddings.LayerNorm.weight.fill_(1.0)
        # tokens without a mean, as a norm leaves them, from the first on
        into = model.albert.encoder.embedding_hidden_mapping_in.weight
        into -= into.mean(dim=0)
        layer.attention.query.weight.copy_(0.4 * torch.eye(16))
        layer.attention.key.weight.copy_(0.4 * torch.eye(16))
        layer.attention.value.weight.copy_(0.7 * torch.eye(16))
        layer.attention.dense.weight.copy_(torch.eye(16))
        layer.ffn_output.weight.zero_()

    made = source("one head", scalar)
    running = next(iter(made.snapshots())).state
    replay = Replay(running.load(), running.model.config)
    ladder = _Ladder(replay, None, next(iter(made.models.snapshots())).state, 3)
    ladder.look(running.prompts.tokens)
    states = replay.record(running.prompts.tokens[0])
    assert [facts.value for facts in ladder.facts] == pytest.approx([0.7] * 3, rel=1e-6)
    for name, flows in ladder._flows.items():
        step = _particle_step(flows, replay.norm)
        # what enters the first layer has other norms than √d, and particles have one
        for layer in (1, 2):
            moved = normalised(step(layer, states[layer]))
            # float32 beside float64, and the norm's epsilon
            np.testing.assert_allclose(moved, normalised(states[layer + 1]), atol=1e-5, err_msg=name)
    found = bridge(made).distance
    for rung in ("attention", "attention_symmetric"):  # B is a number times the identity
        assert found[rung, "forced", "whole"].max() < 1e-6


def test_views_take_away_the_mean_token_and_heavy_coordinates():
    """Tokens with a common part along the first coordinate and large noise along the second."""
    rng = np.random.default_rng(0)
    small = rng.standard_normal((4, 40, 30))
    states = small + np.eye(30)[0] * 50 + np.eye(30)[1] * 20 * rng.standard_normal((4, 40, 1))
    whole, centred, trimmed = looks([states[:2], states[2:]])
    assert [np.flatnonzero(heavy).tolist() for heavy in trimmed.heavy] == [[1], [1]]
    kept = np.delete(small + np.eye(30)[0] * 50, 1, axis=2)[0]
    wanted = kept / np.linalg.norm(kept, axis=1, keepdims=True)
    np.testing.assert_allclose(trimmed(states[0], 7), wanted, atol=1e-14)  # beyond the last place: the last's
    assert np.abs(centred(states[0], 0).mean(axis=0)).max() < 0.2 < whole(states[0], 0).mean(axis=0)[0]
    moved = {0: states[0], 1: states[1] + np.eye(30)[1] * 99}
    assert compared(moved, states[:2], whole)["arc_distance"][1] > 0.5
    assert compared(moved, states[:2], trimmed)["arc_distance"] == pytest.approx([0, 0], abs=1e-7)
    alike = rng.choice([-1.0, 1.0], (2, 4, 40, 30))
    assert [look.view for look in looks(alike)] == ["whole", "centred"]
    # what a collapse leaves has no direction about its mean
    collapsed = readings({0: np.ones((5, 4))}, centred)
    assert np.isnan(collapsed["polarization"]).all()
    same = {0: np.ones((5, 4))}
    assert compared(same, [np.ones((5, 4))], centred)["arc_distance"] == pytest.approx([np.pi / 2])


def test_a_replay_that_is_not_the_model_is_refused(tmp_path, monkeypatch):
    original = Replay.step
    monkeypatch.setattr(Replay, "step", lambda *args, **kw: original(*args, **kw) + 0.01)
    lab = Lab(tmp_path)
    found = bridge(source("bert"), lab)
    assert found.replay_error > 1e-4 and not found.distance
    (row,) = catalogue.get("metastable_clustering").judge(lab, claims=["MC18"])
    assert (row["verdict"], row["reason"]) == ("not_testable", "refused")


def test_a_model_that_is_training_is_run_as_if_it_were_not():
    made = source("bert")
    model = next(iter(made.snapshots())).state.model.module
    model.train()
    assert bridge(made).replay_error == 0.0 and model.training


def test_only_a_shared_layer_is_iterated():
    with pytest.raises(Failure, match="shared by all passes"):
        bridge(source("bert"), iterate=9)


@pytest.mark.slow
def test_the_study_and_the_page_show_it(tmp_path):
    lab = Lab(tmp_path)
    bridge(source("albert"), lab, iterate=9)
    rows = catalogue.get("metastable_clustering").judge(lab, claims=["MC18"])
    assert len(rows) == len(RUNGS) * len(MODES)
    assert {row["part"] for row in rows} == {f"bridge-albert: {rung}, {mode}" for rung in RUNGS for mode in MODES}
    assert "bridge" in [panel.id for panel in panels(collect(lab))]
    text = export(lab, "bridge", tmp_path / "bridge.svg", "light", run="bridge-albert").read_text()
    assert text.startswith("<svg") and "NaN" not in text and text.count("<path") > 20
