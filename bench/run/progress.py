"""How long cells will take, from what was computed before or rough constants, and how far a run has come."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.files import MANIFEST, safe_name

if TYPE_CHECKING:
    from rich.console import Console

    from bench.run.execute import Outcome, Task
    from bench.run.plan import Cell, MetricPlan

#: Seconds between two lines where the output is no terminal.
LINE_SECONDS = 20.0


class RunProgress:
    """Wraps a stream of outcomes: a bar with rate and remaining time on a terminal, a line now and then elsewhere.

    Remaining time weighs cells by their estimated seconds: one of GESCO takes as long as hundreds of full images.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    def __call__(self, tasks: list[Task], outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        """The outcomes as they come, told on the console."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        weights = {task.cell.name: task.estimate + 0.1 for task in tasks}
        whole = sum(weights.values())
        columns = (
            TextColumn("{task.fields[cells]}/{task.fields[of]} cells"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        lines = not self.console.is_terminal
        with Progress(*columns, console=self.console, disable=lines) as bar:
            start = last = time.perf_counter()
            scenes, done = 0, 0.0
            row = bar.add_task("", total=whole, cells=0, of=len(tasks), rate="")
            for cells, outcome in enumerate(outcomes, 1):
                scenes += len(outcome.cell.scenes.ids)
                done += weights[outcome.cell.name]
                now = time.perf_counter()
                rate = f"{scenes / (now - start):.1f} scenes/s"
                bar.update(row, completed=done, cells=cells, rate=rate)
                if lines and (now - last >= LINE_SECONDS or cells == len(tasks)):
                    last, left = now, in_words(max((now - start) * (whole - done) / done, 0))
                    self.console.print(f"{cells}/{len(tasks)} cells, {rate}, {left} left", highlight=False)
                yield outcome


#: Seconds a scene where no cell of the method has been computed yet: of the order of an embedded network on one core.
GUESS_SECONDS_A_SCENE = 1.0
#: Likewise of a metric: they take 0.01 to 0.05 s a scene of the embedded size on one core.
GUESS_METRIC_SECONDS_A_SCENE = 0.02
#: Measurements read for a metric's mean; each file holds a number for every scene.
READ_METRICS = 4


@dataclass(frozen=True)
class Estimate:
    """Seconds for one cell on one worker, and whether those of its pictures are measured or the constant."""

    seconds: float
    measured: bool


class History:
    """Seconds a scene below OUT, by data set, size, kind of device and, of cells, method."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._means: dict[tuple[Any, ...], float | None] = {}

    def estimate(self, cell: Cell, pictures: bool = True, metrics: Sequence[MetricPlan] = ()) -> Estimate:
        """Seconds that `cell` will take: its pictures, where `pictures`, and `metrics` on them."""
        count = len(cell.scenes.ids)
        seconds = sum(self._a_scene(cell, metric) or GUESS_METRIC_SECONDS_A_SCENE for metric in metrics)
        drawing = self._a_scene(cell) if pictures else 0.0
        seconds += GUESS_SECONDS_A_SCENE if drawing is None else drawing
        return Estimate(count * seconds, drawing is not None)

    def _a_scene(self, cell: Cell, metric: MetricPlan | None = None) -> float | None:
        """Mean seconds a scene of the cell's pictures, or of the metric on such cells; None where nothing is known."""
        scenes = cell.scenes
        name = metric.name if metric else cell.method.spec
        key = (scenes.dataset, name, metric is None, scenes.size, cell.device_kind)
        if key not in self._means:
            files: Iterable[Path]
            if metric is None:
                files = (self.out / "cells" / cell.name).parent.glob(f"*/{MANIFEST}")
            else:
                folder = self.out / "metrics" / safe_name(scenes.dataset)
                files = islice(folder.glob(f"*/*/{safe_name(metric.name)}-*/{MANIFEST}"), READ_METRICS)
            self._means[key] = _mean(files, cell)
        return self._means[key]


def _mean(files: Iterable[Path], like: Cell) -> float | None:
    """Seconds a scene over the manifests of cells or metrics that are of the size and kind of device of `like`."""
    seconds, scenes = 0.0, 0
    for file in files:
        try:
            manifest = json.loads(file.read_bytes())
            key = manifest["key"].get("cell", manifest["key"])
            if key["size"] == list(like.scenes.size) and key["device"] == like.device_kind:
                seconds += float(manifest["seconds"])
                scenes += len(key["scenes"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue  # only an estimate: damage tells nothing
    return seconds / scenes if scenes else None


def in_words(seconds: float) -> str:
    """A duration for people: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def total(estimates: Sequence[Estimate], workers: int) -> tuple[float, int]:
    """Seconds for all on `workers` workers, and how many of them are guesses."""
    longest = max((e.seconds for e in estimates), default=0.0)
    seconds = max(longest, sum(e.seconds for e in estimates) / max(workers, 1))
    return seconds, sum(not e.measured for e in estimates)
