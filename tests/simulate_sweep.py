"""A sweep of any size from drawn values, and what its results cost: `python -m tests.simulate_sweep DIR --rows 63e6`.

Sealed cells and measurements are written as workers write them, with pictures of a few bytes. Then each step runs as a
process of its own: gathering all rows (`bench run`'s last step), a table, a comparison, the site, and the same run once
more. Their seconds and peak memory are printed, kept in TO/sweep.json, drawn a row in TO/sweep.png and told in
TO/sweep.md; without --to that is DIR.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.api.channel import PAPER_PSNRS
from bench.api.device import Devices
from bench.api.files import Draft
from bench.api.provenance import code_provenance, commit_in_words
from bench.api.scores import score_info
from bench.channels.awgn import Awgn
from bench.config import Config
from bench.run.cell import ARRAYS, cell_path, metric_key, metric_path
from bench.run.plan import Cell, MethodPlan, MetricPlan, Plan, SceneSet
from bench.run.summary import CONTRIBUTIONS, packed

SEEDS = 3
#: metric -> its scores with contributions, and those of single scenes: with the costs twelve rows a scene.
METRICS = {
    "mIoU": (("mIoU", "mIoU[judge]"), ("mIoU[scene]",)),
    "LPIPS": ((), ("LPIPS",)),
    "FID[lite0]": (("FID[lite0]", "KID[lite0]"), ()),
    "depth": ((), ("AbsRel", "RMSE", "delta1", "AbsRel[judge]", "RMSE[judge]", "delta1[judge]")),
    "objects": (("AP50", "recall"), ("recall[scene]",)),
}
ROWS_A_SCENE = 12
WRITE = "write the cache"


def plan_of(rows: float) -> Plan:
    """About so many rows: 50 methods and 5,000 scenes at 63 million, fewer of both below."""
    scenes = max(100, round(5000 * min(1.0, (rows / 63e6) ** 0.5)))
    methods = max(1, round(rows / (ROWS_A_SCENE * scenes * len(PAPER_PSNRS) * SEEDS)))
    ids = tuple(f"test-{k:06d}" for k in range(scenes))
    one = SceneSet("streets", "streets", None, (64, 128), "test", ids, "f" * 64, scenes)
    cells = [
        Cell(
            one,
            MethodPlan(f"method_{m:02d}", "embedded", {}, None, {"name": f"method_{m:02d}"}),
            Awgn(psnr),
            seed,
            "cpu",
        )
        for m in range(methods)
        for psnr in PAPER_PSNRS
        for seed in range(SEEDS)
    ]
    metrics = tuple(MetricPlan(name, f"{name}|simulated", {"name": name}, None, "1") for name in METRICS)
    return Plan(tuple(cells), {"streets": metrics}, Devices("cpu", ("cpu",)))


def write_cell(out: Path, metrics: tuple[MetricPlan, ...], provenance: dict[str, Any], cell: Cell) -> None:
    """One cell and its measurements, of values that its key draws."""
    if cell_path(out, cell).is_dir() and len(list((out / "metrics" / cell.name).glob("*"))) == len(metrics):
        return  # of a simulation that was stopped
    drawn_by = cell.key_digest
    rng = np.random.default_rng(int(drawn_by[:12], 16))
    count = len(cell.scenes.ids)
    facts = []
    with Draft(out) as draft:
        for k, scene in enumerate(cell.scenes.ids):
            draft.pack(f"{k:05d}-{scene}.png", drawn_by[:8].encode() + k.to_bytes(4, "little"))
            cost = {
                "bits": int(rng.integers(1000, 9000)),
                "side_bytes": 9,
                "channel_uses": 8192,
                "energy": rng.random(),
            }
            facts.append({"id": scene, "file": f"{k:05d}-{scene}.png", **cost})
        told = {
            "key": cell.key, "scenes": facts, "sigma": cell.channel.sigma, "peak_snr_db": None, "seconds": 1.0,
            "peak_mib": 1.0, "batch_size": 8, "device": "cpu", "provenance": provenance,
        }  # fmt: skip
        pictures = draft.publish(cell_path(out, cell), told)
    for metric in metrics:
        kept, single = METRICS[metric.name]
        values = {name: rng.random(count) for name in single}
        whole = {name: rng.random() for name in kept} | {
            n: float(v.mean()) for n, v in values.items() if "scene" not in n
        }
        names = [*whole, *(name for name in values if name not in whole)]
        draws = {name: rng.normal(size=count) for name in kept}
        error = {name: v.std(ddof=1) / math.sqrt(count) for name, v in draws.items()}
        with Draft(out) as draft:
            draft.write(ARRAYS, packed({"values": np.zeros(count)}))
            if draws:
                draft.write(CONTRIBUTIONS, packed(draws))
            told = {
                "key": metric_key(cell, pictures, metric.identity), "metric": metric.name, "summary": metric.summary,
                "protocol": dict.fromkeys(names, metric.protocol),
                "higher_is_better": {name: score_info(name).higher_is_better for name in names},
                "scores": [
                    {"metric": name, "value": value, "std": None, "stderr": error.get(name), "scenes": count}
                    for name, value in whole.items()
                ],
                "per_scene": {name: v.tolist() for name, v in values.items()}, "notes": [], "seconds": 1.0,
            }  # fmt: skip
            draft.publish(metric_path(out, cell, pictures, metric), told)


def gather(out: Path, rows: float) -> None:
    """The last step of `bench run`, and what it prints; nothing is left to compute."""
    from bench.cli.run import print_summary
    from bench.results.compute import compute

    plan = plan_of(rows)
    config = Config()
    config = config.model_copy(update={"run": config.run.model_copy(update={"out": out, "backend": "sequential"})})
    computed = compute(plan, config, lambda tasks, outcomes, workers: outcomes)
    if computed.report.computed or computed.report.measured:
        sys.exit("cells were computed: the simulated ones were not found")
    print_summary(plan, computed, out)


def measured(*arguments: str) -> dict[str, float]:
    """Seconds and MiB at most of a command's process."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(arguments)} failed")
    cpu = usage.ru_utime + usage.ru_stime
    return {"seconds": time.perf_counter() - start, "cpu_seconds": cpu, "mib": usage.ru_maxrss / 1024}


def simulated(folder: Path, rows: float) -> Iterator[dict[str, Any]]:
    """Each step at one size."""
    out = folder / f"rows-{rows:.0f}"
    out.mkdir(parents=True, exist_ok=True)
    plan = plan_of(rows)
    start = time.perf_counter()
    with ProcessPoolExecutor(2) as pool:
        write = partial(write_cell, out, plan.metrics["streets"], code_provenance())
        list(pool.map(write, plan.cells, chunksize=4))
    count = ROWS_A_SCENE * len(plan.cells) * len(plan.cells[0].scenes.ids)
    about = {"rows": count, "cells": len(plan.cells), "scenes": len(plan.cells[0].scenes.ids)}
    yield about | {"step": WRITE, "seconds": time.perf_counter() - start, "cpu_seconds": 0.0, "mib": 0.0}
    run = ("-m", "tests.simulate_sweep", str(folder), "--gather", str(out), "--rows", str(rows))
    bench = ("-m", "bench")
    yield about | {"step": "gather"} | measured(*run)
    yield about | {"step": "table mIoU"} | measured(*bench, "table", "mIoU", "--out", str(out))
    if len({cell.method.spec for cell in plan.cells}) > 1:
        yield about | {"step": "compare"} | measured(*bench, "compare", "method_00", "method_01", "--out", str(out))
    yield about | {"step": "same run again"} | measured(*run)
    (out / "cells").rename(out / "hidden")  # whose pictures are none that a site could show
    site = (*bench, "leaderboard", "build", "--results", str(out), "--out", str(folder / "site"))
    yield about | {"step": "site"} | measured(*site)
    shutil.rmtree(folder / "site")
    shutil.rmtree(out)


def drawn(costs: list[dict[str, Any]], path: Path) -> None:
    """Microseconds a row, of a processor's time, and MiB against rows, by step."""
    import matplotlib.pyplot as plt

    figure, (time_axis, memory_axis) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for step in steps(costs):
        own = sorted((one["rows"], one["cpu_seconds"], one["mib"]) for one in costs if one["step"] == step)
        rows, seconds, mib = (np.array(values) for values in zip(*own, strict=True))
        time_axis.loglog(rows, 1e6 * seconds / rows, "o-", label=step)
        memory_axis.loglog(rows, mib, "o-", label=step)
    time_axis.set(xlabel="rows", ylabel="µs of a core a row")
    memory_axis.set(xlabel="rows", ylabel="MiB at most")
    time_axis.legend(frameon=False)
    figure.savefig(path, dpi=130)


def steps(costs: list[dict[str, Any]]) -> list[str]:
    """Those of `bench`, in their order."""
    return [step for step in dict.fromkeys(one["step"] for one in costs) if step != WRITE]


def told(costs: list[dict[str, Any]], facts: dict[str, Any], path: Path) -> None:
    """The page beside the picture."""
    lines = [
        "# What results cost from 10⁵ rows on", "",
        "![Time of a core a row, and memory, against rows](sweep.png)", "",
        "Each step is a process of its own over drawn values (`tests/simulate_sweep.py`). What a start costs is the",
        "slope on the left; gathering draws a plot, too. The same run again computes and writes nothing. Seconds (s)",
        "are a clock's, while the machine did other work as well; those of cores are a step's own.",
        "", "| rows | cells x scenes | step | s | s of cores | µs of a core a row | MiB at most |",
        "| ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for one in sorted(costs, key=lambda one: one["rows"]):
        if one["step"] != WRITE:
            lines.append(
                "| {rows:,} | {cells:,} x {scenes:,} | {step} | {seconds:.1f} | {cpu_seconds:.1f} | ".format(**one)
                + f"{1e6 * one['cpu_seconds'] / one['rows']:.2f} | {one['mib']:,.0f} |"
            )
    sizes = ",".join(f"{size:g}" for size in sorted({one["asked"] for one in costs}))
    commits = ", ".join(dict.fromkeys(one["commit"] for one in costs))
    lines += [
        "", f"`python -m tests.simulate_sweep DIR --rows {sizes} --to results/performance`; {facts['cores']} cores of "
        f"{facts['cpu']}, commit {commits}, {facts['date']}.",
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """The sizes asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", default="1e5", help="sizes, comma-separated")
    parser.add_argument("--to", type=Path, help="where the page goes")
    parser.add_argument("--gather", type=Path)
    asked = parser.parse_args()
    if asked.gather:
        gather(asked.gather, float(asked.rows))
        return
    to = asked.to or asked.folder
    kept = to / "sweep.json"
    costs = json.loads(kept.read_bytes())["costs"] if kept.is_file() else []
    facts = {**code_provenance(), "cores": os.cpu_count(), "date": datetime.date.today().isoformat()}
    for rows in map(float, asked.rows.split(",")):
        for one in simulated(asked.folder, rows):
            one = {**one, "asked": rows, "commit": commit_in_words(facts)[:8]}
            costs = [o for o in costs if (o["rows"], o["step"]) != (one["rows"], one["step"])] + [one]
            line = "{rows:>11,} rows  {step:<16} {seconds:8.1f} s ({cpu_seconds:.1f} s of cores) {mib:8.0f} MiB"
            print(line.format(**one), flush=True)
            kept.write_text(json.dumps({"costs": costs, **facts}, indent=1) + "\n")
    drawn(costs, to / "sweep.png")
    told(costs, facts, to / "sweep.md")


if __name__ == "__main__":
    main()
