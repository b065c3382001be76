"""Plug-ins tried out before this process has anything to do with them.

A plan is made of what methods and metrics say of themselves once they are built. Anyone's code may end its process at
that, crash it or never come back, so with the backend `loky` plug-ins are imported and built in a process of their own
first.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from bench.api.errors import Failure, MethodError, MethodFault, MetricError, MetricFault, in_words
from bench.api.lazy import torch
from bench.api.method import Method
from bench.api.metric import Metric
from bench.api.registry import Registry
from bench.config import RunSection
from bench.run.guard import house_rules, sound_identity

T = TypeVar("T")


@dataclass
class Told:
    """What a plan has to say of what is not in it: what was left out, and what broke."""

    left_out: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def failed(self, what: str, error: Exception) -> None:
        """Note that `what` broke, with the exception being handled."""
        self.failures.append((what, in_words(error, (MethodError, MetricError)), traceback.format_exc()))


def identity_of(thing: Method | Metric, what: str) -> dict[str, Any]:
    """What a built method or metric says of itself, as JSON data; MethodFault or MetricFault where it cannot."""
    try:
        with house_rules():
            return sound_identity(thing.identity())
    except (Exception, SystemExit) as error:
        fault = MethodFault if isinstance(thing, Method) else MetricFault
        raise fault(f"{what} cannot be told from others: {type(error).__name__}: {error}") from error


class Trial:
    """Calls about methods or metrics by name: of the benchmark's own in this process, of others in one of their own,
    for at most the run's time limit. `with Trial(run) as trial: trial(METHODS, name, function, ...)`."""

    def __init__(self, run: RunSection) -> None:
        self._apart, self._limit = run.backend == "loky", run.time_limit
        self._worker: Any = None

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._worker is not None:
            self._worker.close()

    def __call__(self, registry: Registry[Any], name: str, function: Callable[..., T], *arguments: Any) -> T:
        """`function(*arguments)`; the fault of the kind where that ended its process, or took too long."""
        ours = registry.is_ours(name)
        if not self._apart or ours:
            if not ours:
                torch.get_num_threads()  # imports it, so that what a plug-in changes of it is changed back
            with house_rules():
                return function(*arguments)
        from bench.run.process import Ended, WorkerProcess

        self._worker = self._worker or WorkerProcess(self._limit)
        try:
            return self._worker.call(function, *arguments)  # type: ignore[no-any-return]
        except Ended as error:
            raise registry.fault(f"'{name}' cannot be imported and built: {error}") from None

    def loads(self, registry: Registry[Any], name: str) -> None:
        """An error of the kind where what is registered under `name` cannot be imported."""
        self(registry, name, _load, registry, name)


def _load(registry: Registry[Any], name: str) -> None:
    registry.load(name)
