"""Tasks given to the workers of a cluster, one by one: who may work, who is at what, and what becomes of the lost."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from bench.api.device import Devices
from bench.api.errors import BenchError, UsageError, in_words, nearest, some
from bench.api.files import Draft
from bench.run.cell import cell_path
from bench.run.cluster.there import Question, Standing, examine, own_kind, work, work_alone
from bench.run.execute import Outcome, Task
from bench.run.plan import MetricPlan
from bench.run.process import merged

#: Between two looks at which workers there are.
LOOK_SECONDS = 1.0
#: A file by which a worker knows that its OUT is the driver's, and not another folder of that name.
_SIGN = "here"
_DEVICES = ("auto", "cpu", "cuda")
_NOBODY = "no worker is at %s; waiting for one"
log = logging.getLogger("bench")


class Cluster(Protocol):
    """An engine's workers, by address. `where` names it in messages; `lost` are the errors of a call whose worker died.

    `ours`: scheduler and workers end with this process. Every call may raise BenchError, where nobody answers any more.
    """

    where: str
    lost: ClassVar[tuple[type[BaseException], ...]]
    ours: ClassVar[bool]

    def devices(self, wanted: str) -> Devices:
        """The kind of the workers' devices, without names; UsageError where there is none such."""

    def start(self) -> str:
        """Ask for the workers, where that is ours to do; where to watch them, or nothing."""

    def count(self) -> int:
        """Calls that are, or will be, made at once."""

    def workers(self) -> Mapping[str, int]:
        """How many calls each living worker takes at once."""

    def submit(self, worker: str, function: Any, *arguments: Any) -> Future[Any]:
        """Begin a call on this worker and no other."""

    def hand_over(self, workers: Sequence[str], function: Any, calls: Sequence[Sequence[Any]]) -> int:
        """Leave calls to be made by machines of these workers, whatever becomes of this process.

        How often the engine begins a call anew whose worker was lost.
        """

    def close(self) -> None:
        """Let go of the engine."""


Metrics = Mapping[str, tuple[MetricPlan, ...]]


class _Crew:
    """A cluster's workers: those that may work and on how many cells at once, those being examined, and the refused."""

    def __init__(self, cluster: Cluster, tasks: Sequence[Task], metrics: Metrics, sign: Path) -> None:
        cells = {(task.cell.scenes.dataset, task.cell.method.spec): task.cell for task in tasks}
        one = tasks[0]
        self.question = Question(one.out, sign, one.provenance, one.devices, tuple(cells.values()), dict(metrics))
        self.cluster = cluster
        self.slots: dict[str, int] = {}
        self.asked: dict[str, Future[Standing]] = {}
        self.refused: dict[str, str] = {}
        self._waiting = False

    def look(self) -> None:
        """See who came and who went, and hear the answers; BenchError where all that there are have been refused."""
        there = self.cluster.workers()
        groups: tuple[dict[str, Any], ...] = (self.slots, self.asked, self.refused)
        for group in groups:
            for gone in group.keys() - there.keys():
                del group[gone]
        for address in there:
            if not any(address in group for group in groups):
                self.asked[address] = self.cluster.submit(address, examine, self.question)
        for address, answer in list(self.asked.items()):
            if answer.done():
                del self.asked[address]
                self._judge(address, answer, there[address])
        if self.refused and not self.slots and not self.asked:
            raise BenchError(f"no worker of {self.cluster.where} can take part", self.refused.values())
        if not there and not self._waiting:
            log.warning(_NOBODY, self.cluster.where)
        self._waiting = not there

    def _judge(self, address: str, answer: Future[Standing], threads: int) -> None:
        try:
            standing = answer.result()
        except self.cluster.lost:
            return  # it is asked again, if it is still there
        except Exception as error:  # it lacks this package, say
            standing = Standing("", (), (in_words(error, (BenchError,)),))
        if standing.problems:
            on = f" on {standing.host}" if standing.host else ""
            self.refused[address] = f"worker {address}{on} is refused: {'; '.join(standing.problems)}"
            log.warning("%s", self.refused[address])
        else:
            on_gpus = self.question.devices.kind != "cpu"
            self.slots[address] = min(threads, len(standing.devices)) if on_gpus else threads


def run_on(cluster: Cluster, tasks: Sequence[Task], metrics: Metrics, limit: float | None) -> Iterator[Outcome]:
    """Outcomes of `tasks` as they come, from the workers of a cluster that pass their examination.

    What a worker was at when it was lost is done by another, as often as the task says. A task that takes longer than
    `limit` seconds is ended. Closing the iterator takes back what has not begun.
    """
    with Draft(tasks[0].out) as draft:
        draft.write(_SIGN, b"")
        crew = _Crew(cluster, tasks, metrics, draft.folder / _SIGN)
        board = _Board([replace(task, note=draft.folder / str(number)) for number, task in enumerate(tasks)], limit)
        try:
            while board.waiting or board.busy:
                crew.look()
                board.give(crew)
                _wait([*board.busy, *crew.asked.values()])
                for outcome in board.done(crew):
                    outcome.workers = sum(crew.slots.values())
                    yield outcome
        finally:
            for future in board.busy:
                future.cancel()


class _Board:
    """Tasks that wait, each with what is known of it, and those that workers are at."""

    def __init__(self, tasks: Sequence[Task], limit: float | None) -> None:
        self.waiting = deque((task, Outcome(task.cell)) for task in tasks)
        self.busy: dict[Future[Outcome], tuple[str, Task, Outcome]] = {}
        self._limit = limit
        self._drawn = {task.cell.name for task in tasks if cell_path(task.out, task.cell).exists()}

    def give(self, crew: _Crew) -> None:
        """Give as many tasks as the workers take."""
        at = Counter(worker for worker, _, _ in self.busy.values())
        for worker, slots in crew.slots.items():
            for _ in range(min(slots - at[worker], len(self.waiting))):
                task, before = self.waiting.popleft()
                self.busy[crew.cluster.submit(worker, work, task, self._limit)] = worker, task, before

    def done(self, crew: _Crew) -> Iterator[Outcome]:
        """Outcomes of the tasks that are over; those whose worker was lost wait again, or have failed."""
        for future, (worker, task, before) in list(self.busy.items()):
            if worker in crew.slots and not future.done():
                continue
            del self.busy[future]
            future.cancel()  # where its worker is gone
            try:
                yield merged(before, future.result())
            except crew.cluster.lost:
                before.computed = task.cell.name not in self._drawn and cell_path(task.out, task.cell).exists()
                if task.retries:
                    self.waiting.append((replace(task, retries=task.retries - 1), before))
                else:
                    yield _failed(before, f"its worker {worker} was lost, as was any that tried it before (--retries)")
            except Exception as error:  # the answer did not come through
                yield _failed(before, in_words(error, (BenchError,)))


def _failed(outcome: Outcome, how: str) -> Outcome:
    title = outcome.cell.title
    outcome.failures.append((title, how, f"{title}: {how}\n"))
    return outcome


def hand_over(cluster: Cluster, tasks: Sequence[Task], metrics: Metrics, limit: float | None) -> None:
    """Leave all tasks to the workers that pass their examination, and to others of their machines, and do not wait.

    A warning says where the engine gives them up before the tasks do.
    """
    with Draft(tasks[0].out) as draft:
        draft.write(_SIGN, b"")
        crew = _Crew(cluster, tasks, metrics, draft.folder / _SIGN)
        crew.look()
        while crew.asked or not crew.slots:
            _wait(list(crew.asked.values()))
            crew.look()
    notes = tasks[0].out / "tmp"
    left = [replace(task, note=notes / f"detached.{task.run_id}.{number}") for number, task in enumerate(tasks)]
    again = cluster.hand_over(list(crew.slots), work_alone, [(task, limit) for task in left])
    if again < tasks[0].retries:
        log.warning(
            "the scheduler at %s begins a cell again at most %d times when its worker is killed (its setting "
            "distributed.scheduler.allowed-failures), fewer than --retries %d",
            cluster.where, again, tasks[0].retries,
        )  # fmt: skip


def kind_asked(wanted: str) -> str:
    """The kind of device asked of a cluster's workers; UsageError for what is none, and for one GPU by its number."""
    kind = wanted.casefold()
    if kind not in _DEVICES:
        raise UsageError(f"unknown device '{wanted}' of a cluster's workers{nearest(wanted, _DEVICES)}")
    return kind


def common_kind(cluster: Cluster, wanted: str) -> str:
    """The kind of device wanted, or that all workers have; BenchError where some have a GPU and some have none."""
    kind = kind_asked(wanted)
    if kind != "auto":
        return kind
    if not (there := cluster.workers()):
        log.warning(_NOBODY, cluster.where)
    while not there:
        time.sleep(LOOK_SECONDS)
        there = cluster.workers()
    found: dict[str, list[str]] = {}
    for address, answer in [(address, cluster.submit(address, own_kind)) for address in there]:
        try:
            found.setdefault(answer.result(), []).append(address)
        except cluster.lost:
            continue
        except Exception as error:
            raise BenchError(f"worker {address} of {cluster.where} cannot take part: {in_words(error)}") from None
    if len(found) != 1:
        each = "; ".join(f"{kind}: {some(addresses)}" for kind, addresses in found.items())
        raise BenchError(f"the workers of {cluster.where} differ; choose with --device cpu or cuda", [each])
    return next(iter(found))


def _wait(futures: Sequence[Future[Any]]) -> None:
    if futures:
        wait(futures, LOOK_SECONDS, FIRST_COMPLETED)
    else:
        time.sleep(LOOK_SECONDS)
