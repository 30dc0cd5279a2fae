"""gedanken simulate as a process: killed at any moment it goes on bit for bit; a full disk is one sentence."""

import resource
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

from gedanken.measurements.store import Lab

CASES = {
    "adaptive": ("--n", "6000", "--saves", "40", "--time", "0.3"),
    "noisy": ("--n", "6000", "--saves", "40", "--time", "0.3", "--set", "noise=0.02", "--set", "method=euler",
              "--set", "step=0.001"),
}  # fmt: skip


def command(lab, *more) -> list[str]:
    return [sys.executable, "-m", "gedanken", "simulate", "--model", "usa", "--run", "one", "--threads", "1", "--no-report",
            "--quiet", "--lab", str(lab), *more]  # fmt: skip


def killed(wanted: list[str], ready) -> int:
    """Starts the command and kills it at a random moment after `ready()`; its exit status."""
    process = subprocess.Popen(wanted, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not ready() and process.poll() is None:
        time.sleep(0.002)
    time.sleep(np.random.default_rng().uniform(0, 0.05))
    process.send_signal(signal.SIGKILL)
    return process.wait()


def tables(path) -> dict[str, pl.DataFrame]:
    """All that a simulation leaves, in one order; when it was made is no result."""
    lab, keys = Lab(path), ["run", "step", "site", "variable", "setting"]
    frames = {"measurements": lab.measurements.sort(keys), "curves": lab.curves.sort(keys), "steps": lab.steps.sort("step"),
              "sites": lab.sites.sort("step", "site")}  # fmt: skip
    return {name: frame.drop("created", strict=False).collect() for name, frame in frames.items()}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_killed_simulation_goes_on_bit_for_bit(case, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(whole, *CASES[case]), check=True)
    wanted, states = command(broken, *CASES[case]), np.random.default_rng().integers(1, 35)
    died = killed(wanted, lambda: len(list(broken.glob("simulations/*/0*.npz"))) >= states)
    saved = len(list(broken.glob("simulations/*/0*.npz")))
    assert died == -signal.SIGKILL and states <= saved
    assert not list(broken.glob("measurements/*.parquet")) or saved == 41
    parts = np.random.default_rng().integers(1, 20)
    assert killed(wanted, lambda: len(list(broken.glob("measurements/*.parquet"))) >= parts) == -signal.SIGKILL
    subprocess.run(wanted, check=True)
    for name, frame in tables(whole).items():
        assert frame.height >= 41 and frame.equals(tables(broken)[name]), name
    one, other = (sorted(lab.glob("simulations/*/0*.npz")) for lab in (whole, broken))
    assert len(one) == 41
    for first, second in zip(one, other, strict=True):
        with np.load(first) as a, np.load(second) as b:
            assert np.array_equal(a["state"], b["state"]) and str(a["memory"]) == str(b["memory"])


def failed(wanted: list[str], largest_file: int | None = None) -> str:
    """What a command that cannot be done says: one sentence (and what to try), no traceback."""

    def bounded():
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    done = subprocess.run(wanted, capture_output=True, text=True, preexec_fn=bounded if largest_file else None)
    assert done.returncode == 1 and "Traceback" not in done.stderr and done.stderr.startswith("gedanken: ")
    assert len([line for line in done.stderr.splitlines() if not line.startswith("  try:")]) == 1
    return done.stderr


@pytest.mark.slow
def test_a_disk_that_is_full_is_a_sentence(tmp_path):
    """Files of 10 kB at most: what is told of the simulation fits, a state of 6,000 angles does not."""
    said = failed(command(tmp_path, *CASES["adaptive"]), 10_000)
    assert "cannot be written" in said and "File too large" in said
    assert not list(tmp_path.glob("simulations/*/*.npz")) and not list(tmp_path.glob("simulations/*/.*.npz"))


def test_a_lab_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "file" in failed(command(tmp_path / "file" / "lab", "--n", "20", "--saves", "2"))
