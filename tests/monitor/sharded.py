"""Two gloo processes that train one sharded model under a monitor: python sharded.py PORT LAB (fsdp | dtensor)."""

import os
import sys

import models
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Shard, distribute_module, distribute_tensor

import gedanken as gd


def train_sharded(rank: int, port: int, lab: str, way: str) -> None:
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


if __name__ == "__main__":
    mp.spawn(train_sharded, (int(sys.argv[1]), sys.argv[2], sys.argv[3]), nprocs=2)
