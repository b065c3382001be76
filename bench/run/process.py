"""Processes of their own for anyone's code, so that what ends or hangs there costs one cell or metric and nothing else.

joblib's pool breaks as a whole when one of its processes dies, and knows no time limits. So each worker is a pool of
one process, of the same library (loky), that is killed and replaced by itself.
"""

import os
import re
import shutil
import signal
import socket
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool

from bench.api.errors import StorageError, storage_message
from bench.api.unpackaged import Packed, packed, unpack
from bench.run.execute import Outcome, Task, execute, last_told

#: Parallelism comes from running cells side by side: libraries below NumPy get one thread a worker, as PyTorch does.
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)  # fmt: skip
# Where psutil is installed, loky replaces workers that have grown, between two calls; the next call starts one.
warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given", category=UserWarning)


class Busy(Exception):
    """A call has not answered yet, and has still time."""


class Ended(Exception):
    """A worker process ended before it answered; the message says how, `killed` whether somebody else ended it."""

    def __init__(self, message: str, killed: bool = False) -> None:
        super().__init__(message)
        self.killed = killed


def _settle(parts: Packed) -> None:
    """First in a worker process: Ctrl-C is its parent's, and what is printed there is no part of `bench`'s answer.

    `parts` are the methods and others that no distribution holds.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        os.dup2(2, 1)
    unpack(parts)


def _ready() -> None:
    """Done once this module is imported, and with it what every task needs: a time limit does not count that."""


class WorkerProcess:
    """One process that calls functions, one at a time.

    `limit` is the seconds that a call may take, None for any; `idle` those without a call after which the process ends
    until the next one.
    """

    def __init__(self, limit: float | None = None, idle: int | None = None) -> None:
        self.limit = limit
        self._idle = idle
        self._pool: ProcessPoolExecutor | None = None
        self._started: Future[None] | None = None
        self._call: Future[Any] | None = None
        self._deadline: float | None = None

    def start(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Begin a call, in a new process where there is none or the last one has ended."""
        try:
            self._submit(function, *arguments)
        except BrokenProcessPool:
            self.close()
            self._submit(function, *arguments)

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> None:
        if self._pool is None:
            environment = {name: "1" for name in _THREADS if name not in os.environ}
            self._pool = ProcessPoolExecutor(
                1, initializer=_settle, initargs=(packed(),), env=environment, timeout=self._idle
            )
            # not before every call: where psutil is installed, loky takes a process's size after its first call for
            # its own, and replaces it once it has grown by what PyTorch takes
            self._started = self._pool.submit(_ready)
        self._call, self._deadline = self._pool.submit(function, *arguments), None

    @property
    def pending(self) -> Future[Any]:
        """What the next thing to happen completes, the process's start or the call."""
        assert self._started is not None
        assert self._call is not None
        return self._call if self._started.done() else self._started

    def seconds_left(self) -> float | None:
        """Until the call is over its limit; None while it is without one, or has not begun."""
        if self.limit is None or self._started is None or not self._started.done():
            return None
        if self._deadline is None:
            self._deadline = time.monotonic() + self.limit
        return self._deadline - time.monotonic()

    def answer(self) -> Any:
        """The call's result or exception; Busy while there is time; Ended where the process did, or time is over."""
        assert self._call is not None
        left = self.seconds_left()
        if self._call.done():
            error = self._call.exception()
            if isinstance(error, BrokenProcessPool):
                self.close()
                raise _ended(error)
            if error is not None and not isinstance(error, Exception):  # its own: Ctrl-C does not reach the process
                raise Ended(f"it raised {type(error).__name__}") from error
            return self._call.result()
        if left is None or left > 0:
            raise Busy
        self.close()
        raise Ended(f"it took longer than the time limit of {self.limit:g} s and was ended")

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call and wait: the result, or the exception; Ended where the process ended, or had to be."""
        self.start(function, *arguments)
        while True:
            with suppress(Busy):
                return self.answer()
            wait([self.pending], self.seconds_left())

    def close(self) -> None:
        """Kill the process, and what it started."""
        if self._pool is not None:
            self._taken()
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None

    def _taken(self) -> None:
        """Until the pool's thread has taken the call: killed before, it looks for it in vain and prints a traceback."""
        until = time.monotonic() + 1  # a thread that has ended takes none
        while self._call is not None and not (self._call.running() or self._call.done()) and time.monotonic() < until:
            time.sleep(0.001)


def _ended(error: BrokenProcessPool) -> Ended:
    """How a worker process ended, from what its pool says of it."""
    found = re.search(r"exit codes? of the workers? (?:is|are) \{(\w+)\((-?\d+)\)", str(error))
    if found is None:
        known = "terminated" in str(error)
        return Ended("its worker process ended" if known else f"its answer cannot be read: {error}")
    name, code = found[1], int(found[2])
    if code >= 0:
        return Ended(f"it ended its worker process, with exit code {code}")
    cause = ", most likely for lack of memory: use fewer --jobs or a smaller --batch-size" if code == -9 else ""
    killed = code in (-9, -15)  # others, such as a segmentation fault, are of its own making
    return Ended(f"its worker process was killed by signal {-code} ({name}){cause}", killed)


def run_apart(tasks: Sequence[Task], workers: int, limit: float | None, out: Path) -> Iterator[Outcome]:
    """Outcomes of `tasks` as they come, from so many worker processes.

    A process that ends, or whose task takes longer than `limit` seconds, costs what it was at: the cell's pictures, or
    one of its metrics, after which the others are measured by a new process. One that was killed is replaced, and tries
    again as often as the task says. Closing the iterator kills the processes.
    """
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
                    outcome, rest = merged(before, worker.answer()), None
                except Busy:
                    going.append((worker, task, before))
                    continue
                except Ended as error:
                    outcome, rest = _after_end(task, before, error)
                except Exception as error:  # the answer did not come through: it cannot be pickled
                    outcome, rest = _after_end(task, before, Ended(f"its worker process failed: {error}"))
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


def finished(worker: WorkerProcess, task: Task) -> Outcome:
    """The outcome of one task, waited for; the process, where it ends, costs and is replaced as in `run_apart`."""
    outcome, rest = Outcome(task.cell), task
    while True:
        try:
            return merged(outcome, worker.call(execute, rest))
        except Ended as error:
            outcome, left = _after_end(rest, outcome, error)
        except Exception as error:  # the answer did not come through: it cannot be pickled
            outcome, left = _after_end(rest, outcome, Ended(f"its worker process failed: {error}"))
        if left is None:
            return outcome
        rest = left


def merged(before: Outcome, after: Outcome) -> Outcome:
    """What two processes did of one task, one after the other."""
    return replace(
        after,
        computed=before.computed or after.computed,
        measured=before.measured + after.measured,
        failures=before.failures + after.failures,
    )


def _after_end(task: Task, before: Outcome, error: Ended) -> tuple[Outcome, Task | None]:
    """What is known of a task whose process ended, and what of it is left: the other metrics, where it ended at one.

    All of it, once more, where the process was killed and the task may be tried again.
    """
    told, metric = last_told(task)
    if error.killed and task.retries:
        return merged(before, told), replace(task, retries=task.retries - 1)
    what = f"{metric} of {task.cell.title}" if metric else task.cell.title
    told.failures.append((what, str(error), f"{what}: {error}\n"))
    outcome = merged(before, told)
    rest = tuple(other for other in task.metrics if other.name != metric)
    return outcome, replace(task, metrics=rest) if metric and rest else None
