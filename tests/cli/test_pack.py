"""gedanken pack: a packing into a lab, once; what makes no sense is a sentence."""

import json

import pytest
from typer.testing import CliRunner

from gedanken.cli.main import app
from gedanken.measurements.store import Lab
from gedanken.status import Failure


def pack(lab, *more):
    return CliRunner().invoke(app, ["pack", "--lab", str(lab), "--evaluations", "60", "--threads", "1", *more])


def test_a_grid_is_packed_measured_and_shown(tmp_path):
    result = pack(tmp_path, "--d", "4", "--d", "8", "--k", "5", "--k", "12", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [(row["d"], row["k"]) for row in rows] == [(4, 5), (4, 12), (8, 5), (8, 12)]
    assert rows[0]["least"] == 0.25 and rows[2]["least"] == 0.0
    assert all(row["welch"] <= row["epsilon"] + 1e-6 and row["epsilon"] < row["random"] for row in rows)
    lab = Lab(tmp_path)
    assert lab.runs.collect().height == 4
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    again = pack(tmp_path, "--d", "4", "--d", "8", "--k", "5", "--k", "12", "--json")
    assert json.loads(again.stdout) == rows  # nothing is done twice
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == before


def test_both_recipes_are_kept_apart(tmp_path):
    for recipe in ("published", "better"):
        assert pack(tmp_path, "--d", "4", "--k", "12", "--recipe", recipe).exit_code == 0
    settings = [json.loads(told) for told in Lab(tmp_path).runs.collect()["configuration"]]
    assert sorted((told["loss"], told["p"]) for told in settings) == [("plain", 20), ("scale_free", 40)]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--d", "4", "--k", "1"], "at least two vectors"),
        (["--d", "0", "--k", "4"], "at least one coordinate"),
        (["--d", "4", "--k", "8", "--p", "1"], "from 2 to 1000"),
        (["--d", "4", "--k", "8", "--recipe", "best"], "no recipe"),
        (["--d", "4", "--k", "8", "--device", "abacus"], "abacus"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(tmp_path, wrong, sentence):
    failure = pack(tmp_path, *wrong).exception
    assert isinstance(failure, Failure) and sentence in failure.sentence
    assert not list(tmp_path.rglob("*.npy"))  # nothing was begun
