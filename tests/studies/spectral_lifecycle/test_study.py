"""From training runs to verdicts and pictures: units are formed by configuration, controls found, the page drawn."""

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from gedanken.analysis.lifecycle_pictures import lifecycle_pictures
from gedanken.cli.main import app
from gedanken.measurements.store import Lab
from gedanken.report.build import render
from gedanken.status import Failure
from gedanken.studies import catalogue
from gedanken.studies.spectral_lifecycle.arms import arms
from gedanken.studies.spectral_lifecycle.evidence import gather
from gedanken.studies.spectral_lifecycle.units import EVERY

LAYERS, STEPS = 4, 150
TINY = ["--preset", "cpu8", "--set", "task=copy", "--set", f"layers={LAYERS}", "--set", "width=32", "--set", "heads=2",
        "--set", "vocabulary=64", "--set", "context=32", "--steps", str(STEPS), "--threads", "1", "--gradients-every", "50",
        "--no-report", "-q"]  # fmt: skip
STUDY = catalogue.get("spectral_lifecycle")


def train(folder, name, *options):
    arguments = ["train", *TINY, "--out", str(folder / name), "--lab", str(folder / "lab"), *options]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    for seed in range(3):
        train(folder, f"t-{seed}", "--seed", str(seed))
    train(folder, "t-0-frozen", "--control", "frozen")
    train(folder, "t-1-C1", "--seed", "1", "--arm", "C1", "--from", str(folder / "t-0" / f"step-{STEPS:06d}"))
    return folder


@pytest.fixture(scope="module")
def lab(folder):
    return Lab(folder / "lab")


@pytest.fixture(scope="module")
def evidence(lab):
    return gather(lab, tuple(lab.runs.collect()["run"]), STUDY.settings, None)


@pytest.mark.slow
def test_a_unit_is_a_configuration_with_its_seeds(evidence):
    (unit,) = evidence.units
    assert sorted(unit.runs) == ["t-0", "t-1", "t-2"]
    assert unit.alpha.shape == (3, 4, STEPS // EVERY + 1, LAYERS) and list(unit.steps) == list(
        range(0, STEPS + 1, EVERY)
    )
    assert set(unit.profiles) == {"all matrices over their null", "leading 10 %", "leading 30 %"}
    assert set(unit.controls) == {"frozen"}


def test_a_frozen_run_is_constant(evidence):
    frozen = evidence.units[0].controls["frozen"]
    # spectra are computed from the same numbers every time
    assert np.abs(frozen.u).max() == 0 and np.ptp(frozen.alpha, axis=2).max() == 0


def test_an_arm_is_no_unit_and_starts_from_trained_spectra(lab):
    found = {arm.name: arm for arm in arms(lab, lab.runs.collect()["run"].to_list())}
    assert set(found) == {"C0", "C1"}
    assert set(found["C0"].losses) == {0, 1, 2} and set(found["C1"].losses) == {1}
    first = lab.measurements.filter(pl.col("variable") == "stable_rank", pl.col("site").str.starts_with("layers"))
    values = {
        key: part["value"].to_list()
        for key, part in first.sort("site").collect().partition_by("run", "step", as_dict=True).items()
    }
    # the arm begins with the spectra that the other seed ended with, to the rounding of single precision
    assert values["t-1-C1", 0] == pytest.approx(values["t-0", STEPS], rel=1e-5)


@pytest.mark.slow
def test_every_claim_gets_a_verdict(lab):
    rows = STUDY.judge(lab)
    assert list(dict.fromkeys(row["claim"] for row in rows)) == [f"SL{i}" for i in range(1, 18)]
    STUDY.record(lab, rows)
    assert len(lab.verdicts.collect()) == len(rows)
    # one configuration of four layers supports no claim about depth
    assert {row["verdict"] for row in rows if not row["part"]} <= {"not_testable", "not_supported", "inconclusive"}


@pytest.mark.slow
def test_pictures_and_page(lab):
    found = lifecycle_pictures(lab, ["t-0", "t-0 gradients"])
    assert set(found["run"]) == {"t-0"}
    assert set(found["picture"]) == {"wave", "gradient", "parts_rank", "parts_shape", "fit_rank", "fit_shape"}
    cells = found.filter(pl.col("kind") == "cell")
    assert len(cells) == (STEPS // EVERY + 1) * LAYERS and cells.filter(pl.col("time") == 0)["y"].abs().max() == 0
    density = found.filter((pl.col("kind") == "density") & (pl.col("time") == STEPS) & (pl.col("group") == "W_Q")).sort(
        "x"
    )
    area = float((density["y"].to_numpy()[:-1] * np.diff(np.log(density["x"].to_numpy()))).sum())
    assert 0.8 < area <= 1.0 + 1e-6  # values far below the largest are off the picture
    page = render(lab)
    for panel in ("wave", "gradient", "asymmetry", "timescales"):
        assert f'id="{panel}"' in page
    assert len(page) < 10e6


def test_a_lab_without_anything_of_this_kind(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.record("runs", [{"run": "a", "source": "elsewhere"}])
    with pytest.raises(Failure, match="no finished training run"):
        STUDY.judge(lab)


def test_an_unfinished_run_is_named(folder, tmp_path):
    lab = Lab(tmp_path / "lab")
    whole = Lab(folder / "lab")
    for table in ("runs", "steps", "settings", "variables", "sites", "measurements", "nulls"):
        rows = whole.table(table).collect()
        if "step" in rows.columns:
            rows = rows.filter(pl.col("step") < STEPS)
        lab.write(table, rows.to_dicts(), "copied") if table in ("sites", "measurements", "nulls") else lab.record(
            table, rows.to_dicts()
        )
    with pytest.raises(Failure, match=f"stands at step 125 of {STEPS}: gedanken train --resume"):
        STUDY.judge(lab)
