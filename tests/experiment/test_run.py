"""The loop: what is measured is right, resumed after any kill, safe beside another scan, and honest about bad tensors."""

import importlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from gedanken.experiment import loop
from gedanken.experiment.plan import DRAWS, split, standard_instruments
from gedanken.experiment.scan import scan, scan_plan
from gedanken.measurements.store import Lab
from gedanken.sources.models import open_model
from gedanken.status import Failure

FEW = ("stable_rank", "spectral_norm", "rank_exponent")


def model(seed=0, layers=3, d=48):
    rng = np.random.default_rng(seed)
    names = [f"layers.{i}.self_attn.{p}_proj.weight" for i in range(layers) for p in "qkvo"]
    tensors = {f"model.{name}": rng.standard_normal((d, d)).astype(np.float32) for name in names}
    return tensors | {"model.embed_tokens.weight": rng.standard_normal((100, d)).astype(np.float32)}


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / "model").mkdir()
    save_file(model(), tmp_path / "model" / "model.safetensors")
    return tmp_path / "model"


def table(lab, *columns):
    """Every measurement as a sorted list of rows."""
    wanted = columns or ("site", "variable", "setting", "value", "stderr", "status")
    rows = lab.measurements.select(*wanted).collect().rows()
    return sorted(rows, key=repr)


def test_values_are_those_of_a_plain_decomposition(tmp_path):
    tensors = model()
    lab = Lab(tmp_path / "lab")
    outcome = scan(tensors, lab, run_name="toy", instruments=FEW)
    assert outcome.refused == 0 and not outcome.failures
    rows = lab.measurements.filter(pl.col("variable") == "stable_rank").collect()
    assert rows.height == 13
    found = dict(zip(rows["site"], rows["value"], strict=True))
    for layer in range(3):
        for part in "qkvo":
            matrix = tensors[f"model.layers.{layer}.self_attn.{part}_proj.weight"].astype(float)
            sigma = np.linalg.svd(matrix, compute_uv=False)
            expected = np.sum(sigma**2) / sigma[0] ** 2
            assert found[f"layers.{layer}.attn.W_{part.upper()}"] == pytest.approx(expected, rel=1e-12)


def test_every_value_has_a_null_or_says_why_not(checkpoint, tmp_path):
    lab = Lab(tmp_path / "lab")
    scan(str(checkpoint), lab)
    address = ["site", "variable", "setting"]
    standing = lab.measurements.filter(pl.col("status") == "ok")
    excused = pl.col("flags").list.set_intersection(["no_null", "null_is_exact"]).list.len() > 0
    lonely = standing.filter(~excused).join(lab.nulls, on=address, how="anti").collect()
    assert lonely.height == 0, lonely
    refused = lab.measurements.filter(pl.col("status") == "refused").collect()
    assert refused["flags"].list.len().min() > 0 and refused["value"].null_count() == refused.height
    assert standing.select(pl.col("value").is_finite().all()).collect().item()


def test_a_second_scan_measures_nothing(checkpoint, tmp_path):
    lab = Lab(tmp_path / "lab")
    first = scan(str(checkpoint), lab, instruments=FEW)
    before = table(lab)
    second = scan(str(checkpoint), lab, instruments=FEW)
    assert first.tasks > 0 and second.tasks == 0 and second.already_done == first.tasks
    assert table(lab) == before


def test_other_parameters_are_other_measurements(checkpoint, tmp_path):
    lab = Lab(tmp_path / "lab")
    scan(str(checkpoint), lab, instruments=["rank_exponent"])
    settings = lab.measurements.select("setting").unique().collect().height
    again = scan(str(checkpoint), lab, instruments=["rank_exponent"], draws=10)
    assert settings == 2 and again.tasks > 0


def test_replaced_weights_in_the_same_folder_are_measured_again(checkpoint, tmp_path):
    lab = Lab(tmp_path / "lab")
    scan(str(checkpoint), lab, instruments=FEW)
    before = table(lab)
    save_file(model(seed=1), checkpoint / "model.safetensors")
    assert scan(str(checkpoint), lab, instruments=FEW).tasks > 0
    after = table(lab)
    assert len(after) == len(before) and after != before


def test_a_run_that_dies_half_way_is_finished_by_the_next(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("gedanken.experiment.plan.TASK_SITES", 2)
    whole = Lab(tmp_path / "whole")
    scan(str(checkpoint), whole, instruments=FEW)
    lab = Lab(tmp_path / "lab")
    real, calls = loop.measure, []

    def dying(*args, **kwargs):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(loop, "measure", dying)
    with pytest.raises(KeyboardInterrupt):
        scan(str(checkpoint), lab, instruments=FEW, threads=1)
    monkeypatch.setattr(loop, "measure", real)
    kept = len(lab.done())
    outcome = scan(str(checkpoint), lab, instruments=FEW)
    assert 0 < kept < 7 and outcome.already_done == kept and outcome.tasks == 7 - kept
    assert table(lab) == table(whole)


@pytest.mark.slow
def test_a_process_killed_at_any_moment_loses_nothing(checkpoint, tmp_path):
    command = [sys.executable, "-m", "gedanken", "scan", str(checkpoint), "--quiet", "--no-report", "--lab"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    whole = tmp_path / "whole"
    start = time.monotonic()
    subprocess.run([*command, str(whole)], check=True, env=environment)
    length = time.monotonic() - start
    moments = random.Random(7)
    for attempt in range(4):
        lab = tmp_path / f"lab{attempt}"
        victim = subprocess.Popen([*command, str(lab)], env=environment)
        time.sleep(length * moments.uniform(0.5, 1.0))
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        subprocess.run([*command, str(lab)], check=True, env=environment)
        assert table(Lab(lab)) == table(Lab(whole))


@pytest.mark.slow
def test_two_scans_of_one_model_at_once_agree(checkpoint, tmp_path):
    command = [sys.executable, "-m", "gedanken", "scan", str(checkpoint), "--quiet", "--no-report", "--lab"]
    alone, together = tmp_path / "alone", tmp_path / "together"
    subprocess.run([*command, str(alone)], check=True)
    both = [subprocess.Popen([*command, str(together)]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert table(Lab(together)) == table(Lab(alone))


@pytest.mark.parametrize("executor", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_any_executor_gives_the_same_rows(checkpoint, tmp_path, executor):
    own, other = Lab(tmp_path / "own"), Lab(tmp_path / "other")
    scan(str(checkpoint), own, instruments=FEW)
    # The children of a fork inherit the threads' locks of this process, so they are spawned.
    options = {"mp_context": multiprocessing.get_context("spawn")} if executor is ProcessPoolExecutor else {}
    with executor(2, **options) as pool:
        scan(str(checkpoint), other, instruments=FEW, executor=pool)
    assert table(own) == table(other)


@pytest.mark.parametrize("bad", ["nan", "inf", "zero", "integer", "empty", "row", "constant"])
def test_a_bad_tensor_is_refused_by_name_and_the_others_stand(tmp_path, bad):
    tensors = model(layers=1)
    name = "model.layers.0.self_attn.q_proj.weight"
    shape = tensors[name].shape
    tensors[name] = {
        "nan": np.full(shape, np.nan, np.float32),
        "inf": np.where(np.eye(shape[0]), np.inf, 1.0).astype(np.float32),
        "zero": np.zeros(shape, np.float32),
        "integer": np.ones(shape, np.int64),
        "empty": np.zeros((0, shape[1]), np.float32),
        "row": np.ones((1, shape[1]), np.float32),
        "constant": np.ones(shape, np.float32),
    }[bad]
    lab = Lab(tmp_path / "lab")
    outcome = scan(tensors, lab, run_name="toy")
    rows = lab.measurements.join(lab.sites, on="site").filter(pl.col("raw_name") == name).collect()
    others = lab.measurements.join(lab.sites, on="site").filter(pl.col("raw_name") != name).collect()
    assert outcome.refused > 0 and rows.filter(pl.col("status") == "refused").height > 0
    assert rows.filter(pl.col("status") == "ok")["value"].is_finite().all()
    assert others.filter(pl.col("variable") == "stable_rank")["status"].to_list() == ["ok"] * 4


def test_a_site_too_large_for_memory_is_refused_and_the_others_stand(tmp_path, monkeypatch):
    module = importlib.import_module("gedanken.experiment.measure")
    real = module.reduced

    def scarce(raw, *args, **kwargs):
        if len(raw) == 100:
            raise MemoryError
        return real(raw, *args, **kwargs)

    monkeypatch.setattr(module, "reduced", scarce)
    lab = Lab(tmp_path / "lab")
    scan(model(), lab, run_name="toy", instruments=FEW)
    status = dict(
        lab.measurements.filter(pl.col("variable") == "stable_rank").select("site", "status").collect().iter_rows()
    )
    assert status.pop("embed.W_E") == "refused" and set(status.values()) == {"ok"}


def test_random_weights_look_random(tmp_path):
    """The null gives the null: over 39 Gaussian matrices, rank p-values are uniform in both tails."""
    rng = np.random.default_rng(11)
    tensors = {f"w{i}": rng.standard_normal((60, 40)) for i in range(39)}
    lab = Lab(tmp_path / "lab")
    scan(tensors, lab, run_name="noise")
    nulls = lab.nulls.filter(pl.col("null") == "gaussian_twin").collect()
    for name in ("stable_rank", "effective_rank", "participation_ratio", "condition_number", "spectral_norm"):
        p = nulls.filter(pl.col("variable") == name)["p"]
        # Binomial(39, 0.1): more than 11 below 0.1 has probability 1e-4, and 5 variables are tried.
        assert p.len() == 39 and (p <= 0.1).sum() <= 11
        assert (p > 0.5).sum() >= 8


def test_a_planted_direction_does_not_look_random(tmp_path):
    rng = np.random.default_rng(12)
    lab = Lab(tmp_path / "lab")
    scan(
        {"w": rng.standard_normal((60, 40)) + 30 * np.outer(rng.standard_normal(60), rng.standard_normal(40)) / 40}, lab
    )
    p = lab.nulls.filter((pl.col("variable") == "stable_rank") & (pl.col("null") == "gaussian_twin")).collect()["p"]
    assert p.to_list() == [pytest.approx(1 / (DRAWS + 1))]


def test_shuffling_entries_is_a_null_of_its_own(tmp_path):
    """Heavy-tailed entries without pattern: far from a Gaussian twin, within their own shuffles."""
    rng = np.random.default_rng(13)
    lab = Lab(tmp_path / "lab")
    heavy = {f"w{i}": rng.standard_t(2.1, (60, 40)) for i in range(6)}
    scan(heavy, lab, run_name="heavy", instruments=["stable_rank"], nulls=True)
    nulls = lab.nulls.filter(pl.col("variable") == "stable_rank").collect().partition_by("null", as_dict=True)
    assert (nulls["gaussian_twin",]["p"] <= 1 / (DRAWS + 1)).all()
    # Binomial(6, 0.05): three or more by chance with probability 0.002.
    assert (nulls["entry_shuffle",]["p"] <= 0.05).sum() < 3


def test_tasks_respect_their_limits_and_cover_every_site(checkpoint):
    plan = scan_plan(instruments=FEW)
    snapshot = next(open_model(str(checkpoint)).snapshots())
    captures = plan.captures(snapshot)
    tasks = list(split(snapshot, plan, captures * 30))
    assert sum(len(task.sites) for task in tasks) == 30 * len(captures)
    assert max(len(task.sites) for task in tasks) <= 64


def test_sites_can_be_chosen_and_unknown_words_are_sentences(checkpoint, tmp_path):
    lab = Lab(tmp_path / "lab")
    scan(str(checkpoint), lab, instruments=FEW, sites=["layers.*.attn.W_Q"])
    assert lab.sites.select("site").collect().height == 3
    with pytest.raises(Failure, match="did you mean stable_rank"):
        standard_instruments(["stable_rnk"])
    with pytest.raises(Failure, match="No product is called W_XX"):
        scan_plan(products=["W_XX"])


def test_blas_threads_are_given_back(checkpoint, tmp_path):
    from threadpoolctl import threadpool_info

    before = threadpool_info()
    scan(str(checkpoint), Lab(tmp_path / "lab"), instruments=FEW)
    assert threadpool_info() == before
