"""The commands as a person types them: output, JSON, one sentence for every failure, exit codes."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from gedanken.cli import main

LAYERS, D, RANK = 2, 32, 4


def weights(seed=0):
    rng = np.random.default_rng(seed)
    names = [f"model.layers.{i}.self_attn.{p}_proj.weight" for i in range(LAYERS) for p in "qkvo"]
    return {name: rng.standard_normal((D, D)).astype(np.float32) for name in names}


@pytest.fixture
def model(tmp_path):
    return saved(tmp_path / "toy", weights())


def saved(folder, tensors):
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    return str(folder)


@pytest.fixture
def gedanken(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gedanken", *map(str, words)])
        code = 0
        try:
            main.run()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_scan_then_list_show_query_export_rename_delete(gedanken, model, tmp_path):
    code, out, _ = gedanken("scan", model)
    assert code == 0 and "toy: " in out and "report: lab/report.html" in out
    assert (tmp_path / "lab" / "report.html").stat().st_size > 100_000
    _, out, _ = gedanken("runs", "list", "--json")
    (run,) = json.loads(out)
    assert run["run"] == "toy" and run["sites"] == 8 and run["values"] > 100
    _, out, _ = gedanken("runs", "show", "toy")
    assert "fingerprint" not in out and "stable_rank" in out and "source" in out
    _, out, _ = gedanken("query", "SELECT count(*) AS n FROM measurements WHERE variable = 'stable_rank'", "--json")
    assert json.loads(out) == [{"n": 8}]
    code, out, _ = gedanken("runs", "export", "toy", "--out", "toy.csv")
    assert code == 0 and pl.read_csv("toy.csv").height == run["values"] + run["refused"]
    assert gedanken("runs", "rename", "toy", "bear")[0] == 0
    assert gedanken("runs", "delete", "bear")[0] == 0
    assert json.loads(gedanken("runs", "list", "--json")[1]) == []


def test_scan_says_what_it_would_do_and_writes_nothing(gedanken, model, tmp_path):
    code, out, _ = gedanken("scan", model, "--dry-run")
    assert code == 0 and "8 sites" in out and "core-seconds" in out and "W_Q" in out
    assert not (tmp_path / "lab").exists()


def test_scan_in_json_says_what_was_done(gedanken, model):
    code, out, err = gedanken("scan", model, "--json", "--no-report", "--site", "*.W_Q", "--instrument", "stable_rank")
    (found,) = json.loads(out)
    assert code == 0 and err == "" and found["values"] == 4 and found["refused"] == 0 and found["failures"] == []


def test_quiet_is_quiet(gedanken, model):
    assert gedanken("scan", model, "--quiet") == (0, "", "")


def test_a_second_scan_says_that_nothing_was_left_to_do(gedanken, model):
    gedanken("scan", model, "--no-report")
    assert "already in lab/" in gedanken("scan", model, "--no-report")[1]


def test_compare_finds_a_planted_low_rank_change(gedanken, model, tmp_path):
    rng = np.random.default_rng(5)
    tuned = weights()
    target = "model.layers.1.self_attn.v_proj.weight"
    tuned[target] = tuned[target] + (rng.standard_normal((D, RANK)) @ rng.standard_normal((RANK, D))).astype(np.float32)
    after = saved(tmp_path / "tuned", tuned)
    code, out, _ = gedanken("compare", model, after, "--json", "--no-report")
    (found,) = json.loads(out)
    assert code == 0 and found["change"] == "tuned − toy" and found["unshared"] == []
    assert {row["site"] for row in found["changes"]} == {"layers.1.attn.W_V"}
    _, out, _ = gedanken(
        "query",
        "SELECT site, value FROM measurements WHERE run = 'tuned − toy' AND variable = 'energy_effective_rank'",
        "--json",
    )
    (row,) = [row for row in json.loads(out) if row["value"] is not None]
    assert row["site"] == "layers.1.attn.W_V" and 1 < row["value"] < RANK + 0.01
    code, out, _ = gedanken("compare", model, after)
    assert code == 0 and "overlap by chance" in out and "largest changes" in out


def test_instruments_list_show_check(gedanken, tmp_path):
    _, out, _ = gedanken("instruments", "list", "--json")
    names = {row["instrument"] for row in json.loads(out)}
    assert {"stable_rank", "tail_exponent", "cosine_edge", "subspace_overlap"} <= names
    _, out, _ = gedanken("instruments", "show", "alpha")
    assert "# tail_exponent" in out and "**Null.**" in out
    _, out, _ = gedanken("instruments", "show", "stable_rank", "--json")
    assert json.loads(out)[0]["symmetries"] == ["rotation", "scale", "sign", "transpose"]
    import gedanken.instruments.spectrum.stable_rank as module

    assert gedanken("instruments", "check", module.__file__)[0] == 0
    bad = tmp_path / "bad_rank.py"
    bad.write_text(Path(module.__file__).read_text().replace("(values / values[0]) ** 2", "values ** 2"))
    code, out, _ = gedanken("instruments", "check", bad)
    assert code == 1 and "FAIL" in out


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["scan", "nowhere"], "nowhere"),
        (["scan", "."], "weights"),
        (["runs", "show", "ghost"], "no run 'ghost'"),
        (["runs", "delete", "ghost"], "no run 'ghost'"),
        (["query", "SELEC x"], "not understood"),
        (["query", "SELECT nothing FROM measurements"], "nothing"),
        (["instruments", "show", "stable_rnk"], "did you mean stable_rank"),
        (["report"], "no measurements"),
        (["compare", "toy", "toy"], "no change to measure"),
    ],
)
def test_a_failure_is_one_sentence_and_exit_code_1(gedanken, model, words, sentence):
    code, out, err = gedanken(*words)
    assert code == 1 and out == "" and "Traceback" not in err
    assert sentence in err
    assert len([line for line in err.splitlines() if not line.startswith("  try:")]) == 1


@pytest.mark.parametrize(
    "words", [["scan"], ["scan", "x", "--no-such-option"], ["measure"], ["scan", "x", "--threads", "0"]]
)
def test_wrong_usage_is_exit_code_2(gedanken, words):
    assert gedanken(*words)[0] == 2


def test_version(gedanken):
    assert gedanken("--version")[1].strip() == "0.1.0"
