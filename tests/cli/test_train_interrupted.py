"""A lab that is full, or a process that is killed, costs a run no row: gone on with, its tables are those of a run in peace."""

import itertools
import signal
import subprocess
import sys
import textwrap

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from gedanken.cli.main import app
from gedanken.measurements.store import Lab
from gedanken.sources.training import history
from gedanken.status import Failure

# A planted collapse, so that there are alarms; checkpoints at 8, 16 and 32 fall between two ΔW.
COMMAND = ["train", "--preset", "smoke", "--steps", "40", "--threads", "1", "--control", "rank-one", "--every", "4"]
COMMAND += ["--gradients-every", "10", "--checkpoint-every", "12", "--no-report", "--quiet"]
COMMAND += ["--set", "layers=2", "--set", "width=16", "--set", "heads=2", "--set", "task=copy"]
TABLES = ("measurements", "nulls", "curves", "sites", "steps", "alarms", "runs", "settings", "variables")


def train(folder, *more: str):
    arguments = [*COMMAND, "--out", str(folder / "copy"), "--lab", str(folder / "lab"), *more]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def peace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peace")
    train(folder)
    return folder


def rows(folder, table: str) -> pl.DataFrame:
    """Without the time, and without the tensors that are no matrix: a process lists them once, at its first step."""
    frame = Lab(folder / "lab").table(table).drop("created", strict=False).collect()
    return frame.filter(pl.col("kind") != "skipped") if table == "sites" else frame


def assert_same(folder, peace):
    for name in TABLES:
        found, expected = (rows(place, name) for place in (folder, peace))
        order = [column for column, kind in found.schema.items() if not kind.is_nested()]
        assert expected.height > 0, name
        # One machine, one thread, the same draws: not one bit differs.
        assert_frame_equal(found.sort(order), expected.sort(order), check_exact=True)
    assert [line.get("loss") for line in history.read(folder / "copy")] == [
        line.get("loss") for line in history.read(peace / "copy")
    ]


@pytest.mark.parametrize("room", [25, 60, 90])
def test_a_lab_that_takes_no_more_stops_the_run_and_nothing_is_lost(room, peace, tmp_path, monkeypatch):
    """The disk is full after so many files, wherever in a snapshot that falls."""
    written, real = itertools.count(), Lab._replace

    def full(self, name, content):
        if next(written) >= room:
            raise OSError(28, "No space left on device")
        real(self, name, content)

    with monkeypatch.context() as patched:
        patched.setattr(Lab, "_replace", full)
        with pytest.raises(Failure, match="No space left on device.*Training stopped at step") as told:
            train(tmp_path)
    assert told.value.try_next == "make room, then the same command with --resume"
    assert not (tmp_path / "copy" / "step-000040").exists()
    train(tmp_path, "--resume")
    assert_same(tmp_path, peace)


KILLED = """
    import os, signal, sys
    from gedanken.cli import train
    from gedanken.cli.main import app
    look = train._look
    def killed(monitor, source):
        look(monitor, source)
        if source.trainer.step == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
    train._look = killed
    app(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", [16, 31])
def test_a_killed_run_loses_no_row(step, peace, tmp_path):
    """At 16 there is a checkpoint to be written, and rows are in flight."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(step), *COMMAND]
    command += ["--out", str(tmp_path / "copy"), "--lab", str(tmp_path / "lab")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    train(tmp_path, "--resume")
    assert_same(tmp_path, peace)
