"""A scan of a running model: rows with addresses, null runs beside it, resumed after a kill, nothing lost to one bad place."""

import numpy as np
import polars as pl
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForCausalLM

from gedanken.captures import running as running_captures
from gedanken.cli.main import app
from gedanken.experiment import loop
from gedanken.experiment.preview import preview
from gedanken.experiment.scan import plan_for, scan, scan_plan, sources_of
from gedanken.instruments.stream.parallel_edge import ParallelEdge
from gedanken.measurements.store import Lab
from gedanken.status import Failure

TEXT = ["".join(f"Sentence {i} of document {j}, which says {i * j}.\n" for i in range(60)) for j in range(24)]
FEW = ("stable_rank", "participation_ratio", "loss", "polarization", "norm_profile")
SIZE = {"prompts": 20, "context": 32}


def llama(layers: int = 2):
    with torch.random.fork_rng():
        torch.random.manual_seed(5)
        config = LlamaConfig(
            vocab_size=256, hidden_size=16, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=24,
            max_position_embeddings=64,
        )  # fmt: skip
        return LlamaForCausalLM(config)


@pytest.fixture
def folder(tmp_path):
    llama().save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def table(lab, *columns):
    wanted = columns or ("run", "site", "variable", "setting", "value", "stderr", "status")
    return sorted(lab.measurements.select(*wanted).collect().rows(), key=repr)


def test_a_scan_measures_over_depth(folder, tmp_path):
    lab = Lab(tmp_path / "lab")
    told = []
    outcome = scan(folder, lab, text=TEXT, running=SIZE, instruments=FEW, progress=lambda *at: told.append(at))
    assert outcome.tasks and not outcome.failures
    rows = lab.measurements.collect()
    assert rows["run"].unique().to_list() == ["tiny+given"]
    sites = set(rows.filter(pl.col("variable") == "stable_rank")["site"])
    parts = ("attn.attn_out", "resid.resid_mid", "mlp.mlp_out", "resid.resid_post")
    assert sites == {"layers.0.resid.resid_pre", *(f"layers.{i}.{part}" for i in (0, 1) for part in parts)}
    loss = rows.filter(pl.col("variable") == "loss")
    # A model that knows nothing of 256 bytes: ln 256 and a little.
    assert loss["value"].item() == pytest.approx(np.log(256), abs=0.1) and loss["site"].item() == "unembed.surprisal"
    bits = rows.filter(pl.col("variable") == "bits_per_byte")["value"].item()
    assert bits == pytest.approx(loss["value"].item() / np.log(2), rel=1e-12)
    assert told == sorted(told) and told[-1][0] == pytest.approx(told[-1][1])
    assert len({total for _, total in told}) == 1
    (run,) = lab.runs.collect().to_dicts()
    assert run["text_hash"] and run["tokenizer_hash"] == "bytes256" and run["null_of"] is None


def test_what_is_kept_is_let_go(folder, tmp_path):
    scan(folder, Lab(tmp_path / "lab"), text=TEXT, running=SIZE, instruments=FEW)
    assert not running_captures._latest


def test_weights_and_activations_stand_side_by_side(folder, tmp_path):
    lab = Lab(tmp_path / "lab")
    scan(folder, lab, instruments=FEW)
    weights = table(lab)
    scan(folder, lab, text=TEXT, running=SIZE, instruments=FEW)
    assert [row for row in table(lab) if row[0] == "tiny"] == weights and len(table(lab)) > len(weights)


def test_nulls_are_run_too(folder, tmp_path):
    lab = Lab(tmp_path / "lab")
    scan(folder, lab, text=TEXT, running=SIZE, instruments=FEW, nulls=True)
    runs = lab.runs.select("run", "null_of").collect()
    assert runs.filter(pl.col("null_of") == "tiny+given").height == 5 and runs.height == 6
    counts = lab.measurements.group_by("run").len().collect()
    assert counts["len"].n_unique() == 1 and counts.height == 6
    bits = lab.measurements.filter((pl.col("variable") == "bits_per_byte") & (pl.col("run") == "tiny+given~unigram"))
    assert bits.collect()["flags"].to_list() == [["no_bytes"]]


def test_null_runs_are_not_shuffled_and_draw_the_primary_edges_of_random_weights(folder):
    plan = scan_plan(instruments=["parallel_edge", "hoyer_sparsity"], nulls=True, draws=7)
    assert plan.shuffles == 7
    edges = {}
    for source in sources_of(folder, TEXT, nulls=True, **SIZE):
        own = plan_for(source, plan)
        edges[source.options.null] = [i.fields for i in own.instruments if isinstance(i, ParallelEdge)]
        assert own.shuffles == (0 if source.null_of else 7)
    assert len(edges[""]) == 4 and edges["random"] == [ParallelEdge().fields]
    assert edges["shuffled"] == edges["unigram"] == []
    assert ParallelEdge() in scan_plan(nulls=True).instruments and ParallelEdge() not in scan_plan().instruments


def test_what_speaks_of_token_tables_is_not_asked_of_activations(folder, tmp_path):
    names = ("packing_capacity", "welch_bound", "vocabulary_budget", "greedy_guarantee", "cosine_edge_by_token_id")
    lab = Lab(tmp_path / "lab")
    scan(folder, lab, instruments=(*names, "polarization"))
    scan(folder, lab, text=TEXT, running=SIZE, instruments=(*names, "polarization"))
    found = lab.measurements.select("run", "variable").unique().collect().rows()
    assert {variable for run, variable in found if run == "tiny+given"} == {"polarization", "anisotropy"}
    assert len({variable for run, variable in found if run == "tiny"}) > len(names)


def test_settings_of_an_instrument_are_chosen_by_field():
    plan = scan_plan(instruments=["parallel_edge:kind=block_shift", "loss"])
    assert plan.instruments[:2] == (ParallelEdge(), ParallelEdge(half=True)) and len(plan.instruments) == 3
    with pytest.raises(Failure, match="parallel_edge:kind=sign_flip"):
        scan_plan(instruments=["parallel_edge:kind=none"])


def test_a_second_scan_runs_nothing(folder, tmp_path, monkeypatch):
    lab = Lab(tmp_path / "lab")
    first = scan(folder, lab, text=TEXT, running=SIZE, instruments=FEW)
    before = table(lab)
    monkeypatch.setattr("gedanken.captures.forward.run_forward", None)
    second = scan(folder, lab, text=TEXT, running=SIZE, instruments=FEW)
    assert second.tasks == 0 and second.already_done == first.tasks and table(lab) == before


def test_a_killed_scan_is_finished_by_the_next(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("gedanken.experiment.plan.TASK_SITES", 3)
    whole, lab = Lab(tmp_path / "whole"), Lab(tmp_path / "lab")
    scan(folder, whole, text=TEXT, running=SIZE, instruments=FEW)
    real, calls = loop.measure, []

    def dying(*args, **kwargs):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(loop, "measure", dying)
    with pytest.raises(KeyboardInterrupt):
        scan(folder, lab, text=TEXT, running=SIZE, instruments=FEW, threads=1)
    monkeypatch.setattr(loop, "measure", real)
    outcome = scan(folder, lab, text=TEXT, running=SIZE, instruments=FEW)
    assert 0 < outcome.already_done < len(calls) and outcome.tasks and table(lab) == table(whole)


def test_sites_are_chosen_before_anything_is_kept(folder, tmp_path):
    lab = Lab(tmp_path / "lab")
    scan(folder, lab, text=TEXT, running=SIZE, instruments=["stable_rank"], sites=["*.mlp_out"])
    assert set(lab.measurements.collect()["site"]) == {"layers.0.mlp.mlp_out", "layers.1.mlp.mlp_out"}


def test_nan_in_one_layer_leaves_the_others(tmp_path):
    model = llama(3)
    with torch.no_grad():
        model.model.layers[2].mlp.down_proj.weight[0] = torch.nan
    lab = Lab(tmp_path / "lab")
    scan(model, lab, text=TEXT, running=SIZE, instruments=["stable_rank", "loss"], run_name="ill")
    status = {(row[0], row[1]): row[2] for row in table(lab, "site", "variable", "status")}
    ranks = {site: state for (site, variable), state in status.items() if variable == "stable_rank"}
    assert {site for site, state in ranks.items() if state == "refused"} == {
        "layers.2.mlp.mlp_out", "layers.2.resid.resid_post",
    }  # fmt: skip
    assert status["unembed.surprisal", "loss"] == "refused"


def test_a_masked_model_is_measured_but_for_its_loss(tmp_path):
    config = BertConfig(
        vocab_size=256, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24
    )
    lab = Lab(tmp_path / "lab")
    scan(BertForMaskedLM(config), lab, text=TEXT, running=SIZE, instruments=FEW)
    flags = dict(lab.measurements.filter(pl.col("status") == "refused").select("variable", "flags").collect().rows())
    assert flags["loss"] == ["not_causal"] and "stable_rank" not in flags


def test_a_ladder_is_run_rung_by_rung(tmp_path):
    for step in (10, 200):
        llama().save_pretrained(tmp_path / f"step-{step}")
    (tmp_path / "step-3000").mkdir()
    lab = Lab(tmp_path / "lab")
    outcome = scan(str(tmp_path / "step-*"), lab, text=TEXT, running=SIZE, instruments=["loss"])
    assert sorted(lab.measurements.filter(pl.col("variable") == "loss").collect()["step"]) == [10, 200]
    assert len(outcome.failures) == 1 and "step 3000" in outcome.failures[0]


def test_without_memory_a_sentence_stands_in_the_outcome(folder, tmp_path, monkeypatch):
    def forward(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(LlamaForCausalLM, "forward", forward)
    outcome = scan(folder, Lab(tmp_path / "lab"), text=TEXT, running=SIZE, instruments=["loss"])
    assert outcome.tasks == 0 and "not enough memory for one prompt" in outcome.failures[0]


def test_all_instruments_read_what_a_model_shows(folder, tmp_path):
    """Every value has a null or says why not, and every refusal a reason."""
    lab = Lab(tmp_path / "lab")
    outcome = scan(folder, lab, text=TEXT, running=SIZE, draws=5)
    assert not outcome.failures and outcome.values > 100
    refused = lab.measurements.filter(pl.col("status") == "refused").collect()
    assert refused["flags"].list.len().min() > 0
    kinds = set(lab.sites.collect()["kind"])
    assert kinds == {"stream", "moments", "trajectory", "surprisal", "ensemble"}
    # What only sums are kept of is read as a spectrum and refused by nothing for want of points.
    mid = lab.measurements.filter(pl.col("site").str.ends_with("resid_mid")).collect()
    assert mid.filter(pl.col("status") == "ok").height > mid.height / 3


def test_the_preview_tells_the_cost_of_the_passes(folder):
    (source,) = sources_of(folder, TEXT, **SIZE)
    found = preview(source, scan_plan(instruments=FEW))
    parts = {row["part"] for row in found.rows}
    assert {
        "resid_pre",
        "resid_mid",
        "resid_post",
        "attn_out",
        "mlp_out",
        "unembed.surprisal",
        "forward passes",
    } <= parts


def test_the_command(folder, tmp_path):
    from typer.testing import CliRunner

    (tmp_path / "text.txt").write_text("".join(TEXT))
    call = ["scan", str(folder), "--text", str(tmp_path / "text.txt"), "--lab", str(tmp_path / "lab")]
    call += ["--prompts", "8", "--context", "32", "--no-report", "--instrument", "loss"]
    found = CliRunner().invoke(app, call)
    assert found.exit_code == 0, found.output
    assert "tiny+text" in found.output
    again = CliRunner().invoke(app, [*call, "--context", "65"])
    assert again.exit_code == 1 and "longer than the 64" in str(again.output) + str(again.exception)
