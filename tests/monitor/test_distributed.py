"""Two processes that share a model's shards: the first one writes, and what it writes is what one process would."""

import os
import socket
from pathlib import Path

import polars as pl
import pytest

torch = pytest.importorskip("torch")
import torch.distributed as dist  # noqa: E402
import torch.multiprocessing as mp  # noqa: E402
from polars.testing import assert_frame_equal  # noqa: E402

import gedanken as gd  # noqa: E402

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this torch was built without torch.distributed")
FOLDER = Path(__file__).parent


def train_sharded(rank: int, port: int, lab: str, way: str) -> None:
    import sys

    sys.path.insert(0, str(FOLDER))
    import models
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Shard, distribute_module, distribute_tensor

    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = models.Small()
    mesh = init_device_mesh("cpu", (2,))
    if way == "fsdp":
        for layer in model.model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
    else:

        def shard(name, module, mesh):
            for key, parameter in list(module.named_parameters(recurse=False)):
                placed = distribute_tensor(parameter.detach(), mesh, [Shard(0)])
                module.register_parameter(key, torch.nn.Parameter(placed))

        distribute_module(model, mesh, shard)
    with gd.Monitor(lab, "sharded", every=1, gradients_every=1, updates_every=1) as monitor:
        if way == "fsdp":
            models.train(model, monitor, 2)
        else:
            monitor(model, 0, 0)
    dist.destroy_process_group()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.parametrize("way", ["fsdp", "dtensor"])
def test_sharded_weights_are_gathered_and_written_once(models, small, tmp_path, way):
    lab = gd.Lab(tmp_path)
    mp.spawn(train_sharded, (free_port(), str(tmp_path), way), nprocs=2)
    steps = 2 if way == "fsdp" else 0
    with gd.Monitor(lab, "whole", every=1, gradients_every=1, updates_every=1) as monitor:
        if steps:
            models.train(small, monitor, steps)
        else:
            monitor(small, 0, 0)

    def rows(run: str, step: int) -> pl.DataFrame:
        found = lab.measurements.filter(pl.col("run") == run, pl.col("step") == step)
        return found.select("site", "variable", "setting", "value", "status").sort("site", "variable", "setting").collect()

    assert rows("sharded", 0).height > 100
    assert_frame_equal(rows("sharded", 0), rows("whole", 0), check_exact=True)
    if steps:
        # Gradients are summed over the processes in another order than within one.
        assert_frame_equal(rows("sharded", 2), rows("whole", 2), rel_tol=1e-3)
        assert_frame_equal(rows("sharded updates", 2), rows("whole updates", 2), rel_tol=2e-2)
        assert_frame_equal(rows("sharded gradients", 2), rows("whole gradients", 2), rel_tol=2e-2)
