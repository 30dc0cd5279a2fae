"""Pruning: the costs are those of cut models, a rerun measures nothing again, bad requests are sentences."""

import copy
import json

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig
from typer.testing import CliRunner

from gedanken.analysis.lifecycle_pictures import lifecycle_pictures
from gedanken.captures.loss import surprisal
from gedanken.cli.main import app
from gedanken.experiment import pruned_loss
from gedanken.experiment.prune import measured, prune
from gedanken.interventions import choose
from gedanken.interventions.cut import cut
from gedanken.measurements.store import Lab
from gedanken.status import Failure

LAYERS = 6


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = LlamaConfig(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=LAYERS,
                         num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=32)  # fmt: skip
    torch.random.manual_seed(0)
    found = AutoModelForCausalLM.from_config(config)
    folder = tmp_path_factory.mktemp("model")
    found.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tokens():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 40, 16) for _ in range(12)]


@pytest.fixture(scope="module")
def made(model, tokens, tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("lab"))
    return prune(model, tokens, lab, remove=(1, 2), greedy_to=2, importance=True), lab


def test_costs_are_those_of_cut_models(made, model, tokens):
    found, _ = made
    test = torch.tensor(np.stack(tokens[6:]))
    mask = torch.ones_like(test, dtype=torch.bool)
    whole = AutoModelForCausalLM.from_pretrained(model).eval()
    base = surprisal(whole, test, mask).double().mean()
    assert found.loss == pytest.approx(float(base), rel=1e-6)
    for cost in found.costs:
        twin = copy.deepcopy(whole)
        cut(twin, cost.removal.layers)
        expected = float(surprisal(twin, test, mask).double().mean() - base)
        # float32 rounding of one pass, which changes the loss of 3.7 nat in the seventh digit
        assert cost.loss[0] == pytest.approx(expected, abs=2e-6)
        assert cost.loss[1] <= cost.loss[0] <= cost.loss[2]
    assert {len(cost.removal.layers) for cost in found.importance} == {1}
    assert len(found.importance) == LAYERS


def test_greedy_takes_what_costs_least_on_the_other_half(made, model, tokens):
    found, _ = made
    chosen = {cost.removal.count: cost.removal.layers for cost in found.costs if cost.removal.by == "greedy"}
    calibration = torch.tensor(np.stack(tokens[:6]))
    mask = torch.ones_like(calibration, dtype=torch.bool)
    whole = AutoModelForCausalLM.from_pretrained(model).eval()

    def loss(removed):
        twin = copy.deepcopy(whole)
        cut(twin, removed)
        return float(surprisal(twin, calibration, mask).double().mean())

    assert chosen[1] == min(choose.without((), LAYERS), key=loss)
    assert chosen[2] == min(choose.without(chosen[1], LAYERS), key=loss)


def test_a_rerun_runs_no_model(made, model, tokens, monkeypatch):
    found, lab = made
    monkeypatch.setattr(pruned_loss.Skipper, "surprisals", lambda *_: pytest.fail("measured again"))
    again = prune(model, tokens, lab, remove=(1, 2), greedy_to=2, importance=True)
    assert again == found
    rows = measured(lab, found.run)
    assert set(rows["by"]) >= {"rank_exponent", "last", "random", "greedy"}
    assert rows.filter(rows["variable"] == "loss_increase")["low"].null_count() == 0


def test_costs_keep_the_documents_of_their_prompts(made):
    found, lab = made
    kept = lab.curves.filter(pl.col("variable") == pruned_loss.BY_PROMPT).collect()
    assert set(map(tuple, kept.filter(pl.col("n") == 6)["x"])) == {tuple(range(6)), tuple(range(6, 12))}
    assert {cost.documents for cost in found.costs} == {6}


def test_pictures_stand_at_both_runs(made):
    found, lab = made
    weights = lab.runs.filter(~pl.col("run").str.ends_with("-pruned")).collect()["run"].to_list()
    pictures = lifecycle_pictures(lab, [found.run, *weights])
    for picture in ("pruning", "importance"):
        shown = pictures.filter(pl.col("picture") == picture)
        assert set(shown["run"]) == {found.run, *weights}
    assert lifecycle_pictures(lab, [found.run]).filter(pl.col("run") != found.run).is_empty()


def test_what_cannot_be_pruned_is_a_sentence(model, tokens, tmp_path):
    with pytest.raises(Failure, match="6 layers has 4 that can be removed, not 5"):
        prune(model, tokens, tmp_path / "lab", by=("last",), remove=(5,))
    with pytest.raises(Failure, match="No rule is called luck"):
        prune(model, tokens, tmp_path / "lab", by=("luck",), remove=(1,))


def test_all_subsets_or_so_many():
    rng = np.random.default_rng(0)
    assert len(choose.subsets(12, 2, 500, rng)) == 45  # C(10, 2)
    drawn = choose.subsets(24, 4, 500, rng)
    assert len(set(drawn)) == 500
    assert all(0 < layer < 23 for layers in drawn for layer in layers)


def test_the_command_writes_a_model_that_loads(model, tmp_path):
    text = tmp_path / "text.txt"
    text.write_bytes(bytes(i % 40 for i in range(4000)))
    folder, lab = tmp_path / "cut", tmp_path / "lab"
    source = tmp_path / "bytes"
    config = LlamaConfig(vocab_size=256, hidden_size=16, intermediate_size=24, num_hidden_layers=LAYERS,
                         num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=32)  # fmt: skip
    torch.random.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(source)
    text.write_text("a short text that is long enough. " * 40)
    command = ["prune", str(source), "--remove", "2", "--out", str(folder), "--text", str(text), "--prompts", "8",
               "--context", "16", "--lab", str(lab), "--json"]  # fmt: skip
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)[0]
    assert len(told["removed"]) == 2
    assert 0 not in told["removed"]
    assert AutoModelForCausalLM.from_pretrained(folder).config.num_hidden_layers == LAYERS - 2
    assert {row["rule"] for row in told["costs"]} >= {"last", "last protected", "random 0"}
