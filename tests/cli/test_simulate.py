"""gedanken simulate: a run into a lab, once; ensembles as one run; what makes no sense is a sentence."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from gedanken.cli.main import app
from gedanken.measurements.store import Lab
from gedanken.status import Failure


def simulate(lab, *more):
    return CliRunner().invoke(app, ["simulate", "--lab", str(lab), "--threads", "1", "--no-report", *more])


def test_a_simulation_is_measured_over_time_and_not_twice(tmp_path):
    given = ("--beta", "5", "--n", "120", "--model", "usa", "--saves", "8", "--run", "one", "--json")
    result = simulate(tmp_path, *given)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert row["tasks"] == 9 and row["values"] > 40
    lab = Lab(tmp_path)
    assert lab.steps.collect()["time"].n_unique() == 9
    assert {"point_angle", "mode_phase", "mode_power", "energy_staircase"} <= set(lab.curves.collect()["variable"])
    (again,) = json.loads(simulate(tmp_path, *given).stdout)
    assert (again["tasks"], again["already_done"]) == (0, 9)


def test_a_configuration_file_and_options_before_it(tmp_path):
    (tmp_path / "some.toml").write_text('run = "filed"\nparticles = 50\ndimension = 3\nend = 1.0\nsaves = 3\n')
    result = simulate(tmp_path / "lab", str(tmp_path / "some.toml"), "--n", "40", "--log-times", "--json")
    assert result.exit_code == 0, result.output
    (run,) = Lab(tmp_path / "lab").runs.collect().to_dicts()
    told = json.loads(run["configuration"])
    assert (run["run"], told["particles"], told["dimension"]) == ("filed", 40, 3)
    assert told["times"] == pytest.approx([1e-4, 1e-2, 1.0])


def test_an_ensemble_is_one_run(tmp_path):
    result = simulate(tmp_path, "--n", "100", "--seeds", "3", "--json", "--report")
    assert result.exit_code == 0, result.output
    assert [row["seed"] for row in json.loads(result.stdout)] == [0, 1, 2]
    assert Lab(tmp_path).members.collect()["run"].n_unique() == 1
    assert 'id="phases"' in (tmp_path / "report.html").read_text()


def test_the_cost_is_told_first(tmp_path):
    result = simulate(tmp_path / "lab", "--dry-run", "--json")
    (row,) = json.loads(result.stdout)
    assert row["velocities"] > 0 and not (tmp_path / "lab").exists()


def test_matrices_of_a_trained_layer(tmp_path):
    rng, model = np.random.default_rng(0), tmp_path / "model"
    model.mkdir()
    kinds = {
        "hidden_size": 8,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "num_hidden_layers": 1,
        "head_dim": 4,
    }
    (model / "config.json").write_text(json.dumps({"model_type": "llama", **kinds}))
    shapes = {"q_proj": (8, 8), "k_proj": (4, 8), "v_proj": (4, 8), "o_proj": (8, 8)}
    arrays = {f"model.layers.0.self_attn.{n}.weight": rng.standard_normal(s).astype("f4") for n, s in shapes.items()}
    save_file(arrays, model / "model.safetensors")
    result = simulate(
        tmp_path / "lab", "--weights", str(model), "--head", "1", "--n", "20", "--time", "0.1", "--saves", "2"
    )
    assert result.exit_code == 0, result.output
    (run,) = Lab(tmp_path / "lab").runs.collect().to_dicts()
    told = json.loads(run["configuration"])
    assert told["dimension"] == 8 and told["W_Q"].startswith("1 × 4 × 8") and told["W_V"].startswith("1 × 8 × 8")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (("--beta=-1",), "greater than or equal to 0"),
        (("--n", "1"), "greater than or equal to 2"),
        (("--set", "bta=1"), "no setting 'bta'"),
        (("--set", "causal=true"), "give --time"),
        (("--set", "method=rk4", "--set", "step=10.0"), "at most"),
        (("missing.toml",), "no file missing.toml"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(tmp_path, wrong, sentence):
    result = simulate(tmp_path, *wrong)
    assert isinstance(result.exception, Failure) and sentence in result.exception.sentence


def test_a_bridge_to_a_trained_model(tmp_path):
    tf = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = tf.AlbertConfig(**small, vocab_size=40, embedding_size=8)
    tf.AlbertForMaskedLM(config).save_pretrained(tmp_path / "tiny")
    result = simulate(
        tmp_path / "lab",
        "--bridge",
        str(tmp_path / "tiny"),
        "--prompts",
        "3",
        "--context",
        "6",
        "--iterate",
        "5",
        "--json",
    )
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert {"attention", "attention_symmetric", "particles_logit", "uniform"} <= {row["simulated"] for row in rows}
    assert all(min(row["arc_distance"], row["centred"], row["trimmed"]) > 0 for row in rows)
    assert {(row["run"], row["prompts"]) for row in rows} == {("bridge-tiny+random", 3)}
    assert max(Lab(tmp_path / "lab").curves.collect()["x"].list.max()) == 5


def test_a_bridge_needs_a_model_that_is_there(tmp_path):
    result = simulate(tmp_path / "lab", "--bridge", str(tmp_path / "none"))
    assert isinstance(result.exception, Failure)
