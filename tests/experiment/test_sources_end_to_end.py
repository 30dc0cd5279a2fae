"""Every kind of source through the whole house: ladders, adapters, live modules, broken checkpoints."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import save_file

from gedanken.experiment.scan import compare, scan
from gedanken.measurements.store import Lab
from gedanken.measurements.views import flat, overview, to_pandas, to_xarray, weightwatcher
from gedanken.sources.models import open_model
from gedanken.status import Failure

D = 32
NAME = "model.layers.{}.self_attn.{}_proj.weight"


def weights(seed=0, growth=0.0):
    rng = np.random.default_rng(seed)
    spike = np.outer(rng.standard_normal(D), rng.standard_normal(D))
    return {
        NAME.format(i, p): (rng.standard_normal((D, D)) + growth * spike).astype(np.float32)
        for i in range(2)
        for p in "qkvo"
    }


@pytest.fixture
def ladder(tmp_path):
    for step in (0, 20, 100):
        (tmp_path / "run" / f"step{step}").mkdir(parents=True)
        save_file(weights(growth=step / 20), tmp_path / "run" / f"step{step}" / "model.safetensors")
    return tmp_path / "run"


def stable_ranks(lab):
    rows = lab.measurements.filter(pl.col("variable") == "stable_rank").collect()
    return rows.group_by("step").agg(pl.col("value").median()).sort("step").rows()


def test_a_ladder_is_one_run_with_a_step_axis(ladder, tmp_path):
    lab = Lab(tmp_path / "lab")
    outcome = scan(str(ladder / "step*"), lab, instruments=["stable_rank"])
    assert not outcome.failures
    ranks = stable_ranks(lab)
    assert [step for step, _ in ranks] == [0, 20, 100]
    # A growing rank-one term takes over the spectrum.
    assert ranks[0][1] > ranks[1][1] > ranks[2][1]
    (run,) = overview(lab).to_dicts()
    assert run["snapshots"] == 3


def test_one_broken_rung_does_not_lose_the_others(ladder, tmp_path):
    (ladder / "step20" / "model.safetensors").write_bytes(b"\xff" * 40)
    lab = Lab(tmp_path / "lab")
    outcome = scan(str(ladder / "step*"), lab, instruments=["stable_rank"])
    assert len(outcome.failures) == 1 and "step20" in outcome.failures[0]
    assert [step for step, _ in stable_ranks(lab)] == [0, 100]
    save_file(weights(growth=1.0), ladder / "step20" / "model.safetensors")
    again = scan(str(ladder / "step*"), lab, instruments=["stable_rank"])
    assert again.already_done > 0 and [step for step, _ in stable_ranks(lab)] == [0, 20, 100]


def test_views_for_other_libraries(ladder, tmp_path):
    lab = Lab(tmp_path / "lab")
    scan(str(ladder / "step*"), lab, instruments=["stable_rank", "tail_exponent", "marchenko_pastur"])
    array = to_xarray(lab, "stable_rank")
    assert array.dims == ("run", "step", "site") and array.shape == (1, 3, 8) and not array.isnull().any()
    frame = to_pandas(lab)
    assert len(frame) == flat(lab).height and {"value", "null_median", "layer", "part"} <= set(frame.columns)
    table = weightwatcher(lab, overview(lab)["run"][0])
    assert {"alpha", "alpha_weighted", "D", "xmin", "log_alpha_norm", "N", "M", "longname"} <= set(table.columns)
    assert table.height == 24
    with pytest.raises(Failure, match="no nonsense"):
        to_xarray(lab, "nonsense")


def test_an_adapter_is_its_own_change_and_is_never_formed(tmp_path):
    rank, rng = 4, np.random.default_rng(1)
    (tmp_path / "base").mkdir()
    save_file(weights(), tmp_path / "base" / "model.safetensors")
    (tmp_path / "adapter").mkdir()
    prefix = "base_model.model." + NAME.format(1, "q").removesuffix(".weight")
    a, b = rng.standard_normal((rank, D)).astype(np.float32), rng.standard_normal((D, rank)).astype(np.float32)
    save_file(
        {f"{prefix}.lora_A.weight": a, f"{prefix}.lora_B.weight": b}, tmp_path / "adapter" / "adapter_model.safetensors"
    )
    about = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": 8,
        "base_model_name_or_path": "base",
        "target_modules": ["q_proj"],
    }
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(about))
    lab = Lab(tmp_path / "lab")
    found = compare(str(tmp_path / "base"), str(tmp_path / "adapter"), lab)
    assert not found.both_measured
    rows = lab.measurements.filter(pl.col("run") == found.change).collect()
    assert rows["site"].unique().to_list() == ["layers.1.attn.W_Q"]
    sigma = np.linalg.svd(2.0 * b.astype(float) @ a, compute_uv=False)
    norm = rows.filter(pl.col("variable") == "spectral_norm")["value"].item()
    assert norm == pytest.approx(sigma[0], rel=1e-6)


def test_comparing_shows_every_change_and_chance_overlap(tmp_path):
    rng = np.random.default_rng(2)
    base = weights()
    tuned = {
        name: tensor + 1e-3 * rng.standard_normal(tensor.shape).astype(np.float32) for name, tensor in base.items()
    }
    lab = Lab(tmp_path / "lab")
    found = compare(
        base_source(base, "base"), base_source(tuned, "tuned"), lab, instruments=["subspace_overlap", "relative_change"]
    )
    rows = lab.measurements.filter(pl.col("run") == found.change).collect()
    values = {name: rows.filter(pl.col("variable") == name)["value"].median() for name in rows["variable"].unique()}
    assert values["left_overlap"] > 0.99 and values["relative_change"] == pytest.approx(1e-3, rel=0.1)
    # A random change moves along the leading directions no more than chance, 8/32, lets it.
    assert abs(values["change_left_overlap"] - 8 / D) < 0.1


def base_source(tensors, name):
    return open_model(tensors, run=name)


def test_one_model_with_itself_is_a_sentence(tmp_path):
    with pytest.raises(Failure, match="no change to measure"):
        compare(base_source(weights(), "a"), base_source(weights(), "b"), Lab(tmp_path / "lab"))


def test_a_live_module_gives_what_its_file_gives(tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=D,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=90,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(tmp_path / "saved")
    lab = Lab(tmp_path / "lab")
    scan(model, lab, run_name="live", instruments=["stable_rank"])
    scan(str(tmp_path / "saved"), lab, run_name="file", instruments=["stable_rank"])
    rows = lab.measurements.sort("site").collect().partition_by("run", as_dict=True)
    live, file = rows["live",], rows["file",]
    assert live["site"].to_list() == file["site"].to_list()
    assert np.allclose(live["value"], file["value"], rtol=1e-12)
