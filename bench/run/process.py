"""A process of its own for anyone's code, that is killed and replaced by itself.

joblib's pool breaks as a whole when one of its processes dies, and knows no time limits. So each worker is a pool of
one process, of the same library (loky).
"""

from __future__ import annotations

import os
import re
import signal
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool

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
    """A worker process ended before it answered; the message says how."""


def _settle() -> None:
    """First thing in a worker process: Ctrl-C is the parent's, who ends its workers; what is printed there is no part
    of the answer that `bench` prints."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        os.dup2(2, 1)


def _ready() -> None:
    """Import what every task needs, so that a time limit does not count it."""
    import bench.run.execute  # noqa: F401


class WorkerProcess:
    """One process that calls functions, one at a time. `limit` is the seconds that a call may take, None for any."""

    def __init__(self, limit: float | None = None) -> None:
        self._limit = limit
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
            self._pool = ProcessPoolExecutor(1, initializer=_settle, env=environment)
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
        if self._limit is None or self._started is None or not self._started.done():
            return None
        if self._deadline is None:
            self._deadline = time.monotonic() + self._limit
        return self._deadline - time.monotonic()

    def answer(self) -> Any:
        """The call's result or exception; Ended where the process ended or the time is over, and then it is killed.
        Busy where there is still time."""
        assert self._call is not None
        left = self.seconds_left()
        if self._call.done():
            error = self._call.exception()
            if isinstance(error, BrokenProcessPool):
                self.close()
                raise Ended(_how(error))
            if error is not None and not isinstance(error, Exception):  # its own: Ctrl-C does not reach the process
                raise Ended(f"it raised {type(error).__name__}") from error
            return self._call.result()
        if left is None or left > 0:
            raise Busy
        self.close()
        raise Ended(f"it took longer than the time limit of {self._limit:g} s and was ended")

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
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None


def _how(error: BrokenProcessPool) -> str:
    """How a worker process ended, from what its pool says of it."""
    found = re.search(r"exit codes? of the workers? (?:is|are) \{(\w+)\((-?\d+)\)", str(error))
    if found is None:
        return "its worker process ended" if "terminated" in str(error) else f"its answer cannot be read: {error}"
    name, code = found[1], int(found[2])
    if code >= 0:
        return f"it ended its worker process, with exit code {code}"
    cause = ", most likely for lack of memory: use fewer --jobs or a smaller --batch-size" if code == -9 else ""
    return f"its worker process was killed by signal {-code} ({name}){cause}"
