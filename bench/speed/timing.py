"""What is timed, and timing that can be trusted: warm-up, interleaved repeats, median and spread, matmul speed.

Variants run in turn, A B C A B C, so that a machine whose speed drifts is unfair to none of them. A sweep's own seconds
are no measure of speed: its workers share the cores and the GPUs, the first batch pays for libraries and compilers, and
cached cells were timed on whatever machine drew them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.api.device import cpu_name
from bench.api.errors import known_name
from bench.api.files import safe_name, write_atomically
from bench.api.provenance import code_provenance, device_names
from bench.api.seeding import digest
from bench.run.cell import draw_batch
from bench.run.worker import WORKER, one_thread
from methods.common.diffusion.profile import UNetConfig

if TYPE_CHECKING:
    from bench.run.plan import Cell

#: Side of the square matrices behind the matmul peak: large enough to be bound by arithmetic.
MATMUL_SIDE = {"cuda": 8192, "cpu": 1024}
MATMUL_RUNS = 5
#: Counted runs at most; a run that takes long is repeated less often, but never counted without one before it.
RUNS = 3
LONG_SECONDS = 10.0
#: One-hot channels of Cityscapes's 35 label ids and the edge channel.
CHANNELS = 36


@dataclass(frozen=True)
class Size:
    """A network, its pictures' size, and how much is timed: steps and updates a run, counted runs a variant."""

    name: str
    network: UNetConfig
    height: int
    width: int
    steps: int
    updates: int
    repeats: int


SIZES = {
    "paper": Size("paper", UNetConfig(map_channels=CHANNELS), 256, 512, 20, 10, 3),
    # the same six levels, an eighth of the width at a quarter of the side
    "small": Size("small", UNetConfig(map_channels=CHANNELS, width=32, spade_hidden=16), 64, 128, 2, 1, 3),
}


def named_size(name: str) -> Size:
    """A size by its name; UsageError names the nearest one."""
    return SIZES[known_name(name, SIZES, "size")]


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(run: Callable[[], object], device: torch.device, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one run, the device's queue empty before and after."""
    _synchronise(device)
    start = clock()
    run()
    _synchronise(device)
    return clock() - start


def peak_memory(run: Callable[[], object], device: torch.device) -> int | None:
    """The most memory in use on the device during `run` beyond that before, with what it leaves; None on the CPU."""
    if device.type != "cuda":
        run()
        return None
    _synchronise(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    _synchronise(device)
    return torch.cuda.max_memory_allocated(device) - before


def interleaved(
    variants: Mapping[str, Callable[[], object]],
    repeats: int,
    device: torch.device,
    report: Callable[[str], None] = lambda line: None,
    before: Callable[[str], None] = lambda name: None,
) -> dict[str, list[float]]:
    """Seconds of `repeats` rounds of all variants in turn; warming them up is the caller's. `before` is not timed."""
    runs: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(repeats):
        for name, run in variants.items():
            before(name)
            runs[name].append(timed(run, device))
            report(f"run {turn + 1} of {repeats}: {name} {runs[name][-1]:.3f} s")
    return runs


def matmul_peak(device: torch.device, dtype: torch.dtype, clock: Callable[[], float] = time.perf_counter) -> float:
    """Floating-point operations a second of a large square matrix product, the fastest of a few runs."""
    side = MATMUL_SIDE.get(device.type, MATMUL_SIDE["cpu"])
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    left @ right
    return 2 * side**3 / min(timed(lambda: left @ right, device, clock) for _ in range(MATMUL_RUNS))


def count_flops(run: Callable[[], object]) -> int:
    """Floating-point operations of `run` in matrix products and convolutions; on meta tensors it computes nothing."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def seconds_alone(cell: Cell, batch_size: int, device: str, out: Path) -> float:
    """Seconds a scene for sender, channel and receiver of one batch on one CPU thread or GPU: the fastest run.

    Of up to `RUNS` runs after one that is not counted. Kept under OUT/timings with its provenance, per method, batch
    size, device and processor, and not measured again. The caller sees to it that nothing else is running.
    """
    ids = cell.scenes.ids[:batch_size]
    key: dict[str, object] = {
        "spec": cell.method.spec,
        "method": cell.method.identity,
        "dataset": cell.scenes.dataset,
        "size": list(cell.scenes.size),
        "scenes": list(ids),
        "device": device_names((device,))[0],
        "cpu": cpu_name(),
    }
    path = out / "timings" / f"{safe_name(cell.method.spec)}-{digest(key)[:12]}.json"
    kept = _kept(path, key)
    if kept is not None:
        return kept
    pair = WORKER.pair(cell, device)
    scene = WORKER.scene(cell.scenes, ids)
    runs: list[float] = []
    with one_thread(), torch.inference_mode():
        draw_batch(cell, pair, ids, scene)
        while len(runs) < RUNS and sum(runs) < LONG_SECONDS:
            runs.append(draw_batch(cell, pair, ids, scene)[2])
    seconds = min(runs) / len(ids)
    content = {"key": key, "seconds": seconds, "batch_seconds": runs, "provenance": code_provenance()}
    write_atomically(path, (json.dumps({**content, "seal": digest(content)}, indent=1) + "\n").encode())
    return seconds


def _kept(path: Path, key: dict[str, object]) -> float | None:
    """The seconds that a file holds for just this key; None where it does not exist or is damaged."""
    try:
        content = json.loads(path.read_bytes())
        sealed = content.pop("seal") == digest(content)
        return float(content["seconds"]) if sealed and content["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
