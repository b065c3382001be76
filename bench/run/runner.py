"""Running a plan: find out what is cached, compute the rest in workers, gather everything in the plan's order."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.device import cores
from bench.api.errors import Failure, StorageError, UsageError, known_name
from bench.api.files import Entry, clean_stale, write_atomically
from bench.api.provenance import code_provenance
from bench.api.scores import COSTS, DERIVED
from bench.api.unpackaged import unpackaged_parts
from bench.run.cell import find_cell, find_metric
from bench.run.claims import clean_claims, is_claimed
from bench.run.execute import Outcome, Task, execute
from bench.run.progress import History, Progress
from bench.run.verified import Verified

if TYPE_CHECKING:
    from bench.config import RunSection
    from bench.run.cluster.dispatch import Cluster
    from bench.run.plan import Cell, MetricPlan, Plan

#: joblib's backends for one machine.
BACKENDS = ("loky", "threading", "sequential")
#: Between two looks at cells that another run is at.
LOOK_SECONDS = 1.0

Finished = Callable[[Sequence["CellState"]], None]


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
        told = [n for s in self.states for e in s.scores.values() for n in e.about["notes"]]
        told += [
            f"{metric} cannot measure pure noise, so none of its cells prints as `noise`: {reason}"
            for metric, reason in self.unreferenced.items()
            if metric not in self.skipped
        ]
        return list(dict.fromkeys([*unpackaged_parts(), *told]))


def survey_cell(cell: Cell, metrics: tuple[MetricPlan, ...], known: Verified) -> CellState:
    """What the cache holds of one cell; damage is reported as a warning. What is not known is read."""
    state = CellState(cell, find_cell(cell, known.out, known=known))
    if state.pictures is not None:
        for metric in metrics:
            entry = find_metric(cell, state.pictures, metric, known.out, known=known)
            if entry is not None:
                state.scores[metric.name] = entry
    return state


def survey(cells: Sequence[Cell], plan: Plan, known: Verified) -> list[CellState]:
    """What the cache holds of cells, in their order; what has to be read is read in parallel."""

    def one(cell: Cell) -> CellState:
        return survey_cell(cell, plan.metrics[cell.scenes.dataset], known)

    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(one, cells))


def worker_count(plan: Plan, jobs: int) -> int:
    """Workers to use: `jobs`, or where that is 0 one a GPU, or one a CPU core."""
    return jobs or (cores() if plan.devices.kind == "cpu" else len(plan.devices.names))


def _outcomes(
    tasks: Sequence[Task], workers: int, backend: str, limit: float | None, out: Path
) -> Generator[Outcome, None, None]:
    """Outcomes as they come: from worker processes of our own, from this process, or from joblib's named backend."""
    if backend == "loky":
        from bench.run.process import run_apart

        yield from run_apart(tasks, workers, limit, out)
        return
    if backend == "sequential" or (workers == 1 and backend == "threading"):
        yield from map(execute, tasks)
        return
    import joblib

    with joblib.parallel_config(backend=backend, n_jobs=workers):
        pool = joblib.Parallel(batch_size=1, return_as="generator_unordered")
        yield from pool(joblib.delayed(execute)(task) for task in tasks)


def _shared(
    tasks: Sequence[Task], compute: Callable[[Sequence[Task]], Generator[Outcome, None, None]], known: Verified
) -> Generator[Outcome, None, None]:
    """Outcomes of `compute`, and of the cells that another run is at: what it leaves of them is computed here."""
    while tasks:
        by_cell = {task.cell.name: task for task in tasks}
        elsewhere: list[Task] = []
        with closing(compute(tasks)) as outcomes:
            for outcome in outcomes:
                if outcome.elsewhere:
                    elsewhere.append(by_cell[outcome.cell.name])
                else:
                    yield outcome
        tasks = []
        while elsewhere and not tasks:
            for task in [task for task in elsewhere if not is_claimed(task.cell, task.out)]:
                elsewhere.remove(task)
                state = survey_cell(task.cell, task.metrics, known)
                if state.pictures is None or state.missing(task.metrics):
                    tasks.append(task)
                else:
                    yield Outcome(task.cell)
            if not tasks and elsewhere:
                time.sleep(LOOK_SECONDS)
        tasks += elsewhere


def _tasks(todo: Sequence[CellState], plan: Plan, out: Path, batch_size: int, retries: int) -> list[Task]:
    """Tasks of what is missing: the slowest method first, so that no worker is left alone with it at the end.

    A method's cells stay together.
    """
    history, provenance, run_id = History(out), code_provenance(), uuid.uuid4().hex[:12]
    ordered = sorted(
        todo, key=lambda s: (s.pictures is not None, -history.estimate(s.cell).seconds, s.cell.method.spec)
    )
    tasks = []
    for state in ordered:
        metrics = plan.metrics[state.cell.scenes.dataset]
        seconds = history.estimate(state.cell, state.pictures is None, state.missing(metrics)).seconds
        tasks.append(
            Task(state.cell, metrics, out, batch_size, plan.devices, run_id, os.getpid(), provenance, seconds, retries)
        )
    return tasks


def _missing(states: Sequence[CellState], plan: Plan) -> list[CellState]:
    """The cells and references that lack pictures or a measurement."""
    return [s for s in states if s.pictures is None or s.missing(plan.metrics[s.cell.scenes.dataset])]


def run_plan(
    plan: Plan,
    out: Path,
    jobs: int,
    batch_size: int,
    backend: str,
    progress: Progress = lambda tasks, outcomes, workers: outcomes,
    time_limit: float | None = None,
    retries: int = 0,
    cluster: Cluster | None = None,
    verify: bool = False,
    finished: Finished = lambda states: None,
) -> RunReport:
    """Compute what is missing of `plan` under `out` and gather the whole plan's cells and scores.

    It is computed by `jobs` workers of this machine under joblib's `backend`, or by those of a `cluster`. A cell or
    metric that fails is in the report's `failures`, after the plan's own, and costs no other cell. On a cluster and
    with the backend `loky` that includes code that ends its process, and code that takes longer than `time_limit`
    seconds for a cell; other backends take no limit (UsageError). There a cell whose worker was killed is tried again,
    `retries` times. A full or read-only disk stops the run with a StorageError. `progress` may wrap the stream of
    outcomes. What the cache holds is taken as it was verified before, unless its files are others now
    (bench/run/verified.py); with `verify` every byte is read. `finished` is told of cells and references for which
    nothing is left to do, those of the cache first and the others as they come.
    """
    known_name(backend, BACKENDS, "backend")
    if time_limit is not None and backend != "loky" and cluster is None:
        raise UsageError(
            f"a time limit needs the backend loky, whose workers can be ended; backend '{backend}' has none"
        )
    out = out.absolute()
    clean_stale(out)
    known = Verified(out, trust=not verify)
    states = survey([*plan.cells, *plan.references], plan, known)
    todo = _missing(states, plan)
    tasks = _tasks(todo, plan, out, batch_size, retries)
    report = RunReport(states[: len(plan.cells)], states[len(plan.cells) :], failures=list(plan.failures))
    if not tasks:
        known.save()
        report.failures += _drop_namesakes(states)
        return report

    def compute(tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        if cluster is not None:
            from bench.run.cluster.dispatch import run_on

            yield from run_on(cluster, tasks, plan.metrics, time_limit)
        else:
            yield from _outcomes(tasks, min(workers, len(tasks)), backend, time_limit, out)

    workers = cluster.count() if cluster else worker_count(plan, jobs)
    outcomes = _shared(tasks, compute, known)
    missing = set(map(id, todo))
    finished([state for state in states if id(state) not in missing])
    try:
        made = set()
        for outcome in progress(tasks, outcomes, min(workers, len(tasks))):
            _tell(outcome, report, plan)
            if outcome.computed:
                made.add(outcome.cell.name)
            state = survey_cell(outcome.cell, plan.metrics[outcome.cell.scenes.dataset], known)
            _drop_namesakes([state])
            finished([state])
    finally:
        outcomes.close()
        clean_stale(out)
        clean_claims(out)
        for lock in Path(tempfile.gettempdir()).glob(f"gesco-bench-{tasks[0].run_id}-*.lock"):
            lock.unlink(missing_ok=True)
    done = dict(zip(map(id, todo), survey([s.cell for s in todo], plan, known), strict=True))
    known.save()
    states = [done.get(id(s), s) for s in states]
    report.failures += [_not_found(s.cell, out) for s in states if s.pictures is None and s.cell.name in made]
    report.failures += _drop_namesakes(states)
    report.states, report.references = states[: len(plan.cells)], states[len(plan.cells) :]
    report.computed = sum(s.pictures is not None and s.cell.name in made for s in report.states)
    return report


def _tell(outcome: Outcome, report: RunReport, plan: Plan) -> None:
    """Enter what came of a task into the report; StorageError where nothing can be kept any more."""
    report.measured += outcome.measured
    report.failures += outcome.failures
    for metric, reason in outcome.skipped:
        of_noise = outcome.cell in plan.references
        (report.unreferenced if of_noise else report.skipped).setdefault(metric, reason)
    if outcome.fatal:
        raise StorageError(outcome.fatal)


def leave_to(cluster: Cluster, plan: Plan, run: RunSection) -> int:
    """Leave what is missing of `plan` to the cluster, and do not wait; how many cells and references that is."""
    from bench.run.cluster.dispatch import hand_over

    out = run.out.absolute()
    states = survey([*plan.cells, *plan.references], plan, Verified(out))
    tasks = _tasks(_missing(states, plan), plan, out, run.batch_size, run.retries)
    if tasks:
        hand_over(cluster, tasks, plan.metrics, run.time_limit)
    return len(tasks)


def _not_found(cell: Cell, out: Path) -> Failure:
    message = (
        f"its worker reported it as computed, but it is not in {out}: another machine's files are seen late, or "
        "somebody removed it; the same command looks again"
    )
    return cell.title, message, f"{message}\n"


def _drop_namesakes(states: Sequence[CellState]) -> list[Failure]:
    """Take out scores of metrics with another metric's or a cost's name: one name has one number. Returns who did."""
    found: dict[str, Failure] = {}
    for state in states:
        taken = dict.fromkeys([*COSTS, *DERIVED], "the harness")
        for metric, entry in list(state.scores.items()):
            names = set(entry.about["protocol"])
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
