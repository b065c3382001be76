"""The progress of a run: a bar with rate and remaining time on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.console import Console

from bench.run.estimate import in_words
from bench.run.execute import Outcome, Task

#: Seconds between two lines where the output is no terminal.
LINE_SECONDS = 20.0


class RunProgress:
    """Wraps a stream of outcomes. Remaining time weighs cells by their estimated seconds, since one of GESCO takes
    as long as hundreds of full-image transmission."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __call__(self, tasks: list[Task], outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        weights = {task.cell.name: task.estimate + 0.1 for task in tasks}
        whole = sum(weights.values())
        if self.console.is_terminal:
            yield from self._bar(tasks, outcomes, weights, whole)
        else:
            yield from self._lines(tasks, outcomes, weights, whole)

    def _bar(
        self, tasks: list[Task], outcomes: Iterator[Outcome], weights: dict[str, float], whole: float
    ) -> Iterator[Outcome]:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.fields[cells]}/{task.fields[of]} cells"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as bar:
            start, scenes = time.perf_counter(), 0
            row = bar.add_task("", total=whole, cells=0, of=len(tasks), rate="")
            for cells, outcome in enumerate(outcomes, 1):
                scenes += len(outcome.cell.scenes.ids)
                rate = f"{scenes / (time.perf_counter() - start):.1f} scenes/s"
                bar.update(row, advance=weights[outcome.cell.name], cells=cells, rate=rate)
                yield outcome

    def _lines(
        self, tasks: list[Task], outcomes: Iterator[Outcome], weights: dict[str, float], whole: float
    ) -> Iterator[Outcome]:
        start = last = time.perf_counter()
        scenes, done = 0, 0.0
        for cells, outcome in enumerate(outcomes, 1):
            scenes += len(outcome.cell.scenes.ids)
            done += weights[outcome.cell.name]
            now = time.perf_counter()
            if now - last >= LINE_SECONDS or cells == len(tasks):
                last = now
                left = (now - start) * (whole - done) / done
                rate = scenes / (now - start)
                self.console.print(
                    f"{cells}/{len(tasks)} cells, {rate:.1f} scenes/s, {in_words(max(left, 0))} left", highlight=False
                )
            yield outcome
