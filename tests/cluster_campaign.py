"""Workers and a scheduler killed at seeded moments of a real sweep, compared with one machine's run byte for byte.

    python -m tests.cluster_campaign --out FOLDER                 # 7 methods x 7 PSNRs x 64 scenes, 10 kills
    python -m tests.cluster_campaign --out FOLDER --methods full_image,oasis --psnr 30,10 --scenes 8 --kills 3

Kills are spread over working time: one after each of so many finished cells, at a random worker, after a random part of
a cell's mean time. What came of it is printed, kept in TO/cluster.json and told in TO/cluster.md (without --to that is
FOLDER); the exit code is 0 where all holds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from bench.api.provenance import commit_in_words
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


def facts_of(out: Path) -> dict[str, Any]:
    """Where a folder's last run was."""
    run = whole_results(out)[1]["runs"][-1]
    return {name: run[name] for name in ("commit", "dirty", "cpu", "date")} | {"cores": os.cpu_count()}


def told(report: dict[str, Any], path: Path) -> None:
    """The page of a report."""
    two, facts = report["two"], report["facts"]
    path.write_text(
        f"""# Two Dask workers, one killed after the other

{report["cells"]} cells on one machine, and on two workers of a Dask scheduler with different working folders, of which
one is killed (`kill -9`) and replaced at {len(two["killed"])} moments of working time; then once more, and the
scheduler is killed:

    bench run {" ".join(report["sweep"])}

| what | |
| --- | --- |
| workers killed, when so many cells were finished | {", ".join(str(kill["finished"]) for kill in two["killed"])} |
| exit code | {two["exit"]} |
| pictures equal one machine's, byte for byte | {_word(two["pictures_equal"])} |
| rows equal one machine's ({two["rows"]:,}) | {_word(two["rows_equal"])} |
| rows twice | {two["twice"]} |
| temporary files and claims left over | {len(two["left_over"])} |
| exit code without the scheduler | {report["no_scheduler"]["exit"]} |
| what is said then | {report["no_scheduler"]["said"]} |

`python -m tests.cluster_campaign --out DIR --to results/performance`, {two["seconds"]:.0f} s with the kills;
{facts["cores"]} cores of {facts["cpu"]}, commit {commit_in_words(facts)[:8]}, {facts["date"][:10]}.
""",
        encoding="utf-8",
    )


def _word(holds: bool) -> str:
    return "yes" if holds else "no"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--psnr", default="all")
    parser.add_argument("--scenes", default="64")
    parser.add_argument("--metrics", default="mIoU,LPIPS")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, help="where the page goes")
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
    report |= {"sweep": sweep, "facts": facts_of(two), "holds": holds}
    text = json.dumps(report, indent=1)
    to = asked.to or asked.out
    (to / "cluster.json").write_text(text + "\n")
    told(report, to / "cluster.md")
    print(text)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
