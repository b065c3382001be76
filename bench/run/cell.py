"""Computing one cell: scenes -> sender -> channel -> receiver -> pictures in one file, and the metrics on them.

This is what a worker runs. The receiver gets a `Received` and generators, nothing else: neither the scenes nor the
channel, and it is another instance of the method than the sender. Pictures are rounded to 8 bits and written; metrics
see the written files, so a cached cell and a new one give the same numbers.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from cachetools import LRUCache, cached
from PIL import Image

from bench.api.channel import PAPER_PSNRS, Channel
from bench.api.device import PeakMemory
from bench.api.files import Draft, Entry, open_entry, safe_name
from bench.api.lazy import torch
from bench.api.method import Method, Received
from bench.api.metric import Comparison, Metric
from bench.api.names import PURE_NOISE
from bench.api.scenes import Scene
from bench.api.seeding import canonical, channel_stream, digest, receiver_stream, text_digest
from bench.channels.awgn import Awgn
from bench.run.contract import as_bytes, check_redrawn, house_rules, joined
from bench.run.summary import CONTRIBUTIONS, packed, summarised, unpacked
from bench.run.transport import Arrival, Delivered, OnAir, transport
from bench.run.worker import KEPT_PICTURE_BYTES, WORKER

if TYPE_CHECKING:
    from bench.run.plan import Cell, MetricPlan
    from bench.run.verified import Verified
    from bench.run.worker import Pair

ARRAYS = "arrays.npz"


def cell_path(out: Path, cell: Cell) -> Path:
    """Folder of a cell's pictures; references of pure noise have a room of their own, because they are no cells."""
    return out / ("references" if cell.method.spec == PURE_NOISE else "cells") / cell.name


def metric_key(cell: Cell, pictures: Entry, identity: dict[str, Any]) -> dict[str, Any]:
    """Everything that can change a metric's values on a cell: the cell, its very pictures, the metric."""
    return {"cell": cell.key, "pictures": pictures.content_sha256, "metric": identity}


def metric_path(out: Path, cell: Cell, pictures: Entry, metric: MetricPlan) -> Path:
    """Folder of one metric's arrays and scores on one cell."""
    return out / "metrics" / cell.name / f"{safe_name(metric.name)}-{_metric_digest(cell, pictures, metric)[:12]}"


def _metric_digest(cell: Cell, pictures: Entry, metric: MetricPlan) -> str:
    """SHA-256 of `metric_key`, without making JSON of the cell's key for every metric."""
    rest = canonical({"metric": metric.identity, "pictures": pictures.content_sha256})
    return text_digest(f'{{"cell":{cell.key_text},{rest[1:]}')


def batches(ids: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """`ids` in groups of at most `size`, in order."""
    for start in range(0, len(ids), size):
        yield tuple(ids[start : start + size])


def channel_streams(cell: Cell, ids: Sequence[str]) -> list[torch.Generator]:
    """The channel's random numbers, one stream a scene."""
    identity = cell.channel.realisation
    return [channel_stream(cell.scenes.dataset, scene_id, identity, cell.seed) for scene_id in ids]


def receiver_streams(cell: Cell, ids: Sequence[str]) -> list[torch.Generator]:
    """The receiver's random numbers, one stream a scene.

    Behind a link they are those of the same method with a clean channel: where all blocks decode, the two pictures are
    the same.
    """
    method, dataset = cell.method, cell.scenes.dataset
    identity, spec = cell.channel.realisation, method.spec
    if method.link:
        identity, spec = Awgn(PAPER_PSNRS[0]).identity(), method.analogue
    return [receiver_stream(dataset, scene_id, identity, cell.seed, spec) for scene_id in ids]


def _cost(sent: OnAir, lost: tuple[bool, ...] | None, position: int, channel: Channel) -> dict[str, Any]:
    """What one scene of a batch costs.

    That is bits (payload and side information), the bytes of these that travel free of error, real channel uses and
    their energy, and behind a link, or a coded header, whether the block was lost.
    """
    symbols, header = sent.symbols[position], len(sent.side_info[position]) + channel.header_bytes
    return {
        "bits": sent.bits[position] + 8 * header,
        "side_bytes": 0 if sent.frames else header,
        "channel_uses": channel.uses(symbols),
        "energy": channel.energy(symbols),
        **({} if lost is None else {"block_lost": lost[position]}),
    }


def png(pixels: np.ndarray) -> bytes:
    """A picture (H, W, 3) uint8 as a file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def draw_batch(
    cell: Cell, pair: Pair, ids: Sequence[str], scene: Scene, between: Scene | None = None, remember: bool = False
) -> tuple[list[dict[str, Any]], np.ndarray, float]:
    """One batch through sender, channel and receiver, whose sender is given another batch `between`, if there is one.

    Returns what each scene costs, the pictures (B, H, W, 3) uint8, and the seconds of the three together; of a picture
    that is remembered, those that it took.
    """
    streams = partial(channel_streams, cell, ids)
    way = transport(cell.method, cell.channel, streams)
    start = time.perf_counter()
    sent = way.send(pair.sender, scene)
    arrivals = [Arrival(*cell.channel.observe(*one)) for one in zip(sent.symbols, streams(), strict=True)]
    if between is not None:
        way.send(pair.sender, between)
    delivered = way.deliver(sent, arrivals)
    pixels, saved = _shown(cell, pair.receiver, ids, delivered, remember)
    seconds = time.perf_counter() - start + saved
    return [_cost(sent, delivered.lost, position, cell.channel) for position in range(len(ids))], pixels, seconds


def _shown(
    cell: Cell, receiver: Method, ids: Sequence[str], delivered: Delivered, remember: bool
) -> tuple[np.ndarray, float]:
    """The receiver's pictures (B, H, W, 3) uint8, and the seconds that drawing the remembered ones had taken.

    A payload that a link delivered before, at another PSNR or by another scheme, meets the same random numbers again
    (`receiver_streams`), so its picture is remembered. Not on a GPU unless the whole batch is: there a picture's last
    bits depend on its batch.
    """
    method, rngs, kept = cell.method, receiver_streams(cell, ids), WORKER.pictures
    if isinstance(delivered.what, Received) or not remember:
        pictures = delivered.shown_by(receiver, rngs, range(len(ids)))
        return as_bytes(pictures, len(ids), cell.scenes.size, method.spec), 0.0
    of_all = digest([cell.scenes.fingerprint, cell.scenes.size, method.identity, method.analogue, cell.seed])
    keys = [(of_all, cell.device_kind, *each) for each in zip(ids, delivered.what, strict=True)]
    old = {k: kept[key] for k, key in enumerate(keys) if key in kept}
    if cell.device_kind != "cpu" and len(old) < len(ids):
        old = {}
    new = [k for k in range(len(ids)) if k not in old]
    start = time.perf_counter()
    drawn = {}
    if new:
        pixels = as_bytes(delivered.shown_by(receiver, rngs, new), len(new), cell.scenes.size, method.spec)
        drawn = dict(zip(new, pixels, strict=True))
    with suppress(ValueError):  # larger than the memory for them
        kept.update({keys[k]: (one, (time.perf_counter() - start) / len(new)) for k, one in drawn.items()})
    pictures = np.stack([drawn[k] if k in drawn else old[k][0] for k in range(len(ids))])
    return pictures, sum(seconds for _, seconds in old.values())


def _draw_again(cell: Cell, device: str, position: int, first: np.ndarray) -> None:
    """Draw one scene of a finished cell once more, alone; BenchError where the picture is another.

    Another scene is sent before it is received, and a plug-in that has not drawn in this worker before is built anew.
    """
    scene_id, other = cell.scenes.ids[position], cell.scenes.ids[position - 1]
    scene, between = (WORKER.scene(cell.scenes, (one,)) for one in (scene_id, other))
    pair = WORKER.pair_for_check(cell, device)
    _, again, _ = draw_batch(cell, pair, (scene_id,), scene, between)
    check_redrawn(first, again[0], scene_id, cell.method.spec, device == "cpu")


def compute_cell(cell: Cell, out: Path, batch_size: int, device: str, provenance: dict[str, Any]) -> Entry:
    """Run the method over all scenes and publish the cell, once a scene of it was drawn twice.

    `seconds` in its manifest count sender, channel and receiver, not reading scenes or writing files; `peak_mib` is the
    worker's memory (`PeakMemory`).
    """
    pair = WORKER.pair(cell, device)
    memory = PeakMemory(device)
    facts: list[dict[str, Any]] = []
    seconds = 0.0
    sample = int(digest(cell.key)[:8], 16) % len(cell.scenes.ids)
    with Draft(out) as draft, torch.inference_mode():
        for ids in batches(cell.scenes.ids, batch_size):
            costs, pictures, spent = draw_batch(cell, pair, ids, WORKER.scene(cell.scenes, ids), remember=True)
            seconds += spent
            for scene_id, cost, pixels in zip(ids, costs, pictures, strict=True):
                name = f"{len(facts):05d}-{safe_name(scene_id)}.png"
                if len(facts) == sample:
                    sampled = pixels
                draft.pack(name, png(pixels))
                facts.append({"id": scene_id, "file": name, **cost})
        peak = memory.mib()
        _draw_again(cell, device, sample, sampled)
        peak_db = cell.channel.peak_snr_db
        return draft.publish(
            cell_path(out, cell),
            {
                "key": cell.key,
                "scenes": facts,
                "sigma": cell.channel.sigma,
                "peak_snr_db": peak_db if math.isfinite(peak_db) else None,  # null: no noise at all
                "seconds": seconds,
                "peak_mib": peak,
                "batch_size": batch_size,
                "device": device,
                "provenance": provenance,
            },
        )


def read_picture(pictures: Entry, position: int) -> np.ndarray:
    """The picture of the scene at `position`, (H, W, 3) uint8, verified against the manifest."""
    with Image.open(io.BytesIO(pictures.read(pictures.manifest["scenes"][position]["file"]))) as image:
        return np.array(image.convert("RGB"))


def _file_digest(pictures: Entry, position: int) -> str:
    """SHA-256 of the file of the scene at `position`."""
    digests: dict[str, str] = pictures.manifest["files"]
    return digests[pictures.manifest["scenes"][position]["file"]]


@cached(LRUCache(KEPT_PICTURE_BYTES, lambda pixels: pixels.nbytes), key=_file_digest, lock=Lock())
def _decoded(pictures: Entry, position: int) -> np.ndarray:
    """`read_picture`, once for all metrics of a cell."""
    return read_picture(pictures, position)


def measure_cell(cell: Cell, pictures: Entry, plan: MetricPlan, out: Path, batch_size: int, device: str) -> Entry:
    """Measure one metric on a cell's pictures; publish its arrays, their summary (bench/run/summary.py) and seconds.

    Arrays that were measured before and summarised otherwise are summarised again.
    """
    start, path = time.perf_counter(), metric_path(out, cell, pictures, plan)
    there = _measured_before(cell, pictures, plan, out)
    measured, saved = (read_arrays(there), 0.0) if there else _measured(cell, pictures, plan, out, batch_size, device)
    facts, contributions = summarised(WORKER.metric(cell.scenes, plan, device, out), measured)
    seconds = there.manifest["seconds"] if there else time.perf_counter() - start + saved
    with Draft(out) as draft:
        draft.write(ARRAYS, packed(measured))
        if contributions:
            draft.write(CONTRIBUTIONS, packed(contributions))
        key = metric_key(cell, pictures, plan.identity)
        return draft.publish(path, {"key": key, "metric": plan.name, **facts, "seconds": seconds}, there)


def _measured(
    cell: Cell, pictures: Entry, plan: MetricPlan, out: Path, batch_size: int, device: str
) -> tuple[dict[str, np.ndarray], float]:
    """A metric's arrays of all scenes of a cell, and the seconds that measuring the remembered batches had taken."""
    metric: Metric = WORKER.metric(cell.scenes, plan, device, out)
    of_all = digest([cell.scenes.fingerprint, cell.scenes.dataset, plan.identity, device])
    parts: list[dict[str, np.ndarray]] = []
    counts: list[int] = []
    fresh: dict[tuple[Any, ...], tuple[dict[str, np.ndarray], float]] = {}
    saved = 0.0
    with torch.inference_mode():
        for ids in batches(cell.scenes.ids, batch_size):
            places = range(sum(counts), sum(counts) + len(ids))
            counts.append(len(ids))
            key = (of_all, ids, *(_file_digest(pictures, place) for place in places))
            if key in WORKER.measured:
                part, seconds = WORKER.measured[key]
                parts.append(part)
                saved += seconds
                continue
            start = time.perf_counter()
            scene = WORKER.scene(cell.scenes, ids)
            generated = np.stack([_decoded(pictures, place) for place in places])
            comparison = Comparison(
                generated=torch.from_numpy(generated).permute(0, 3, 1, 2).float().div_(255),
                original=scene.image,
                labels=scene.labels,
                instances=scene.instances,
                depth=scene.depth,
            )
            with house_rules():
                parts.append(metric.measure(comparison))
            fresh[key] = (parts[-1], time.perf_counter() - start)
    whole = joined(parts, counts, metric.name)
    with suppress(ValueError):  # larger than the memory for them
        WORKER.measured.update(fresh)
    return whole, saved


def read_arrays(entry: Entry) -> dict[str, np.ndarray]:
    """A metric's per-scene arrays from its sealed folder, verified, loaded without pickle."""
    return unpacked(entry.read(ARRAYS))


def find_cell(cell: Cell, out: Path, warn: bool = True, known: Verified | None = None) -> Entry | None:
    """The cell in the cache, verified, or None; what is `known` is taken as it was verified before."""
    path = cell_path(out, cell)
    return known.open(path, lambda: cell.key, cell.key_digest) if known else open_entry(path, warn, cell.key)


def find_metric(
    cell: Cell, pictures: Entry, plan: MetricPlan, out: Path, warn: bool = True, known: Verified | None = None
) -> Entry | None:
    """A metric's measurement in the cache as of `find_cell`; one that was summarised otherwise is none."""
    if known is None:
        entry = _measured_before(cell, pictures, plan, out, warn)
    else:
        entry = known.open(
            metric_path(out, cell, pictures, plan),
            lambda: metric_key(cell, pictures, plan.identity),
            _metric_digest(cell, pictures, plan),
        )
    return entry if entry is not None and entry.about.get("summary") == plan.summary else None


def _measured_before(cell: Cell, pictures: Entry, plan: MetricPlan, out: Path, warn: bool = False) -> Entry | None:
    """A metric's measurement in the cache, verified, however it was summarised; None where there is none."""
    return open_entry(metric_path(out, cell, pictures, plan), warn, metric_key(cell, pictures, plan.identity))
