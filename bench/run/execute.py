"""One task of a worker: a cell's pictures, if they are missing, and its missing metrics. Never raises."""

from __future__ import annotations

import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.device import Devices
from bench.api.errors import BenchError, DataError, Failure, MethodError, MetricError, StorageError, in_words
from bench.api.files import Entry
from bench.api.provenance import code_provenance, device_names
from bench.run.cell import compute_cell, find_cell, find_metric, measure_cell
from bench.run.claims import claim
from bench.run.worker import WORKER, check_code, end_with, keep_freed_memory, one_thread

if TYPE_CHECKING:
    from bench.run.plan import Cell, MetricPlan


@dataclass(frozen=True)
class Task:
    """A cell and the metrics wanted on it, with what a worker needs to know of the run (`parent`: its process id).

    `estimate` is the seconds that what is missing of it should take; `retries` how often it is tried again after its
    worker was killed. `note` is a file in which a worker process says what it is at, so that it is known when the
    process ends.
    """

    cell: Cell
    metrics: tuple[MetricPlan, ...]
    out: Path
    batch_size: int
    devices: Devices
    run_id: str
    parent: int
    provenance: dict[str, Any]
    estimate: float
    retries: int = 0
    note: Path | None = None


@dataclass
class Outcome:
    """What became of a task; `skipped` are (metric, reason), and `fatal` says why the whole run must stop.

    `elsewhere`: another run is at the cell, and nothing was done. `workers` is how many a cluster had when it came.
    """

    cell: Cell
    computed: bool = False
    measured: int = 0
    failures: list[Failure] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    fatal: str | None = None
    elsewhere: bool = False
    workers: int = 0


def _failed(outcome: Outcome, what: str, error: BaseException) -> None:
    message = in_words(error, (BenchError, MethodError, MetricError, DataError))
    if isinstance(error, StorageError):
        outcome.fatal = message
    outcome.failures.append((what, message, traceback.format_exc()))


def _tell(task: Task, outcome: Outcome, metric: str) -> None:
    if task.note is not None:
        with suppress(OSError):  # worth a better message, not a cell
            task.note.write_text(f"{int(outcome.computed)} {outcome.measured} {metric}", encoding="utf-8")


def last_told(task: Task) -> tuple[Outcome, str]:
    """What a worker process that ended had done of a task, and the metric that it was at; no metric: the pictures."""
    outcome = Outcome(task.cell)
    try:
        computed, measured, metric = (
            task.note.read_text(encoding="utf-8").split(" ", 2) if task.note else ("0", "0", "")
        )
    except (OSError, ValueError):
        return outcome, ""
    outcome.computed, outcome.measured = computed == "1", int(measured)
    return outcome, metric


def execute(task: Task) -> Outcome:
    """Do what of `task` is not in the cache; whatever goes wrong is in the outcome, so no other cell is lost.

    Nothing is done of a cell that another process has claimed. A method or metric is anybody's code and may raise
    anything, SystemExit as well.
    """
    outcome = Outcome(task.cell)
    end_with(task.parent)
    keep_freed_memory()
    _tell(task, outcome, "")
    try:
        with claim(task.cell, task.out) as ours, one_thread():
            outcome.elsewhere = not ours
            if ours:
                _execute(task, outcome)
    except StorageError as error:  # the claim cannot be made
        _failed(outcome, task.cell.title, error)
    return outcome


def _execute(task: Task, outcome: Outcome) -> None:
    """What is missing of a claimed cell, told in `outcome`."""
    try:
        check_code(task.provenance)
        device = WORKER.device(task.devices, task.run_id)
        pictures: Entry | None = find_cell(task.cell, task.out, warn=False)
        if pictures is None:
            here = {**code_provenance(), "device": device_names((device,))[0]}
            pictures = compute_cell(task.cell, task.out, task.batch_size, device, here)
            outcome.computed = True
    except (Exception, SystemExit) as error:
        _failed(outcome, task.cell.title, error)
        return
    for metric in task.metrics:
        _tell(task, outcome, metric.name)
        try:
            if find_metric(task.cell, pictures, metric, task.out, warn=False) is None:
                measure_cell(task.cell, pictures, metric, task.out, task.batch_size, device)
                outcome.measured += 1
        except MetricError as error:
            outcome.skipped.append((metric.name, in_words(error, (MetricError,))))
        except (Exception, SystemExit) as error:
            _failed(outcome, f"{metric.name} of {task.cell.title}", error)
