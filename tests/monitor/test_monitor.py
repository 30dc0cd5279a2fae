"""A monitored run says what a scan of its checkpoints says, and leaves the training as it was."""

import logging

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from safetensors.torch import save_file
from threadpoolctl import threadpool_info

import gedanken as gd
from gedanken.monitor.monitor import SPECTRA
from gedanken.status import Failure

ADDRESS = ["step", "site", "variable", "setting"]


def of(table: pl.LazyFrame, run: str) -> pl.DataFrame:
    return table.filter(pl.col("run") == run).drop("run", "fingerprint").sort(*ADDRESS).collect()


def test_the_rows_of_a_checkpoint_are_those_of_its_scan(models, small, tmp_path):
    lab, folder = gd.Lab(tmp_path / "lab"), tmp_path / "checkpoints"
    folder.mkdir()

    def save(step):
        if step % 2 == 0:
            save_file({name: t.clone() for name, t in small.state_dict().items()}, folder / f"step{step}.safetensors")

    with gd.Monitor(lab, "live", every=2, gradients_every=0, updates_every=0) as monitor:
        models.train(small, monitor, 4, save=save)
    gd.scan(f"{folder}/step*.safetensors", lab, run_name="saved", instruments=SPECTRA)
    for table in ("measurements", "curves", "nulls"):
        live, saved = of(lab.table(table), "live"), of(lab.table(table), "saved")
        assert saved.height > 0
        # The same floats through the same code: not one bit differs.
        assert_frame_equal(live.filter(pl.col("step") > 0), saved, check_exact=True)
    sites = lab.sites.filter(pl.col("kind") != "skipped", pl.col("step") == 4).collect()
    live, saved = (set(sites.filter(pl.col("run") == run)["site"]) for run in ("live", "saved"))
    assert live == saved and "layers.1.mlp.W_gate" in live


def test_a_scan_of_the_live_model_finds_everything_done(models, small, tmp_path):
    lab = gd.Lab(tmp_path)
    with gd.Monitor(lab, "run", every=5, gradients_every=0, updates_every=0) as monitor:
        monitor(small, 0)
    source = gd.open_model(small, run="run")
    fingerprint = lab.steps.filter(pl.col("step") == 0).collect()["fingerprint"][0]
    assert next(source.snapshots()).fingerprint == fingerprint


def test_steps_carry_tokens_loss_and_rate(models, small, tmp_path):
    lab = gd.Lab(tmp_path)
    with gd.Monitor(lab, "run", every=2, gradients_every=0, updates_every=0) as monitor:
        models.train(small, monitor, 4)
    rows = lab.steps.sort("step").collect()
    assert rows["step"].to_list() == [0, 2, 4] and rows["tokens"].to_list() == [0, 136, 272]
    assert rows["loss"][0] is None and 1 < rows["loss"][2] < 100
    assert rows["learning_rate"].to_list() == [None, 3e-3, 3e-3]


def test_gradients_and_updates_are_runs_of_their_own(models, small, tmp_path):
    lab = gd.Lab(tmp_path)
    matrix = small.model.layers[0].self_attn.q_proj.weight
    seen = {}

    def save(step):
        if step == 4:
            seen["gradient"], seen["after"] = matrix.grad.clone(), matrix.detach().clone()

    before = matrix.detach().clone()
    with gd.Monitor(lab, "run", every=4, gradients_every=4, updates_every=4) as monitor:
        models.train(small, monitor, 4, save=save)
    for run, expected in (("run gradients", seen["gradient"]), ("run updates", seen["after"] - before)):
        rows = lab.measurements.filter(
            pl.col("run") == run, pl.col("site") == "layers.0.attn.W_Q", pl.col("variable") == "frobenius_norm"
        ).collect()
        assert rows["step"].to_list() == [4]
        # float32 differences of float32 weights, summed in float64
        assert rows["value"][0] == pytest.approx(float(torch.linalg.norm(expected.double())), rel=1e-6)
    assert sorted(lab.runs.collect()["run"]) == ["run", "run gradients", "run updates"]


def test_what_is_not_kept_for_updates_is_refused_rows(models, small, tmp_path):
    lab = gd.Lab(tmp_path)
    bytes_of_embedding = 64 * 32 * 4
    with gd.Monitor(lab, "run", every=2, gradients_every=0, updates_every=2, kept_bytes=bytes_of_embedding) as monitor:
        models.train(small, monitor, 2)
    rows = lab.measurements.filter(pl.col("run") == "run updates", pl.col("variable") == "stable_rank").collect()
    assert set(rows.filter(pl.col("status") == "ok")["site"]) == {"embed.W_E"}
    refused = rows.filter(pl.col("status") == "refused")
    assert refused.height == 14 and set(refused["flags"].explode()) == {"out_of_memory"}


def test_norms_have_a_clock_of_their_own(models, small, tmp_path):
    lab = gd.Lab(tmp_path)
    with gd.Monitor(lab, "run", every=1, spectra_every=4, gradients_every=0, updates_every=0) as monitor:
        models.train(small, monitor, 4)
    steps = lab.measurements.group_by("variable").agg(pl.col("step").unique().sort()).collect()
    found = dict(steps.iter_rows())
    assert found["stable_rank"] == [0, 4] and found["entry_std"] == [1, 2, 3]


def test_the_spectra_are_in_the_lab(small, tmp_path):
    lab = gd.Lab(tmp_path)
    with gd.Monitor(lab, "run") as monitor:
        monitor(small, 0)
    row = lab.curves.filter(pl.col("site") == "layers.1.mlp.W_out").collect().row(0, named=True)
    matrix = small.model.layers[1].mlp.down_proj.weight.detach().double().numpy()
    # 24 binary digits are kept, and the Gram matrix resolves σ₁√(r·eps), about 1e-7 of the largest
    np.testing.assert_allclose(row["y"], np.linalg.svd(matrix, compute_uv=False), rtol=1e-7, atol=1e-7)
    assert row["variable"] == "singular_values" and row["x"] == list(range(1, 33))


def test_training_is_the_same_with_and_without_a_monitor(models, tmp_path):
    def trained(monitor):
        torch.manual_seed(1)
        model = models.Small()
        models.train(model, monitor, 3)
        return model.model.layers[0].self_attn.q_proj.weight.detach()

    before = torch.get_num_threads(), [pool["num_threads"] for pool in threadpool_info()]
    with gd.Monitor(tmp_path, "run", every=1, gradients_every=1, updates_every=1) as monitor:
        watched = trained(monitor)
    assert torch.equal(watched, trained(lambda *args, **kwargs: None))
    assert (torch.get_num_threads(), [pool["num_threads"] for pool in threadpool_info()]) == before


def test_a_resumed_run_measures_only_what_is_new(models, small, tmp_path):
    lab = gd.Lab(tmp_path)
    with gd.Monitor(lab, "run", every=1, gradients_every=0, updates_every=0) as monitor:
        monitor(small, 0)
    with gd.Monitor(lab, "run", every=1, gradients_every=0, updates_every=0) as monitor:
        monitor(small, 0)
        assert not monitor._flying and lab.measurements.select(pl.len()).collect().item() > 0
        before = lab.measurements.select(pl.len()).collect().item()
        monitor(small, 1)
    assert lab.measurements.select(pl.len()).collect().item() == 2 * before


def test_last_step_is_measured_on_request_and_only_once(small, tmp_path):
    lab = gd.Lab(tmp_path)
    with gd.Monitor(lab, "run", every=10, gradients_every=0, updates_every=0) as monitor:
        assert monitor(small, 3) == []
        monitor(small, 7, now=True)
    assert lab.steps.collect()["step"].to_list() == [7]


def test_cleared_gradients_are_said(small, tmp_path, caplog):
    with gd.Monitor(tmp_path, "run", every=10, gradients_every=10, updates_every=0) as monitor:
        with caplog.at_level(logging.WARNING, "gedanken"):
            monitor(small, 10)
            assert not caplog.text  # the start, or where a run is gone on with: no gradient stands yet
            monitor(small, 20)
    assert "before zero_grad()" in caplog.text


def test_a_lab_that_cannot_be_written_does_not_stop_training(small, tmp_path, caplog, monkeypatch):
    lab = gd.Lab(tmp_path / "lab")
    monitor = gd.Monitor(lab, "run", every=1, gradients_every=0, updates_every=0)
    monitor(small, 0)
    real = gd.Lab._replace

    def full(self, name, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gd.Lab, "_replace", full)
    with caplog.at_level(logging.WARNING, "gedanken"):
        monitor(small, 1)
        monitor._writer._thread.submit(int).result()
    assert "No space left on device" in caplog.text and "Training goes on" in caplog.text
    monkeypatch.setattr(gd.Lab, "_replace", real)
    monitor(small, 2)
    monitor.close()
    assert lab.steps.sort("step").collect()["step"].to_list() == [0, 1, 2]


def test_rows_wait_in_memory_until_there_is_room(small, tmp_path, monkeypatch, caplog):
    """However many: more than a queue of any size, and also after a `close` that found no room."""
    lab = gd.Lab(tmp_path)
    monitor = gd.Monitor(lab, "run", every=1, sites=["embed*"], gradients_every=0, updates_every=0)
    monitor(small, 0)
    monitor._writer.flush()

    def full(self, name, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(gd.Lab, "_replace", full)
        for step in range(1, 301):
            monitor(small, step)
        with pytest.raises(Failure, match="No space left"):
            monitor.state_dict()
        with pytest.raises(Failure, match="No space left.*waits in memory"):
            monitor.close()
    assert caplog.text.count("Training goes on") == 1
    monitor.close()
    assert lab.steps.select("step").collect()["step"].sort().to_list() == list(range(301))


def test_what_stopped_the_loop_is_told_before_a_full_disk(small, tmp_path, monkeypatch, caplog):
    def full(self, name, content):
        raise OSError(28, "No space left on device")

    with pytest.raises(ZeroDivisionError), gd.Monitor(tmp_path, "run", every=1, gradients_every=0) as monitor:
        monitor(small, 0)
        monitor._writer.flush()
        monkeypatch.setattr(gd.Lab, "_replace", full)
        monitor(small, 1)
        raise ZeroDivisionError
    assert "No space left on device" in caplog.text


def test_the_change_of_weights_goes_on_over_restarts(models, tmp_path):
    """Restarted where a ΔW has just been measured, and twice before the next is due."""

    def trained(lab, restarts):
        torch.manual_seed(0)
        model = models.Small()

        def begun(state, step):
            monitor = gd.Monitor(lab, "run", every=4, gradients_every=0, updates_every=4)
            monitor.load_state_dict(state)
            monitor(model, step)
            return monitor

        monitor = begun({}, 0)
        for step in range(1, 9):
            with torch.no_grad():
                model.model.layers[0].mlp.up_proj.weight.mul_(1.1)
            monitor(model, step)
            if step in restarts:
                monitor = begun(monitor.state_dict(), step)
        monitor.close()
        return of(lab.measurements, "run updates")

    expected = trained(gd.Lab(tmp_path / "whole"), ())
    assert expected["step"].unique().sort().to_list() == [4, 8]
    assert_frame_equal(trained(gd.Lab(tmp_path / "restarted"), (4, 6, 7)), expected, check_exact=True)


def test_alarms_go_on_over_a_restart(models, small, tmp_path):
    """Three successive snapshots with a collapsed matrix, the first two seen by another process."""
    lab = gd.Lab(tmp_path)
    with torch.no_grad():
        small.model.layers[0].mlp.up_proj.weight.add_(1.0)
    raised = []
    for step in range(4):
        with gd.Monitor(lab, "run", every=1, gradients_every=0, updates_every=0) as monitor:
            raised.append([alarm["alarm"] for alarm in monitor(small, step)])
    assert raised == [[], [], ["rank_collapse"], []]


def test_only_modules_are_watched(tmp_path):
    with pytest.raises(Failure, match=r"watches an nn\.Module, not a dict"):
        gd.Monitor(tmp_path, "run")({"w": np.eye(3)}, 0)


def test_rows_go_to_sinks_whose_errors_cost_nothing(models, small, tmp_path, caplog):
    taken = []

    def broken(step, values):
        raise RuntimeError("the tracker is away")

    with caplog.at_level(logging.WARNING, "gedanken"):
        with gd.Monitor(
            tmp_path, "run", every=2, gradients_every=2, sinks=[lambda *row: taken.append(row), broken]
        ) as m:
            models.train(small, m, 2)
    steps = [step for step, _ in taken]
    assert steps == [0, 2, 2]
    assert taken[0][1]["stable_rank/layers.0.attn.W_Q"] > 1
    assert "gradients/stable_rank/layers.0.attn.W_Q" in taken[2][1]
    assert "the tracker is away" in caplog.text
