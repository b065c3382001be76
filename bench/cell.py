"""Computing one cell: scenes -> sender -> channel -> receiver -> PNG files, and the metrics on them.

This is what a worker runs. The receiver gets a `Received` and generators, nothing else: neither the scenes nor the
channel. Pictures are rounded to 8 bits and written; metrics see the written files, so a cached cell and a new one give
the same numbers.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.cache import Draft, Entry, open_entry, safe_name
from bench.channel import PEAK_TOLERANCE, Channel
from bench.errors import BenchError
from bench.memory import PeakMemory
from bench.names import PURE_NOISE
from bench.plan import Cell, MetricPlan, SceneSet
from bench.seeding import channel_stream, digest, receiver_stream
from bench.summary import CONTRIBUTIONS, packed, summarised, unpacked
from bench.worker import WORKER
from methods.base import Method, Received, Scene, Transmission
from metrics.base import Comparison, Metric

#: A picture may leave [0, 1] by rounding only.
RANGE_TOLERANCE = 1e-4
ARRAYS = "arrays.npz"


def cell_path(out: Path, cell: Cell) -> Path:
    """Folder of a cell's pictures; references of pure noise have a room of their own, because they are no cells."""
    return out / ("references" if cell.method.spec == PURE_NOISE else "cells") / cell.name


def metric_key(cell: Cell, pictures: Entry, identity: dict[str, Any]) -> dict[str, Any]:
    """Everything that can change a metric's values on a cell: the cell, its very pictures, the metric."""
    return {"cell": cell.key, "pictures": pictures.content_sha256, "metric": identity}


def metric_path(out: Path, cell: Cell, pictures: Entry, metric: MetricPlan) -> Path:
    """Folder of one metric's arrays and scores on one cell."""
    key = digest(metric_key(cell, pictures, metric.identity))
    return out / "metrics" / cell.name / f"{safe_name(metric.name)}-{key[:12]}"


def batches(ids: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """`ids` in groups of at most `size`, in order."""
    for start in range(0, len(ids), size):
        yield tuple(ids[start : start + size])


def channel_pass(scenes: SceneSet, scene: Scene, sent: Transmission, channel: Channel, seed: int) -> Received:
    """What reaches the receiver of a batch: every scene's symbols through the channel with that scene's own noise."""
    identity = channel.identity()
    return Received(
        symbols=tuple(
            channel.transmit(symbols, channel_stream(scenes.dataset, scene_id, identity, seed))
            for symbols, scene_id in zip(sent.symbols, scene.ids, strict=True)
        ),
        side_info=tuple(sent.side_info),
    )


def _check_sent(sent: Transmission, scene: Scene, cell: Cell) -> None:
    if not len(sent.symbols) == len(sent.side_info) == len(sent.bits) == len(scene):
        raise BenchError(f"{cell.method.spec} did not send one entry a scene")
    for symbols, header, bits, scene_id in zip(sent.symbols, sent.side_info, sent.bits, scene.ids, strict=True):
        who = f"{cell.method.spec} sent scene {scene_id} with"
        if not isinstance(header, bytes):
            raise BenchError(f"{who} side information that is a {type(header).__name__}; it has to be bytes")
        if isinstance(bits, bool) or not isinstance(bits, int) or bits < 0:
            raise BenchError(f"{who} bits {bits!r}; they have to be an integer, 0 or more")
        if not isinstance(symbols, Tensor) or symbols.dtype != torch.float32:
            kind = getattr(symbols, "dtype", type(symbols).__name__)
            raise BenchError(f"{who} symbols of type {kind}; they have to be a float32 tensor")
        peak = float(symbols.abs().max()) if symbols.numel() else 0.0
        if not peak <= 1 + PEAK_TOLERANCE:  # the form that is also true for NaN
            raise BenchError(f"{who} amplitude {peak:g}; the limit is 1")


def _cost(sent: Transmission, position: int, channel: Channel) -> dict[str, Any]:
    """What one scene of a batch costs: bits (payload and side information), the side information's bytes among them,
    real channel uses and their energy."""
    symbols, header = sent.symbols[position], len(sent.side_info[position]) + channel.header_bytes
    return {
        "bits": sent.bits[position] + 8 * header,
        "side_bytes": header,
        "channel_uses": symbols.numel(),
        "energy": channel.energy(symbols),
    }


def _to_bytes(pictures: Tensor, scene: Scene, cell: Cell) -> np.ndarray:
    """(B, 3, H, W) in [0, 1] -> (B, H, W, 3) uint8, rounded."""
    expected = (len(scene), 3, *cell.scenes.size)
    if tuple(pictures.shape) != expected:
        raise BenchError(f"{cell.method.spec} returned pictures of shape {tuple(pictures.shape)}, not {expected}")
    if pictures.dtype != torch.float32:
        raise BenchError(f"{cell.method.spec} returned pictures of type {pictures.dtype}, not float32 in [0, 1]")
    pictures = pictures.detach().cpu()
    if not bool(torch.isfinite(pictures).all()):
        raise BenchError(f"{cell.method.spec} returned pictures with NaN or infinite values")
    low, high = (float(bound) for bound in torch.aminmax(pictures))
    if low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        raise BenchError(f"{cell.method.spec} returned pictures with values from {low:g} to {high:g}, outside [0, 1]")
    return (pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def draw_batch(cell: Cell, method: Method, ids: Sequence[str], scene: Scene) -> tuple[Transmission, np.ndarray, float]:
    """One batch through sender, channel and receiver: what was sent, the pictures (B, H, W, 3) uint8, and the seconds
    of the three together."""
    identity = cell.channel.identity()
    rngs = [receiver_stream(cell.scenes.dataset, scene_id, identity, cell.seed, cell.method.spec) for scene_id in ids]
    start = time.perf_counter()
    sent = method.send(scene)
    _check_sent(sent, scene, cell)
    received = channel_pass(cell.scenes, scene, sent, cell.channel, cell.seed)
    pictures = _to_bytes(method.receive(received, rngs), scene, cell)
    return sent, pictures, time.perf_counter() - start


def compute_cell(cell: Cell, out: Path, batch_size: int, device: str, provenance: dict[str, Any]) -> Entry:
    """Run the method over all scenes and publish the cell. `seconds` in its manifest count sender, channel and
    receiver, not reading scenes or writing files; `peak_mib` is the worker's memory (bench/memory.py)."""
    method: Method = WORKER.method(cell, device)
    memory = PeakMemory(device)
    facts: list[dict[str, Any]] = []
    seconds = 0.0
    with Draft(out) as draft, torch.inference_mode():
        for ids in batches(cell.scenes.ids, batch_size):
            sent, pictures, spent = draw_batch(cell, method, ids, WORKER.scene(cell.scenes, ids))
            seconds += spent
            for position, (scene_id, pixels) in enumerate(zip(ids, pictures, strict=True)):
                name = f"{len(facts):05d}-{safe_name(scene_id)}.png"
                draft.write(name, _png(pixels))
                facts.append({"id": scene_id, "file": name, **_cost(sent, position, cell.channel)})
        peak_db = cell.channel.peak_snr_db
        return draft.publish(
            cell_path(out, cell),
            {
                "key": cell.key,
                "scenes": facts,
                "sigma": cell.channel.sigma,
                "peak_snr_db": peak_db if math.isfinite(peak_db) else None,  # null: no noise at all
                "seconds": seconds,
                "peak_mib": memory.mib(),
                "batch_size": batch_size,
                "device": device,
                "provenance": provenance,
            },
        )


def read_picture(pictures: Entry, position: int) -> np.ndarray:
    """The picture of the scene at `position`, (H, W, 3) uint8, verified against the manifest."""
    with Image.open(io.BytesIO(pictures.read(pictures.manifest["scenes"][position]["file"]))) as image:
        return np.array(image.convert("RGB"))


def measure_cell(cell: Cell, pictures: Entry, plan: MetricPlan, out: Path, batch_size: int, device: str) -> Entry:
    """Measure one metric on a cell's pictures and publish its arrays, what they come to (bench/summary.py) and the
    seconds of it all. Arrays that were measured before and summarised otherwise are summarised again."""
    metric: Metric = WORKER.metric(cell.scenes, plan, device)
    start, path = time.perf_counter(), metric_path(out, cell, pictures, plan)
    there = _measured_before(cell, pictures, plan, out)
    measured = read_arrays(there) if there else _measured(cell, pictures, metric, batch_size)
    facts, contributions = summarised(metric, measured)
    seconds = there.manifest["seconds"] if there else time.perf_counter() - start
    with Draft(out) as draft:
        draft.write(ARRAYS, packed(measured))
        if contributions:
            draft.write(CONTRIBUTIONS, packed(contributions))
        key = metric_key(cell, pictures, plan.identity)
        return draft.publish(path, {"key": key, "metric": plan.name, **facts, "seconds": seconds}, there)


def _measured(cell: Cell, pictures: Entry, metric: Metric, batch_size: int) -> dict[str, np.ndarray]:
    """A metric's arrays of all scenes of a cell."""
    parts: list[dict[str, np.ndarray]] = []
    position = 0
    with torch.inference_mode():
        for ids in batches(cell.scenes.ids, batch_size):
            scene = WORKER.scene(cell.scenes, ids)
            generated = np.stack([read_picture(pictures, position + k) for k in range(len(ids))])
            position += len(ids)
            parts.append(
                metric.measure(
                    Comparison(
                        generated=torch.from_numpy(generated).permute(0, 3, 1, 2).float().div_(255),
                        original=scene.image,
                        labels=scene.labels,
                        instances=scene.instances,
                        depth=scene.depth,
                    )
                )
            )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read_arrays(entry: Entry) -> dict[str, np.ndarray]:
    """A metric's per-scene arrays from its sealed folder, verified, loaded without pickle."""
    return unpacked(entry.read(ARRAYS))


def find_cell(cell: Cell, out: Path, warn: bool = True) -> Entry | None:
    """The cell in the cache, verified, or None."""
    entry = open_entry(cell_path(out, cell), warn)
    return entry if entry is not None and entry.manifest.get("key") == cell.key else None


def find_metric(cell: Cell, pictures: Entry, plan: MetricPlan, out: Path, warn: bool = True) -> Entry | None:
    """A metric's measurement in the cache, verified, or None; one that was summarised otherwise is none."""
    entry = _measured_before(cell, pictures, plan, out, warn)
    return entry if entry is not None and entry.manifest.get("summary") == plan.summary else None


def _measured_before(cell: Cell, pictures: Entry, plan: MetricPlan, out: Path, warn: bool = False) -> Entry | None:
    """A metric's measurement in the cache, verified, however it was summarised; None where there is none."""
    entry = open_entry(metric_path(out, cell, pictures, plan), warn)
    key = metric_key(cell, pictures, plan.identity)
    return entry if entry is not None and entry.manifest.get("key") == key else None
