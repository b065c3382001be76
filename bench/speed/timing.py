"""Timing that can be trusted: warm-up, interleaved repeats, median and spread, and the machine's own matmul speed.

Variants run in turn, A B C A B C, so that a machine whose speed drifts is unfair to none of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

#: Side of the square matrices behind the matmul peak: large enough to be bound by arithmetic.
MATMUL_SIDE = {"cuda": 8192, "cpu": 1024}
MATMUL_RUNS = 5


@dataclass(frozen=True)
class Timing:
    """Seconds of the counted runs, in order."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one run, the device's queue empty before and after."""
    _synchronise(device)
    start = time.perf_counter()
    run()
    _synchronise(device)
    return time.perf_counter() - start


def peak_memory(run: Callable[[], object], device: torch.device) -> int | None:
    """The most memory in use on the device during `run` beyond what was in use before, which counts what `run` leaves
    there; None on the CPU, where nobody keeps count."""
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
) -> dict[str, Timing]:
    """`repeats` rounds of all variants in turn; warming them up is the caller's. `before(name)` is not timed."""
    runs: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(repeats):
        for name, run in variants.items():
            before(name)
            runs[name].append(timed(run, device))
            report(f"run {turn + 1} of {repeats}: {name} {runs[name][-1]:.3f} s")
    return {name: Timing(tuple(seconds)) for name, seconds in runs.items()}


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large square matrix product, the fastest of a few runs."""
    side = MATMUL_SIDE.get(device.type, MATMUL_SIDE["cpu"])
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    left @ right
    return 2 * side**3 / min(timed(lambda: left @ right, device) for _ in range(MATMUL_RUNS))


def count_flops(run: Callable[[], object]) -> int:
    """Floating-point operations of `run` in matrix products and convolutions; on meta tensors it computes nothing."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())
