"""Running a plan: find out what is cached, compute the rest in workers, gather everything in the plan's order."""

from __future__ import annotations

import logging
import os
import tempfile
import uuid
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.device import cores
from bench.api.errors import Failure, StorageError, UsageError, nearest
from bench.api.files import Entry, clean_stale, write_atomically
from bench.api.provenance import code_provenance
from bench.api.scores import COSTS, DERIVED
from bench.api.unpackaged import unpackaged_parts
from bench.run.cell import find_cell, find_metric
from bench.run.execute import Outcome, Task, execute
from bench.run.progress import History, Progress

if TYPE_CHECKING:
    from bench.run.plan import Cell, MetricPlan, Plan

log = logging.getLogger("bench")


@dataclass
class CellState:
    """A cell and what the cache holds of it; `scores` by metric name."""

    cell: Cell
    pictures: Entry | None
    scores: dict[str, Entry] = field(default_factory=dict)

    def missing(self, metrics: tuple[MetricPlan, ...]) -> tuple[MetricPlan, ...]:
        """The metrics that are not measured yet."""
        return tuple(m for m in metrics if m.name not in self.scores)


@dataclass
class RunReport:
    """A finished run: every cell and reference of pure noise, what was computed (of the cells), and what went wrong.

    `unreferenced` has the metrics that cannot measure pure noise.
    """

    states: list[CellState]
    references: list[CellState] = field(default_factory=list)
    computed: int = 0
    measured: int = 0
    failures: list[Failure] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    unreferenced: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What metrics had to say about their numbers, each once."""
        told = [n for s in self.states for e in s.scores.values() for n in e.manifest["notes"]]
        told += [
            f"{metric} cannot measure pure noise, so none of its cells prints as `noise`: {reason}"
            for metric, reason in self.unreferenced.items()
            if metric not in self.skipped
        ]
        return list(dict.fromkeys([*unpackaged_parts(), *told]))


def survey_cell(cell: Cell, metrics: tuple[MetricPlan, ...], out: Path) -> CellState:
    """What the cache holds of one cell, every byte verified; damage is reported as a warning."""
    state = CellState(cell, find_cell(cell, out))
    if state.pictures is not None:
        for metric in metrics:
            entry = find_metric(cell, state.pictures, metric, out)
            if entry is not None:
                state.scores[metric.name] = entry
    return state


def survey(plan: Plan, out: Path) -> list[CellState]:
    """What the cache holds of the plan, in the plan's order."""
    return [survey_cell(cell, plan.metrics[cell.scenes.dataset], out) for cell in plan.cells]


def worker_count(plan: Plan, jobs: int) -> int:
    """Workers to use: `jobs`, or where that is 0 one a GPU, or one a CPU core."""
    return jobs or (cores() if plan.devices.kind == "cpu" else len(plan.devices.names))


def _outcomes(
    tasks: list[Task], jobs: int, backend: str, limit: float | None, out: Path
) -> Generator[Outcome, None, None]:
    """Outcomes as they come: from worker processes of our own, from this process, or from joblib's named backend."""
    if backend == "loky":
        from bench.run.process import run_apart

        yield from run_apart(tasks, jobs, limit, out)
        return
    if backend == "sequential" or (jobs == 1 and backend == "threading"):
        yield from map(execute, tasks)
        return
    import joblib

    if backend == "ray":
        try:
            from ray.util.joblib import register_ray
        except ImportError:
            raise UsageError("backend 'ray' needs the package ray: pip install ray") from None
        register_ray()
    try:
        with joblib.parallel_config(backend=backend, n_jobs=jobs):
            try:
                pool = joblib.Parallel(batch_size=1, return_as="generator_unordered")
            except ValueError:  # this backend gives results only at the end
                pool = joblib.Parallel(batch_size=1)
            yield from pool(joblib.delayed(execute)(task) for task in tasks)
    except ImportError as error:
        raise UsageError(f"backend '{backend}' is not installed: {error}") from None


def _check_backend(backend: str) -> None:
    """UsageError, with the nearest one, for a backend that neither we nor joblib have."""
    if backend in ("loky", "sequential"):
        return
    from joblib.parallel import BACKENDS, EXTERNAL_BACKENDS

    known = sorted({*BACKENDS, *EXTERNAL_BACKENDS, "ray"})
    if backend not in known:
        raise UsageError(f"unknown backend '{backend}'{nearest(backend, known)}")


def run_plan(
    plan: Plan,
    out: Path,
    jobs: int,
    batch_size: int,
    backend: str,
    progress: Progress = lambda tasks, outcomes, workers: outcomes,
    time_limit: float | None = None,
) -> RunReport:
    """Compute what is missing of `plan` under `out` and gather the whole plan's cells and scores.

    A cell or metric that fails is in the report's `failures`, after the plan's own, and costs no other cell. With the
    backend `loky` that includes code that ends its process, and code that takes longer than `time_limit` seconds for a
    cell; other backends take no limit (UsageError). A full or read-only disk stops the run with a StorageError.
    `progress` may wrap the stream of outcomes.
    """
    _check_backend(backend)
    if time_limit is not None and backend != "loky":
        raise UsageError(
            f"a time limit needs the backend loky, whose workers can be ended; backend '{backend}' has none"
        )
    out = out.absolute()
    clean_stale(out)
    references = [survey_cell(cell, plan.metrics[cell.scenes.dataset], out) for cell in plan.references]
    states = [*survey(plan, out), *references]
    history = History(out)
    run_id = uuid.uuid4().hex[:12]
    provenance = code_provenance()
    todo = [s for s in states if s.pictures is None or s.missing(plan.metrics[s.cell.scenes.dataset])]
    # the slowest method first, so that no worker is left alone with it at the end; a method's cells stay together
    todo.sort(key=lambda s: (s.pictures is not None, -history.estimate(s.cell).seconds, s.cell.method.spec))
    tasks = []
    for state in todo:
        metrics = plan.metrics[state.cell.scenes.dataset]
        estimate = history.estimate(state.cell, state.pictures is None, state.missing(metrics))
        tasks.append(
            Task(state.cell, metrics, out, batch_size, plan.devices, run_id, os.getpid(), provenance, estimate.seconds)
        )
    report = RunReport(states[: len(plan.cells)], references, failures=list(plan.failures))
    if not tasks:
        report.failures += _drop_namesakes(states)
        return report
    workers = min(worker_count(plan, jobs), len(tasks))
    outcomes = _outcomes(tasks, workers, backend, time_limit, out)
    try:
        for outcome in progress(tasks, outcomes, workers):
            reference = outcome.cell in plan.references
            report.computed += outcome.computed and not reference
            report.measured += outcome.measured
            report.failures += outcome.failures
            for metric, reason in outcome.skipped:
                (report.unreferenced if reference else report.skipped).setdefault(metric, reason)
            if outcome.fatal:
                raise StorageError(outcome.fatal)
    finally:
        outcomes.close()
        clean_stale(out)
        for lock in Path(tempfile.gettempdir()).glob(f"gesco-bench-{run_id}-*.lock"):
            lock.unlink(missing_ok=True)
    done = {id(s) for s in todo}
    states = [survey_cell(s.cell, plan.metrics[s.cell.scenes.dataset], out) if id(s) in done else s for s in states]
    report.failures += _drop_namesakes(states)
    report.states, report.references = states[: len(plan.cells)], states[len(plan.cells) :]
    return report


def _drop_namesakes(states: Sequence[CellState]) -> list[Failure]:
    """Take out scores of metrics with another metric's or a cost's name: one name has one number. Returns who did."""
    found: dict[str, Failure] = {}
    for state in states:
        taken = dict.fromkeys([*COSTS, *DERIVED], "the harness")
        for metric, entry in list(state.scores.items()):
            names = {score["metric"] for score in entry.manifest["scores"]} | set(entry.manifest["per_scene"])
            twice = sorted(names & taken.keys())
            if twice:
                del state.scores[metric]
                message = (
                    f"its score '{twice[0]}' has the name of one that {taken[twice[0]]} gives; none of its is kept"
                )
                found.setdefault(metric, (metric, message, f"{message}\n"))
            else:
                taken |= dict.fromkeys(names, metric)
    return list(found.values())


def write_failures(failures: Sequence[Failure], out: Path) -> Path | None:
    """Keep failures (what, message, traceback) in OUT/failures.log; None (and no file) where there are none."""
    path = out / "failures.log"
    if not failures:
        path.unlink(missing_ok=True)
        return None
    text = "\n".join(f"== {what}\n{message}\n\n{trace}" for what, message, trace in failures)
    write_atomically(path, text.encode(errors="backslashreplace"))
    return path
