"""How long cells will take, from what was computed before or rough constants, and how far a run has come."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.files import MANIFEST, safe_name
from bench.api.names import PURE_NOISE

if TYPE_CHECKING:
    from rich.console import Console

    from bench.run.execute import Outcome, Task
    from bench.run.plan import Cell, MetricPlan

#: What is told of outcomes as they come, of so many workers: what a run was given to do, and the outcomes themselves.
Progress = Callable[[list["Task"], Iterator["Outcome"], int], Iterator["Outcome"]]

#: Seconds between two lines where the output is no terminal.
LINE_SECONDS = 20.0
#: Columns of a terminal from which on there is room for a bar.
BAR_WIDTH = 70
#: What a cell that takes longer than it should still takes at least, as a part of what it took already.
OVERDUE = 0.1


class Forecast:
    """Seconds that are left, from the tasks' estimates (by name) and how long tasks took compared with theirs.

    It is known from the start: before anything is finished the estimates alone tell, as if one of their mean had taken
    what was expected. Tasks begin in their order, and one that runs longer than it should slows the forecast at once.
    """

    def __init__(self, estimates: Mapping[str, float], workers: int) -> None:
        self._waiting = dict(estimates)
        self._running: dict[str, tuple[float, float]] = {}
        self._workers = max(workers, 1)
        self._taken = self._estimated = sum(estimates.values()) / max(len(estimates), 1)
        self._begin(0.0)

    def _begin(self, now: float) -> None:
        for name in list(self._waiting)[: self._workers - len(self._running)]:
            self._running[name] = self._waiting.pop(name), now

    def finished(self, name: str, now: float, workers: int = 0) -> None:
        """Note that a task is done, `now` seconds after the start, and how many workers there are then, if known."""
        self._workers = workers or self._workers
        if name in self._running:
            estimate, began = self._running.pop(name)
            self._taken += now - began
            self._estimated += estimate
        else:
            self._waiting.pop(name, None)
        self._begin(now)

    def seconds_left(self, now: float) -> float:
        """Until all are done."""
        pace = self._taken / self._estimated
        late = [(estimate, now - began) for estimate, began in self._running.values() if now - began > estimate * pace]
        pace = (self._taken + sum(taken for _, taken in late)) / (self._estimated + sum(e for e, _ in late))
        left = [
            max(estimate * pace - (now - began), OVERDUE * (now - began)) for estimate, began in self._running.values()
        ]
        return max(*left, 0.0, (sum(left) + pace * sum(self._waiting.values())) / self._workers)


class _Crew:
    """What is told of a cluster's workers beside the cells, and of failures anywhere."""

    def __init__(self) -> None:
        self._scenes = self._workers = self._failed = 0

    def hear(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self._scenes += len(outcome.cell.scenes.ids)
        self._workers = outcome.workers or self._workers
        self._failed += len(outcome.failures)

    def told(self, now: float) -> str:
        """The end of a line, `now` seconds after the start."""
        failed = f", {self._failed} failed" if self._failed or self._workers else ""
        if not self._workers:
            return failed
        return (
            f", {self._scenes / max(now, 0.1):.2g} scenes/s, {self._workers} worker{'s' * (self._workers != 1)}{failed}"
        )


class RunProgress:
    """Wraps a stream of outcomes: a bar on a terminal, a line at the start and now and then elsewhere.

    Cells are those that were asked for, references of pure noise are none. `told` makes a function that is called in
    the place of bar and lines, with the cells that are done, how many there are, and the times in words.
    """

    def __init__(
        self,
        console: Console,
        clock: Callable[[], float] = time.perf_counter,
        told: Callable[[], Callable[[int, int, str], None]] | None = None,
    ) -> None:
        self.console = console
        self._clock = clock
        self._told = told

    def __call__(self, tasks: list[Task], outcomes: Iterator[Outcome], workers: int) -> Iterator[Outcome]:
        """The outcomes as they come, told on the console."""
        from rich import progress as bars
        from rich.text import Text

        clock = self._clock
        start, done, crew = clock(), 0, _Crew()
        forecast = Forecast({task.cell.name: task.estimate + 0.1 for task in tasks}, workers)
        asked = {task.cell.name for task in tasks if task.cell.method.spec != PURE_NOISE}
        asked = asked or {task.cell.name for task in tasks}

        def times() -> str:
            now = clock() - start
            left = forecast.seconds_left(now)
            took = f"{in_words(now)} so far, about {in_words(left)} left" if left else f"in {in_words(now)}"
            return took + crew.told(now)

        class Times(bars.ProgressColumn):
            def render(self, task: bars.Task) -> Text:
                return Text(times())

        told = self._told() if self._told else None
        lines, room = not told and not self.console.is_terminal, self.console.width >= BAR_WIDTH
        columns = (
            bars.TextColumn("{task.completed} of {task.total} cells"), *([bars.BarColumn()] if room else []), Times(),
        )  # fmt: skip
        with bars.Progress(*columns, console=self.console, disable=bool(lines or told)) as bar:
            row, last = bar.add_task("", total=len(asked)), start
            if told:
                told(0, len(asked), times())
            if lines:
                self.console.print(f"0 of {len(asked)} cells, {times()}", highlight=False)
            for number, outcome in enumerate(outcomes, 1):
                now = clock()
                forecast.finished(outcome.cell.name, now - start, outcome.workers)
                crew.hear(outcome)
                done += outcome.cell.name in asked
                bar.update(row, completed=done)
                if told:
                    told(done, len(asked), times())
                if lines and (now - last >= LINE_SECONDS or number == len(tasks)):
                    last = now
                    self.console.print(f"{done} of {len(asked)} cells, {times()}", highlight=False)
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
