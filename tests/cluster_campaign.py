"""Workers and a scheduler killed at seeded moments of a real sweep, compared with one machine's run byte for byte.

    python -m tests.cluster_campaign --out FOLDER                 # 7 methods x 7 PSNRs x 64 scenes, 10 kills
    python -m tests.cluster_campaign --out FOLDER --methods full_image,oasis --psnr 30,10 --scenes 8 --kills 3

Kills are spread over working time: one after each of so many finished cells, at a random worker, after a random part of
a cell's mean time. What came of it is printed, and kept in FOLDER/report.json; the exit code is 0 where all holds.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from bench.results.files import whole_results
from bench.results.schema import CONTRIBUTIONS
from bench.results.tidy import unfolded
from tests.bench.dask_processes import Dask

METHODS = "full_image,spade,ccfpse,smis,oasis,sdm,gesco"
KEYS = ["dataset", "method", "channel", "psnr", "seed", "metric", "scene"]


def bench(out: Path, *arguments: str) -> subprocess.Popen[str]:
    out.mkdir(parents=True)
    command = [sys.executable, "-m", "bench", "run", "--device", "cpu", "--out", str(out), *arguments]
    with (out / "said").open("w") as said:
        return subprocess.Popen(command, stdout=said, stderr=said, text=True)


def cells(out: Path) -> int:
    return len(list((out / "cells").glob("*/*/*/manifest.json")))


def measured(out: Path) -> tuple[dict[str, str], pd.DataFrame]:
    """Digests of every cell's pictures, and all rows but what a cell cost, in one order."""
    frame, facts = whole_results(out)
    frame = unfolded(frame)
    frame = frame[~frame["metric"].isin(["seconds", "memory"])].sort_values(KEYS).reset_index(drop=True)
    frame[CONTRIBUTIONS] = [None if part is None else part.tobytes() for part in frame[CONTRIBUTIONS]]
    return {cell: about["sha256"] for cell, about in facts["pictures"].items()}, frame


def with_kills(out: Path, sweep: list[str], count: int, kills: int, draw: random.Random) -> dict[str, Any]:
    """A sweep of `count` cells on two workers of which one after the other is killed."""
    dask = Dask(out.with_name(f"{out.name}-dask"), 2)
    try:
        start, killed = time.monotonic(), []
        driver = bench(out, *sweep, "--cluster", dask.address, "--retries", str(kills))
        for number in range(kills):
            after = 1 + number * (count - 2) // kills  # working time: a cell is finished, and one is left
            while driver.poll() is None and cells(out) < after:
                time.sleep(0.05)
            time.sleep(draw.random() * (time.monotonic() - start) / max(cells(out), 1))
            alive = [worker for worker in dask.workers if worker.poll() is None]
            if driver.poll() is not None or not alive:
                break
            draw.choice(alive).kill()
            killed.append({"seconds": round(time.monotonic() - start, 1), "finished": cells(out)})
            dask.add()
        return {"killed": killed, "exit": driver.wait(), "seconds": round(time.monotonic() - start, 1)}
    finally:
        dask.end()


def without_scheduler(out: Path, sweep: list[str]) -> dict[str, Any]:
    """The exit code and the last line of a sweep whose scheduler is killed after the first cell."""
    dask = Dask(out.with_name(f"{out.name}-dask"), 2)
    try:
        driver = bench(out, *sweep, "--cluster", dask.address)
        while driver.poll() is None and cells(out) < 1:
            time.sleep(0.05)
        dask.scheduler.kill()
        code = driver.wait()
        return {"exit": code, "said": (out / "said").read_text().strip().splitlines()[-1]}
    finally:
        dask.end()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--psnr", default="all")
    parser.add_argument("--scenes", default="64")
    parser.add_argument("--metrics", default="mIoU,LPIPS")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    sweep = ["--methods", asked.methods, "--psnr", asked.psnr, "--scenes", asked.scenes, "--metrics", asked.metrics]
    one, two = asked.out / "one", asked.out / "two"
    report: dict[str, Any] = {"one": {"exit": bench(one, *sweep).wait()}}
    count = report["cells"] = cells(one)
    report["two"] = with_kills(two, sweep, count, asked.kills, random.Random(asked.seed))
    (pictures, rows), (others, other_rows) = measured(one), measured(two)
    report["two"] |= {
        "pictures_equal": pictures == others,
        "rows_equal": rows.equals(other_rows),
        "rows": len(other_rows),
        "twice": int(other_rows.duplicated(KEYS).sum()),
        "left_over": sorted(
            str(path.relative_to(two)) for name in ("tmp", "claims") for path in (two / name).iterdir()
        ),
    }
    report["no_scheduler"] = without_scheduler(asked.out / "three", sweep)
    holds = (
        report["one"]["exit"] == report["two"]["exit"] == report["two"]["twice"] == 0
        and report["two"]["pictures_equal"]
        and report["two"]["rows_equal"]
        and len(report["two"]["killed"]) == asked.kills
        and not report["two"]["left_over"]
        and report["no_scheduler"]["exit"] == 1
        and "the same command goes on from there" in report["no_scheduler"]["said"]
    )
    text = json.dumps({**report, "holds": holds}, indent=1)
    (asked.out / "report.json").write_text(text + "\n")
    print(text)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
