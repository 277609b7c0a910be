"""Data-parallel training by processes of one thread: steadier than threads inside operations.

python parallel.py 2 train_dit.py --size small ...     starts the processes
"""

import os
import subprocess
import sys

import torch
import torch.distributed as dist


def join():
    """(rank, number of processes); one process when not started by this file."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("gloo")
    return int(os.environ.get("RANK", "0")), world


def average_gradients(parameters):
    if not dist.is_initialized():
        return
    grads = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in grads])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for g, mean in zip(grads, flat.split([g.numel() for g in grads])):
        g.copy_(mean.view_as(g))


def same(value):
    """The first process' value, everywhere."""
    if not dist.is_initialized():
        return value
    box = torch.tensor([float(value)], dtype=torch.float64)
    dist.broadcast(box, 0)
    return box.item()


def share(x, work):
    """work(x) along the first dimension, divided among the processes."""
    if not dist.is_initialized() or len(x) % dist.get_world_size():
        return work(x)
    world, rank = dist.get_world_size(), dist.get_rank()
    mine = work(x.chunk(world)[rank].contiguous()).contiguous()
    parts = [torch.empty_like(mine) for _ in range(world)]
    dist.all_gather(parts, mine)
    return torch.cat(parts)


def main():
    count, command = int(sys.argv[1]), sys.argv[2:]
    env = dict(os.environ, WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1")
    env.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    env.setdefault("MASTER_PORT", "29511")
    children = [
        subprocess.Popen([sys.executable] + command, env=dict(env, RANK=str(rank)))
        for rank in range(count)
    ]
    sys.exit(max(abs(child.wait()) for child in children))


if __name__ == "__main__":
    main()
