"""Two processes that share a model's shards: the first one writes, and what it writes is what one process would."""

import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

torch = pytest.importorskip("torch")
import torch.distributed as dist  # noqa: E402
from polars.testing import assert_frame_equal  # noqa: E402

import gedanken as gd  # noqa: E402

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this torch was built without torch.distributed")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["fsdp", "dtensor"])
def test_sharded_weights_are_gathered_and_written_once(models, small, tmp_path, way):
    lab = gd.Lab(tmp_path)
    script = Path(__file__).with_name("sharded.py")
    told = subprocess.run([sys.executable, script, str(free_port()), tmp_path, way], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    steps = 2 if way == "fsdp" else 0
    with gd.Monitor(lab, "whole", every=1, gradients_every=1, updates_every=1) as monitor:
        if steps:
            models.train(small, monitor, steps)
        else:
            monitor(small, 0, 0)

    def rows(run: str, step: int) -> pl.DataFrame:
        found = lab.measurements.filter(pl.col("run") == run, pl.col("step") == step)
        return (
            found.select("site", "variable", "setting", "value", "status").sort("site", "variable", "setting").collect()
        )

    assert rows("sharded", 0).height > 100
    assert_frame_equal(rows("sharded", 0), rows("whole", 0), check_exact=True)
    if steps:
        # Gradients are summed over the processes in another order than within one.
        assert_frame_equal(rows("sharded", 2), rows("whole", 2), rel_tol=1e-3)
        assert_frame_equal(rows("sharded updates", 2), rows("whole updates", 2), rel_tol=2e-2)
        assert_frame_equal(rows("sharded gradients", 2), rows("whole gradients", 2), rel_tol=2e-2)
