"""gedanken train: a run from the command line, gone on with, measured, and every mistake a sentence."""

import json

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from gedanken.cli import train_view
from gedanken.cli.main import app
from gedanken.measurements.store import Lab
from gedanken.sources.training import TrainingSource, preset
from gedanken.status import Failure

SMALL = ["--preset", "smoke", "--steps", "30", "--threads", "1", "--set", "layers=2", "--set", "task=copy"]


def run(*arguments: str):
    return CliRunner().invoke(app, ["train", *arguments], catch_exceptions=False)


def failure(*arguments: str) -> str:
    with pytest.raises(Failure) as told:
        run(*arguments)
    return f"{told.value.sentence} try: {told.value.try_next}"


def test_a_run_is_trained_measured_and_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*SMALL, "--every", "10", "--gradients-every", "15", "--no-report", "--json")
    about = json.loads(result.stdout)[0]
    assert about["run"] == "smoke-gpt2-0" and about["step"] == 30 and 0 < about["validation_loss"] < 10
    assert (tmp_path / "runs/smoke-gpt2-0/step-000030/model.safetensors").exists()
    lab = Lab("lab")
    steps = lab.steps.filter(pl.col("run") == "smoke-gpt2-0").sort("step").collect()
    assert steps["step"].to_list() == [0, 10, 20, 30]
    assert steps["tokens"].to_list() == [0, 5120, 10240, 15360]
    assert steps["loss"].is_null().to_list() == [True, False, False, False]
    ranks = lab.measurements.filter((pl.col("variable") == "stable_rank") & (pl.col("run") == "smoke-gpt2-0")).collect()
    assert len(ranks) == 4 * (2 + 2 * 6)
    assert {"smoke-gpt2-0 gradients", "smoke-gpt2-0 updates"} <= set(lab.runs.collect()["run"])
    described = lab.runs.filter(pl.col("run") == "smoke-gpt2-0").collect().to_dicts()[0]
    assert json.loads(described["configuration"])["preset"] == "smoke" and described["source"] == "training"


def test_a_run_is_gone_on_with_by_its_folder_alone(tmp_path):
    out = str(tmp_path / "x")
    source = TrainingSource(preset("smoke", task="copy", layers=2, steps=30, threads=1), out=out, checkpoint_every=10)
    whole = [update.loss for update in source.updates()]
    for step in (20, 30):
        folder = tmp_path / "x" / f"step-{step:06d}"
        if folder.exists():
            (folder / "trainer_state.json").write_text("")
    result = run("--resume", "--out", out, "--no-measure", "--json")
    assert json.loads(result.stdout)[0]["step"] == 30
    lines = [json.loads(line) for line in (tmp_path / "x/history.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines if "loss" in line] == whole
    assert "step 30 is damaged" in result.stderr and "step 20 is damaged" in result.stderr


def test_a_control_run_says_of_which(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(*SMALL, "--control", "frozen", "--every", "15", "--gradients-every", "0", "--no-report", "--quiet")
    lab = Lab("lab")
    row = lab.runs.collect().to_dicts()[0]
    assert row["run"] == "smoke-gpt2-0-frozen" and row["null_of"] == "smoke-gpt2-0"
    values = lab.measurements.filter(pl.col("variable") == "stable_rank").collect()
    assert (values.group_by("site").agg(pl.col("value").n_unique())["value"] == 1).all()


def test_a_dry_run_trains_nothing_and_says_what_it_would_cost(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = json.loads(run("--preset", "cpu8", "--dry-run", "--json", "--threads", "1").stdout)[0]
    assert found["parameters in matrices"] == 12 * 8 * 128**2 + 2048 * 128
    assert found["tokens"] == 1_024_000 and found["snapshots"] == 41 and 0 < found["minutes"] < 120
    # 6 N a token, and attention: 12 · 8 · 128 · 128.
    assert found["operations"] == 1_024_000 * (6 * found["parameters in matrices"] + 12 * 8 * 128 * 128)
    assert not list(tmp_path.iterdir())
    assert "unknown: there is no cuda here" in run("--preset", "D8", "--dry-run").stdout


def test_a_file_of_fields(tmp_path):
    (tmp_path / "x.toml").write_text('preset = "smoke"\nlayers = 3\nheads = 2\n')
    found = run("--config", str(tmp_path / "x.toml"), "--set", "heads=8", "--dry-run", "--json")
    recipe = json.loads(found.stdout)[0]["recipe"]
    assert (recipe["preset"], recipe["layers"], recipe["heads"], recipe["context"]) == ("smoke", 3, 8, 64)


@pytest.mark.parametrize(
    "arguments, sentences",
    [
        (["--set", "learning_rte=1"], ["no field 'learning_rte'", "try: learning_rate"]),
        (["--preset", "cpu7"], ["no preset 'cpu7'"]),
        (["--preset", "D8"], ["trains on a GPU, and there is none here"]),
        (["--preset", "smoke", "--text", "nowhere.txt"], ["no text nowhere.txt"]),
        (["--resume", "--out", "nowhere"], ["nowhere holds no training run"]),
        ([*SMALL, "--init", "nowhere"], ["nowhere/model.safetensors could not be read"]),
    ],
)
def test_mistakes_are_sentences(arguments, sentences, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = failure(*arguments)
    assert all(sentence in said for sentence in sentences), said


def test_the_view_says_where_the_run_stands():
    source = TrainingSource(preset("smoke", task="copy", layers=3, steps=20, threads=1))
    shown = train_view.View(source)
    for update in source.updates():
        shown.update(update)
        if update.step == 10:
            assert "step 10 of 20   loss 5." in shown.line and "tokens/s   about" in shown.line
    for step in range(0, 1000, 10):
        values = {
            f"stable_rank/layers.{layer}.attn.W_{p}": 30.0 - layer * step / 1000 for layer in range(3) for p in "QK"
        }
        shown.values(step, values | {"stable_rank/embed.W_E": 1.0, "rank_exponent/layers.0.attn.W_Q": 0.1})
    console = Console(width=80, record=True, file=open("/dev/null", "w"))
    with console.file:
        console.print(train_view.render(shown))
    text = console.export_text()
    assert "stable rank  28 – 30" in text
    rows = [line for line in text.splitlines() if "█" in line]
    assert len(rows) == 3 and rows[2].split()[0] == "2" and rows[2].split()[2] == "28"
    assert rows[2].count("█") == train_view.COLUMNS and rows[0].count("█") == 2 * train_view.COLUMNS
    assert max(map(len, text.splitlines())) <= 80
