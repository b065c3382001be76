"""README's sweep and `--methods all` by two checkouts in turn, whole processes: how many times as fast is the second?

Each checkout has its own `.venv` with the package and everything that it needs. The page `against.md` is made of what
is measured; times mean something on an idle machine, ratios also beside other work, which is unfair to neither:

    git worktree add --detach ../before 4fc5360
    python -m venv ../before/.venv && ../before/.venv/bin/pip install -e ../before
    python results/performance/against.py ../before . --rounds 2
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.api.device import cores, cpu_name

PAGE = Path(__file__).with_suffix(".md")
README, ALL = "gesco,smis,full_image", "all"
#: Whose pictures metrics are timed on: what they show makes no difference to time.
METHOD = "full_image"
Run = dict[str, Any]


def seconds_of(checkout: Path, out: Path, methods: str, scenes: int) -> tuple[float, float]:
    """Seconds on a clock, and of all cores, of one sweep as a process of its own."""
    command = [str(checkout / ".venv/bin/bench"), "run", "--methods", methods, "--psnr", "all", "--scenes", str(scenes)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, "--out", str(out)], cwd=checkout, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def metrics_ms(checkout: Path, out: Path, scenes: int) -> dict[str, float]:
    """Milliseconds of a core a picture of each metric, in one process over a sweep's pictures of `METHOD`."""
    script = Path(__file__).with_name("against_metrics.py").absolute()
    command = [str(checkout / ".venv/bin/python"), str(script), str(out), METHOD, str(scenes)]
    found: dict[str, float] = json.loads(subprocess.run(command, cwd=checkout, check=True, capture_output=True).stdout)
    return found


def measured(checkout: Path, out: Path, methods: str, scenes: int) -> Run:
    """One sweep into an empty folder, and the same command again."""
    wall, core = seconds_of(checkout, out, methods, scenes)
    pictures = scenes * sum(1 for _ in (out / "cells").rglob("manifest.json"))
    again, core_again = seconds_of(checkout, out, methods, scenes)
    return {"seconds": wall, "core_seconds": core, "pictures": pictures, "again": again, "core_again": core_again}


#: What is compared: heading -> value of a run. Seconds of a clock are in the JSON file only: they are those of all that
#: ran on the machine.
COLUMNS: dict[str, Callable[[Run], float]] = {
    "s of cores": lambda run: run["core_seconds"],
    "s of cores, all cached": lambda run: run["core_again"],
}


def spread(values: list[float], digits: int = 1) -> str:
    """The median, and the least and the most where there are several."""
    text = f"{statistics.median(values):.{digits}f}"
    return f"{text} ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else text


def compared(name: str, before: list[float], now: list[float]) -> str:
    """A row of values of each side and their ratio, round by round."""
    ratios = [old / new for old, new in zip(before, now, strict=True)]
    return f"| {name} | {spread(before)} | {spread(now)} | **{spread(ratios, 2)}** |"


def page(told: dict[str, Any]) -> str:
    """The measurement as a page."""
    lines = [
        "# Sweeps now and before", "",
        "Two checkouts in turn on one machine (`against.py`): median (least to most) of the rounds; a ratio is that of",
        "two runs of one round. Sweeps are whole processes and their workers, in seconds of cores, on which what else",
        "runs there tells less than on a clock's.", "",
        f"| | {' | '.join(commit[:7] for commit in told['commits'])} | ratio |", "| --- | ---: | ---: | ---: |",
    ]  # fmt: skip
    for sweep in told["sweeps"]:
        name = f"`--methods {sweep['methods']}`, {sweep['scenes']} scenes, {sweep['now'][0]['pictures']:,} pictures: "
        for heading, column in COLUMNS.items():
            lines.append(compared(name + heading, *([column(run) for run in sweep[s]] for s in ("before", "now"))))
    for metric in (*told["metrics"]["now"][0], "all metrics"):
        sides = [
            [one.get(metric, sum(one.values())) for one in told["metrics"][side] if metric in one or " " in metric]
            for side in ("before", "now")
        ]
        lines.append(compared(f"{metric}: ms of a core a picture", *sides))
    lines += [
        "", f"Metrics are timed in one process over the sweep's pictures of {METHOD}, originals, summaries and files",
        f"included, loading the networks not. {told['cores']} cores of {told['cpu']}, load {told['load']:.1f} before, "
        f"{told['date']}.", "", f"`{told['command']}`",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def commit_of(checkout: Path) -> str:
    """The commit, marked where files were changed."""
    said = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(["git", *said], cwd=checkout, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("now", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--scenes", type=int, default=64, help="of README's sweep")
    parser.add_argument("--scenes-of-all", type=int, default=16, help="of --methods all; 0 leaves it out")
    parser.add_argument("--metrics-rounds", type=int, default=2, help="of the metrics alone, in each round")
    parser.add_argument("--to", type=Path, default=PAGE)
    asked = parser.parse_args()
    facts = {
        "commits": [commit_of(one) for one in (asked.before, asked.now)], "cpu": cpu_name(), "cores": cores(),
        "load": os.getloadavg()[0], "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "command": f"python results/performance/against.py {' '.join(sys.argv[1:])}",
    }  # fmt: skip
    sweeps: list[dict[str, Any]] = [{"methods": README, "scenes": asked.scenes, "before": [], "now": []}]
    if asked.scenes_of_all:
        sweeps.append({"methods": ALL, "scenes": asked.scenes_of_all, "before": [], "now": []})
    metrics: dict[str, list[dict[str, float]]] = {"before": [], "now": []}
    sides = dict(zip(metrics, (asked.before.absolute(), asked.now.absolute()), strict=True))
    with tempfile.TemporaryDirectory() as name:
        for side, checkout in sides.items():  # files and libraries into memory
            seconds_of(checkout, Path(name) / side, METHOD, 2)
    for turn in range(asked.rounds):
        for sweep in sweeps:
            with tempfile.TemporaryDirectory() as name:
                for side, checkout in sides.items():
                    run = measured(checkout, Path(name) / side, sweep["methods"], sweep["scenes"])
                    sweep[side].append(run)
                    print(turn + 1, sweep["methods"], side, json.dumps(run), flush=True)
                for _ in range(asked.metrics_rounds if sweep["methods"] == README else 0):
                    for side, checkout in sides.items():
                        metrics[side].append(metrics_ms(checkout, Path(name) / side, sweep["scenes"]))
                        print(turn + 1, "metrics", side, json.dumps(metrics[side][-1]), flush=True)
            done = {**facts, "sweeps": [one for one in sweeps if one["now"]], "metrics": metrics}
            asked.to.with_suffix(".json").write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
            asked.to.write_text(page(done), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
