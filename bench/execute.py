"""One task of a worker: a cell's pictures, if they are missing, and its missing metrics. Never raises."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.cache import Entry
from bench.cell import compute_cell, find_cell, find_metric, measure_cell
from bench.device import Devices
from bench.errors import BenchError, storage_message
from bench.plan import Cell, MetricPlan
from bench.scenes.base import DataError
from bench.worker import WORKER, check_code, end_with, one_thread
from methods.base import MethodError
from metrics.base import MetricError


@dataclass(frozen=True)
class Task:
    """A cell and the metrics wanted on it, with what a worker needs to know of the run (`parent`: its process id), and
    the seconds that what is missing of it should take."""

    cell: Cell
    metrics: tuple[MetricPlan, ...]
    out: Path
    batch_size: int
    devices: Devices
    run_id: str
    parent: int
    provenance: dict[str, Any]
    estimate: float


@dataclass
class Outcome:
    """What became of a task. `failures` are (what, message, traceback); `skipped` are (metric, reason); `fatal` says
    why the whole run must stop."""

    cell: Cell
    computed: bool = False
    measured: int = 0
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    fatal: str | None = None


def _note(outcome: Outcome, what: str, error: Exception) -> None:
    message = str(error)
    if isinstance(error, OSError):
        outcome.fatal = storage_message(error)
    elif isinstance(error, BenchError) and isinstance(error.__cause__, OSError):
        outcome.fatal = message
    elif not isinstance(error, BenchError | MethodError | MetricError | DataError):
        message = f"{type(error).__name__}: {message}"
    outcome.failures.append((what, message, traceback.format_exc()))


def execute(task: Task) -> Outcome:
    """Do what of `task` is not in the cache; whatever goes wrong is in the outcome, so no other cell is lost."""
    outcome = Outcome(task.cell)
    end_with(task.parent)
    with one_thread():
        try:
            check_code(task.provenance)
            device = WORKER.device(task.devices, task.run_id)
            pictures: Entry | None = find_cell(task.cell, task.out, warn=False)
            if pictures is None:
                pictures = compute_cell(task.cell, task.out, task.batch_size, device, task.provenance)
                outcome.computed = True
        except Exception as error:  # a method is anybody's code: report it and go on with the other cells
            _note(outcome, task.cell.title, error)
            return outcome
        for metric in task.metrics:
            try:
                if find_metric(task.cell, pictures, metric, task.out, warn=False) is None:
                    measure_cell(task.cell, pictures, metric, task.out, task.batch_size, device)
                    outcome.measured += 1
            except MetricError as error:
                outcome.skipped.append((metric.name, str(error)))
            except Exception as error:
                _note(outcome, f"{metric.name} of {task.cell.title}", error)
    return outcome
