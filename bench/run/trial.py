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

import bench.api.metrics as metric_registry
import bench.api.specs as method_registry
from bench.api.errors import Failure, in_words
from bench.api.method import Method, MethodError, MethodFault
from bench.api.metric import Metric, MetricError, MetricFault
from bench.config import RunSection
from bench.run.guard import house_rules, sound_identity

T = TypeVar("T")
_REGISTRIES: dict[type[Method | Metric], Any] = {Method: method_registry, Metric: metric_registry}
_FAULTS: dict[type[Method | Metric], type[Exception]] = {Method: MethodFault, Metric: MetricFault}


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
    for at most the run's time limit. `with Trial(run) as trial: trial(Method, name, function, ...)`."""

    def __init__(self, run: RunSection) -> None:
        self._apart, self._limit = run.backend == "loky", run.time_limit
        self._worker: Any = None

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._worker is not None:
            self._worker.close()

    def __call__(self, kind: type[Method | Metric], name: str, function: Callable[..., T], *arguments: Any) -> T:
        """`function(*arguments)`; MethodFault or MetricFault where that ended its process, or took too long."""
        if not self._apart or _REGISTRIES[kind].is_ours(name):
            with house_rules():
                return function(*arguments)
        from bench.run.process import Ended, WorkerProcess

        self._worker = self._worker or WorkerProcess(self._limit)
        try:
            return self._worker.call(function, *arguments)  # type: ignore[no-any-return]
        except Ended as error:
            raise _FAULTS[kind](f"'{name}' cannot be imported and built: {error}") from None

    def method_loads(self, name: str) -> None:
        """MethodError where a method cannot be imported."""
        self(Method, name, _load_method, name)

    def metric_loads(self, name: str) -> None:
        """MetricError where a metric cannot be imported."""
        self(Metric, name, _load_metric, name)


def _load_method(name: str) -> None:
    method_registry.load_method(name)


def _load_metric(name: str) -> None:
    metric_registry.metric_class(name)
