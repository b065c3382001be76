"""Several processes that train one model (`torchrun --nproc-per-node N -m bench train ...`).

PyTorch's own `DistributedDataParallel` averages gradients while the backward pass still runs; the diffusion methods use
it. It wants one forward and one backward pass a step through one module, which adversarial training is not: there
`average_before_step` averages them when an optimiser is about to use them. Both leave every process with the same
parameters, bit for bit.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from bench.api.errors import MethodError

T = TypeVar("T")

#: Elements that are sent at once: few calls, and little memory beside the gradients.
_BUCKET = 2**24


@dataclass(frozen=True)
class Ranks:
    """Which of `world` processes this is: `rank` over all machines, `local` of `local_world` on this machine."""

    rank: int = 0
    world: int = 1
    local: int = 0
    local_world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes the files and the messages."""
        return self.rank == 0


def ranks() -> Ranks:
    """What torchrun's environment says; a single process where it says nothing."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    try:
        rank, world, local, local_world = (int(os.environ.get(n, d)) for n, d in zip(names, "0101", strict=True))
    except ValueError:
        told = ", ".join(f"{n}={os.environ.get(n)!r}" for n in names)
        raise MethodError(f"the environment of torchrun is not made of numbers: {told}") from None
    return Ranks(rank, world, local, local_world)


def rank_device(device: torch.device, here: Ranks) -> torch.device:
    """This process's own device: with several processes and CUDA, the GPU with the process's number on its machine.

    MethodError where there are fewer GPUs than processes.
    """
    if here.world == 1 or device.type != "cuda":
        return device
    count = torch.cuda.device_count()
    if here.local_world > count:
        raise MethodError(
            f"torchrun started {here.local_world} processes on a machine that shows {count} GPU(s); "
            f"use --nproc-per-node {count}"
        )
    return torch.device("cuda", here.local)


@contextmanager
def process_group(device: torch.device) -> Iterator[Ranks]:
    """The processes that torchrun started, connected by NCCL for CUDA and by gloo otherwise; nothing for one process.

    `device` is this process's own.
    """
    here = ranks()
    if here.world == 1:
        yield here
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    yield here
    dist.destroy_process_group()  # not after an error: the others may be waiting, and torchrun ends them


def local_first(make: Callable[[], T]) -> T:
    """`make()` on every process, the first one of each machine before the others, which find its files."""
    here = ranks()
    if here.world == 1:
        return make()
    if here.local == 0:
        made = make()
    dist.barrier()
    return made if here.local == 0 else make()


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if ranks().world > 1:
        dist.barrier()


def step_generator(seed: int, step: int, rank: int, *purpose: int) -> torch.Generator:
    """The randomness of one process at one step: a pure function of its arguments, so that resuming needs no state."""
    state = np.random.SeedSequence([seed, step, rank, *purpose]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def mean_over_ranks(values: list[float], device: torch.device) -> list[float]:
    """Each value's mean over the processes; the same list on all of them."""
    gathered = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(gathered)
    return [float(v) for v in gathered / dist.get_world_size()]


def same_on_all_ranks(value: int, device: torch.device) -> bool:
    """Whether every process has this integer."""
    ends = torch.tensor([value, -value], dtype=torch.int64, device=device)
    dist.all_reduce(ends, op=dist.ReduceOp.MAX)
    return int(ends[0]) == -int(ends[1])


def broadcast(tensors: Iterable[Tensor]) -> None:
    """Overwrite `tensors` by those of rank 0."""
    for tensor in tensors:
        whole = tensor.contiguous()
        dist.broadcast(whole, 0)
        tensor.copy_(whole)


def average(tensors: Iterable[Tensor]) -> None:
    """Replace each of `tensors` (one dtype, one device, the same list on every process) by its mean over them."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        bucket.append(tensor)
        size += tensor.numel()
        if size >= _BUCKET:
            _average_bucket(bucket)
            bucket, size = [], 0
    if bucket:
        _average_bucket(bucket)


@torch.no_grad()
def _average_bucket(bucket: list[Tensor]) -> None:
    flat = torch.cat([t.reshape(-1) for t in bucket])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for tensor, part in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):  # type: ignore[no-untyped-call]
        tensor.copy_(part.view(tensor.shape))


def average_before_step(optimizer: torch.optim.Optimizer) -> None:
    """From now on every `optimizer.step()` starts by averaging the gradients over the processes."""

    def hook(self: torch.optim.Optimizer, *_: Any) -> None:
        average([p.grad for group in self.param_groups for p in group["params"] if p.grad is not None])

    optimizer.register_step_pre_hook(hook)
