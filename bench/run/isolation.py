"""Cells in worker processes, so that what ends or hangs there costs one cell or metric and nothing else."""

from __future__ import annotations

import os
import shutil
import socket
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import replace
from pathlib import Path

from bench.api.errors import StorageError, storage_message
from bench.run.execute import Outcome, Task, execute, last_told
from bench.run.process import Busy, Ended, WorkerProcess


def run_apart(tasks: Sequence[Task], workers: int, limit: float | None, out: Path) -> Iterator[Outcome]:
    """Outcomes of `tasks` as they come, from so many worker processes. A process that ends, or whose task takes longer
    than `limit` seconds, costs what it was at: the cell's pictures, or one of its metrics, after which the others are
    measured by a new process. Closing the iterator kills the processes."""
    notes = out / "tmp" / f"{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex}"  # as drafts, for `clean_stale`
    try:
        notes.mkdir(parents=True)
    except OSError as error:
        raise StorageError(storage_message(error, notes) or f"cannot make {notes}: {error.strerror}") from error
    waiting = deque(replace(task, note=notes / str(number)) for number, task in enumerate(tasks))
    idle = [WorkerProcess(limit) for _ in range(workers)]
    busy: list[tuple[WorkerProcess, Task, Outcome]] = []
    started = list(idle)
    try:
        while waiting or busy:
            while waiting and idle:
                worker, task = idle.pop(), waiting.popleft()
                worker.start(execute, task)
                busy.append((worker, task, Outcome(task.cell)))
            left = [seconds for worker, _, _ in busy if (seconds := worker.seconds_left()) is not None]
            wait([worker.pending for worker, _, _ in busy], max(0.0, min(left)) if left else None, FIRST_COMPLETED)
            done, going = [], []
            for worker, task, before in busy:
                try:
                    outcome, rest = _merged(before, worker.answer()), None
                except Busy:
                    going.append((worker, task, before))
                    continue
                except Ended as error:
                    outcome, rest = _after_end(task, before, str(error))
                except Exception as error:  # the answer did not come through: it cannot be pickled
                    outcome, rest = _after_end(task, before, f"its worker process failed: {error}")
                if rest is None:
                    done.append(outcome)
                    idle.append(worker)
                else:
                    worker.start(execute, rest)
                    going.append((worker, rest, outcome))
            busy = going
            yield from done
    finally:
        for worker in started:
            worker.close()
        shutil.rmtree(notes, ignore_errors=True)


def _merged(before: Outcome, after: Outcome) -> Outcome:
    """What two processes did of one task, one after the other."""
    return replace(
        after,
        computed=before.computed or after.computed,
        measured=before.measured + after.measured,
        failures=before.failures + after.failures,
    )


def _after_end(task: Task, before: Outcome, how: str) -> tuple[Outcome, Task | None]:
    """What is known of a task whose process ended, and what of it is left to try: the other metrics, where it ended at
    one of them."""
    told, metric = last_told(task)
    what = f"{metric} of {task.cell.title}" if metric else task.cell.title
    told.failures.append((what, how, f"{what}: {how}\n"))
    outcome = _merged(before, told)
    rest = tuple(other for other in task.metrics if other.name != metric)
    return outcome, replace(task, metrics=rest) if metric and rest else None
