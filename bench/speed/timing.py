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
    """Seconds of the counted runs in order; `peak_bytes` is the device's peak memory during them, None on the CPU."""

    runs: tuple[float, ...]
    peak_bytes: int | None

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


def interleaved(
    variants: Mapping[str, Callable[[], object]],
    repeats: int,
    device: torch.device,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Timing]:
    """Every variant once without counting, then `repeats` rounds of all of them in turn."""
    runs: dict[str, list[float]] = {name: [] for name in variants}
    peaks: dict[str, int] = dict.fromkeys(variants, 0)
    for turn in range(repeats + 1):
        for name, run in variants.items():
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            seconds = timed(run, device)
            if turn:
                runs[name].append(seconds)
                if device.type == "cuda":
                    peaks[name] = max(peaks[name], torch.cuda.max_memory_allocated(device))
            report(f"{'warm-up' if turn == 0 else f'run {turn} of {repeats}'}: {name} {seconds:.3f} s")
    return {
        name: Timing(tuple(seconds), peaks[name] if device.type == "cuda" else None) for name, seconds in runs.items()
    }


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
