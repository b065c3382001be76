"""`bench speed pipeline`: what a scene costs on the whole way from its rendering to the last metric, stage by stage."""

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.api.files import write_files
from bench.api.metric import Comparison, MetricContext
from bench.api.provenance import commit_in_words
from bench.config import Config, RunSection
from bench.run.cell import batches, channel_streams, png, receiver_streams
from bench.run.contract import as_bytes
from bench.run.plan import Cell, MetricPlan, make_plan
from bench.run.transport import Arrival, transport
from bench.run.worker import WORKER, keep_freed_memory, one_thread
from bench.speed.anchors import OURS, Anchor, inception, measure_anchor, sampler
from bench.speed.report import circumstances
from bench.speed.timing import count_flops, matmul_peak, timed

#: The paper's T, as the published samplers take it.
PAPERS_STEPS = 1000
#: Rounds of what later cells cost; the fastest counts.
ROUNDS = 5
Stages = dict[str, Callable[[], object]]


def stages(cell: Cell, metrics: Sequence[MetricPlan], ids: Sequence[str], device: str) -> Stages:
    """What a worker does with scenes of a cell, name -> a call that does it with what the calls before it made.

    What the harness remembers of whole pictures and of measurements is not asked for: that is no work.
    """
    pair, now = WORKER.pair(cell, device), dict[str, Any]()
    streams = partial(channel_streams, cell, ids)
    way = transport(cell.method, cell.channel, streams)

    def render() -> None:
        now["scene"] = WORKER.scene(cell.scenes, ids)

    def send() -> None:
        now["sent"] = way.send(pair.sender, now["scene"])

    def channel() -> None:
        arriving = zip(now["sent"].symbols, streams(), strict=True)
        now["arrivals"] = [Arrival(*cell.channel.observe(*one)) for one in arriving]

    def receive() -> None:
        delivered, rngs = way.deliver(now["sent"], now["arrivals"]), receiver_streams(cell, ids)
        shown = delivered.shown_by(pair.receiver, rngs, range(len(ids)))
        now["pixels"] = as_bytes(shown, len(ids), cell.scenes.size, cell.method.spec)

    def files() -> None:
        read = np.stack([np.array(Image.open(io.BytesIO(png(pixels)))) for pixels in now["pixels"]])
        scene = now["scene"]
        generated = torch.from_numpy(read).permute(0, 3, 1, 2).float().div_(255)
        now["seen"] = Comparison(generated, scene.image, scene.labels, scene.instances, scene.depth)

    def measure(plan: MetricPlan) -> None:
        WORKER.metric(cell.scenes, plan, device).measure(now["seen"])

    return {
        **{one.__name__: one for one in (render, send, channel, receive, files)},
        **{plan.name: partial(measure, plan) for plan in metrics},
    }


def measure_pipeline(
    methods: tuple[str, ...],
    metrics: tuple[str, ...],
    dataset: str,
    psnr: float,
    scenes: int,
    device: str,
    anchors: bool,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Rows (one a method and stage) and the matmul peak, JSON-serialisable; seconds and operations are of one scene.

    With `anchors`, rows of `bench.speed.anchors` too, and `missing`, what packages they lack.

    One process and thread; on the CPU its own CPU seconds, so that what else runs there counts less. Other scenes warm
    everything up; then the stages run in turn over `scenes` scenes of the method's own, which are new to them in the
    first round (`first_seconds`) and known in the others, as in every later cell of a sweep.
    """
    plan = make_plan(
        Config(
            run=RunSection(
                methods=methods,
                metrics=metrics,
                datasets=(dataset,),
                psnr=(psnr,),
                scenes=scenes * (1 + len(methods)),
                device=device,
                jobs=1,
            )
        )
    )
    name = plan.devices.names[0]
    where = torch.device(name)
    clock = time.process_time if where.type == "cpu" else time.perf_counter
    rows: list[dict[str, Any]] = []
    beside: list[dict[str, Any]] = []
    missing: list[str] = []
    peaks: list[float] = []
    keep_freed_memory()
    with one_thread(), torch.inference_mode():
        facts = circumstances(where)
        for number, cell in enumerate(plan.cells, 1):
            report(cell.method.spec)
            warm_up, *others = batches(cell.scenes.ids, scenes)
            ids = others[number % len(others)] if others else warm_up
            for stage in stages(cell, plan.metrics[dataset], warm_up, name).values():
                stage()
            calls = stages(cell, plan.metrics[dataset], ids, name)
            rounds = []
            for _ in range(1 + ROUNDS):
                peaks.append(matmul_peak(where, torch.float32, clock))
                rounds.append([timed(call, where, clock) / len(ids) for call in calls.values()])
            for (stage_name, call), (first, *later) in zip(calls.items(), zip(*rounds, strict=True), strict=True):
                rows.append(
                    {
                        "method": cell.method.spec,
                        "stage": stage_name,
                        "first_seconds": first,
                        "seconds": min(later),
                        "operations": count_flops(call) / len(ids),
                    }
                )
        for anchor in _anchors(plan.cells, scenes, name) if anchors else ():
            report(anchor.work)
            missing += anchor.missing
            told, peak = measure_anchor(anchor, scenes, ROUNDS, where, clock)
            beside += told
            peaks.append(peak)
    return {
        "dataset": dataset,
        "psnr": psnr,
        "scenes": scenes,
        "peak": max(peaks),
        "rows": rows,
        "anchors": beside,
        "missing": missing,
        "provenance": facts,
    }


def _anchors(cells: Sequence[Cell], scenes: int, device: str) -> Iterator[Anchor]:
    """Others' code beside the cells' samplers and FID, on originals."""
    first = cells[0].scenes
    pictures = WORKER.scene(first, first.ids[:scenes]).image
    for cell in cells:
        if (found := sampler(WORKER.pair(cell, device).receiver, pictures)) is not None:
            yield found
    yield inception(pictures, MetricContext.of(WORKER.source(first), device_name=device))


def as_markdown(measured: dict[str, Any]) -> str:
    """A table of the stages, a line of scenes a second for each method, and where the numbers come from."""
    rows, facts, peak = measured["rows"], measured["provenance"], measured["peak"]
    head = ["method", "stage", "ms, scene new", "ms, scene known", "share", "GFLOP", "of the matmul peak"]
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
    told = []
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        new, known, work = (sum(row[key] for row in mine) for key in ("first_seconds", "seconds", "operations"))
        whole = {"stage": "whole way", "first_seconds": new, "seconds": known, "operations": work}
        for row in (*mine, whole):
            speed = row["operations"] / row["seconds"] / peak
            cells = [f"{1e3 * row[key]:.2f}" for key in ("first_seconds", "seconds")]
            gflop = [f"{row['operations'] / 1e9:.2f}", f"{speed:.0%}"] if row["operations"] else ["-", "-"]
            lines.append([method, row["stage"], *cells, f"{row['seconds'] / known:.0%}", *gflop])
        told.append(f"- {method}: {1 / known:.1f} scenes a second and core, {1 / new:.1f} where scenes are new.")
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    beside = "".join(f"\n{line}" for line in _anchor_lines(measured))
    load = "unknown" if facts["load_before"] is None else f"{facts['load_before']:.1f}"
    return (
        f"# Speed of the whole way: {measured['dataset']} at {measured['psnr']:g} dB\n\n{table}\n\n"
        + "\n".join(told)
        + beside
        + "\n\nOne process and thread (on the CPU: its CPU seconds), one scene of a batch of "
        f"{measured['scenes']}. A scene is new in a sweep's first cell; from then on it is kept, codecs and metrics "
        f"know it, and the fastest of {ROUNDS} rounds counts. Matmul peak {peak / 1e9:.0f} GFLOP/s, measured in every "
        f"round. {facts['device']} ({facts['cpu']}), {facts['cores']} cores, load {load} before the run; "
        f"torch {facts['packages'].get('torch')}, commit {commit_in_words(facts)}. "
        f"`{facts['command']}`, {facts['date']}.\n"
    )


def _anchor_lines(measured: dict[str, Any]) -> Iterator[str]:
    """A table of what others' code takes beside ours, and what to install for more of it."""
    rows, peak = measured["anchors"], measured["peak"]
    if rows:
        yield from ("", "Beside code that others published, on the same scenes:", "")
        yield "| work | way | ms | scenes a second and core | ours | GFLOP | of the matmul peak |"
        yield "| --- | --- | " + " | ".join(["---:"] * 5) + " |"
    ours = {row["work"]: row["seconds"] for row in rows if row["way"] == OURS}
    for row in rows:
        seconds, work = row["seconds"], row["operations"]
        ratio = "" if row["way"] == OURS else f"{seconds / ours[row['work']]:.2f} times as fast"
        yield (
            f"| {row['work']} | {row['way']} | {1e3 * seconds:.2f} | {1 / seconds:.1f} | {ratio} | {work / 1e9:.2f} | "
            f"{work / seconds / peak:.0%} |"
        )
    for row in rows:
        if row["steps"] and row["way"] != OURS:
            whole = row["seconds"] * PAPERS_STEPS / row["steps"]
            yield from ("", f"{row['work'].partition(',')[0]}, {row['way']}, {PAPERS_STEPS} steps: {whole:.0f} s.")
    for package in measured["missing"]:
        yield from ("", f"Left out: {package} is not installed; `pip install {package}`.")


def write_pipeline(measured: dict[str, Any], out: Path) -> list[Path]:
    """Write OUT/pipeline-DATASET-DEVICE.json and .md; the files made."""
    device = "cpu" if measured["provenance"]["device"] == "cpu" else "cuda"
    stem = f"pipeline-{measured['dataset']}-{device}"
    text = json.dumps({"kind": "pipeline", **measured}, indent=1, allow_nan=False) + "\n"
    return write_files(out, {f"{stem}.json": text.encode(), f"{stem}.md": as_markdown(measured).encode()})
