"""What runs on a cluster's workers: their examination, and tasks. Both in processes of their own, as on one machine."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from bench.api.device import Devices, resolve_devices
from bench.api.errors import BenchError, DataError, MethodError, MetricError, in_words
from bench.run.execute import Outcome, Task
from bench.run.process import WorkerProcess, finished
from bench.run.worker import WORKER, check_code, end_with

if TYPE_CHECKING:
    from bench.run.plan import Cell, MetricPlan

_MEANT = (BenchError, DataError, MethodError, MetricError)
#: Seconds after which a process without a call ends: its memory and its GPU are others' when the run is over.
IDLE_SECONDS = 600
#: Processes that wait for a call; a worker of several threads has one a thread.
_IDLE: list[WorkerProcess] = []
_LOCK = Lock()


@dataclass(frozen=True)
class Question:
    """What a worker has to have of a plan: the folder OUT, known by a file in it (`sign`), code, devices, the rest.

    `cells` are one a method and list of scenes.
    """

    out: Path
    sign: Path
    provenance: dict[str, Any]
    devices: Devices
    cells: tuple[Cell, ...]
    metrics: dict[str, tuple[MetricPlan, ...]]


@dataclass(frozen=True)
class Standing:
    """A worker's answer: its machine, its devices of the plan's kind, and what it lacks or has otherwise."""

    host: str
    devices: tuple[str, ...]
    problems: tuple[str, ...]


@contextmanager
def _process(limit: float | None) -> Iterator[WorkerProcess]:
    # Dask's nanny makes its worker a daemon, which may have no children; ours end with it all the same (`end_with`)
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    with _LOCK:
        worker = _IDLE.pop() if _IDLE else WorkerProcess(idle=IDLE_SECONDS)
    worker.limit = limit
    try:
        yield worker
    finally:
        with _LOCK:
            _IDLE.append(worker)


def examine(question: Question) -> Standing:
    """What this worker has of the plan; nothing heavy is built. Raises `Ended` where anyone's code ends its process."""
    with _process(None) as worker:
        standing: Standing = worker.call(_examined, question, os.getpid())
    return standing


def own_kind() -> str:
    """The kind of device that this worker has: cuda, else cpu."""
    with _process(None) as worker:
        devices: Devices = worker.call(resolve_devices, "auto")
    return devices.kind


def work(task: Task, limit: float | None) -> Outcome:
    """The outcome of a task, whose process is ended where it takes longer than `limit` seconds."""
    with _process(limit) as worker:
        return finished(worker, replace(task, parent=os.getpid()))


def work_alone(task: Task, limit: float | None) -> Outcome:
    """`work` for a task that nobody waits for, whose `note` counts how often it was begun: at most `retries` more.

    An engine begins the call of a lost worker anew by a setting of its own.
    """
    assert task.note is not None
    task.note.parent.mkdir(exist_ok=True)
    with task.note.open("ab") as begun:
        begun.write(b".")
        count = begun.tell()
    outcome = Outcome(task.cell)
    if count <= 1 + task.retries:
        outcome = work(replace(task, note=None), limit)
    task.note.unlink(missing_ok=True)
    return outcome


def _examined(question: Question, parent: int) -> Standing:
    end_with(parent)
    problems: list[str] = []

    def check(call: Callable[..., Any], *arguments: Any) -> None:
        try:
            call(*arguments)
        except (Exception, SystemExit) as error:
            problems.append(in_words(error, _MEANT))

    names = question.devices.names
    try:
        names = names or resolve_devices(question.devices.kind).names
    except BenchError as error:
        problems.append(str(error))
    if not question.sign.is_file():
        other = "; there is a folder of that name, but it is another one" if question.out.is_dir() else ""
        problems.append(f"it does not see --out {question.out}{other}")
    check(check_code, question.provenance)
    for scenes in {cell.scenes.dataset: cell.scenes for cell in question.cells}.values():
        if scenes.root is not None and not scenes.root.is_dir():
            problems.append(f"it does not see the data root of {scenes.dataset}, {scenes.root}")
        else:
            check(WORKER.source, scenes)
    if not problems:  # else the rest would only say it again
        for cell in question.cells:
            check(WORKER.method, cell, "cpu")
            for metric in question.metrics.pop(cell.scenes.dataset, ()):
                check(WORKER.unprepared, cell.scenes, metric, "cpu")
    return Standing(socket.gethostname(), names, tuple(problems))
