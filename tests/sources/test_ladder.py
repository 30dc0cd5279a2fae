"""Ladders: steps from names, order, duplicates, a broken rung."""

import json

import numpy as np
import pytest

from gedanken.sources.ladder import step_of
from gedanken.sources.models import open_model
from gedanken.status import Failure


def rung(folder, value: float, state: dict | None = None):
    folder.mkdir(parents=True)
    np.savez(folder / "model.npz", w=np.full((2, 2), float(value)))
    if state is not None:
        (folder / "trainer_state.json").write_text(json.dumps(state))


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("checkpoint-500", 500), ("step_1000", 1000), ("step1000", 1000), ("global_step7", 7), ("iter_0000010", 10),
        ("step=3-epoch=9", 3), ("epoch2-step30", 30), ("ckpt_12.pt", 12), ("steps-5", 5), ("model_7", 7), ("42", 42),
        ("run7/checkpoint-8", 8), ("final", None),
    ],
)  # fmt: skip
def test_steps_in_names(name, step):
    assert step_of(name) == step


def test_rungs_come_in_the_order_of_steps(tmp_path):
    for step in (1000, 20, 3):
        rung(tmp_path / "pythia" / f"step{step}", step)
    source = open_model(str(tmp_path / "pythia" / "step*"))
    assert source.run == "pythia"
    snapshots = list(source.snapshots())
    assert [snapshot.step for snapshot in snapshots] == [3, 20, 1000]
    assert [float(s.state.read(s.state.pieces[0])[0, 0]) for s in snapshots] == [3, 20, 1000]
    assert len({snapshot.fingerprint for snapshot in snapshots}) == 3
    assert source.describe()["dtype"] == "F64"


def test_files_of_one_folder_are_a_ladder_too(tmp_path):
    for step in (10, 9):
        np.savez(tmp_path / f"ckpt_{step}.npz", w=np.ones((2, 2)))
    assert [s.step for s in open_model(str(tmp_path / "ckpt_*.npz"), run="mine").snapshots()] == [9, 10]


def test_numbers_of_folders_above_are_no_steps(tmp_path):
    for name in ("a", "b"):
        rung(tmp_path / "run-77" / name, 1.0, {"global_step": {"a": 5, "b": 4}[name]})
    assert [s.step for s in open_model(str(tmp_path / "run-77" / "*")).snapshots()] == [4, 5]


def test_two_of_one_step_are_named(tmp_path):
    rung(tmp_path / "step10", 1.0)
    rung(tmp_path / "step_10", 1.0)
    with pytest.raises(Failure, match=r"step10 and .*step_10 .*are both of step 10|step_10 and .*step10 "):
        open_model(str(tmp_path / "step*"))


def test_no_step_anywhere_is_a_sentence(tmp_path):
    rung(tmp_path / "first", 1.0)
    rung(tmp_path / "final", 1.0, {"epoch": 3})
    with pytest.raises(Failure, match="No training step can be read from"):
        open_model(str(tmp_path / "fi*"))


def test_a_broken_rung_does_not_lose_the_others(tmp_path):
    for step in (1, 2, 3):
        rung(tmp_path / f"checkpoint-{step}", step)
    (tmp_path / "checkpoint-2" / "model.npz").write_bytes(b"PK\x03\x04 cut short")
    source = open_model(str(tmp_path / "checkpoint-*"))
    first, second, third = source.snapshots()
    assert (first.step, second.step, third.step) == (1, 2, 3)
    assert len(first.state.pieces) == len(third.state.pieces) == 1
    with pytest.raises(Failure, match=r"checkpoint-2 \(step 2\)"):
        second.state.pieces  # noqa: B018
    (tmp_path / "checkpoint-3" / "model.npz").write_bytes(b"")
    assert source.describe()["source"] == str(tmp_path / "checkpoint-*")
