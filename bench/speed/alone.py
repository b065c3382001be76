"""Seconds a scene of a method with nothing beside it.

A sweep's own seconds are no measure of speed: its workers share the cores and the GPUs, the first batch pays for
libraries and compilers, and cached cells were timed on whatever machine drew them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch

from bench.api.device import cpu_name
from bench.api.files import safe_name, write_atomically
from bench.api.provenance import code_provenance, device_names
from bench.api.seeding import digest
from bench.run.cell import draw_batch
from bench.run.worker import WORKER, one_thread

if TYPE_CHECKING:
    from pathlib import Path

    from bench.run.plan import Cell

#: Counted runs at most; a run that takes long is repeated less often, but never counted without one before it.
RUNS = 3
LONG_SECONDS = 10.0


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
