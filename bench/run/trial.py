"""Names and plug-ins tried out before a plan relies on them: what a run asks for, and sections of bench.toml.

A plan is made of what methods and metrics say of themselves once they are built. Anyone's code may end its process at
that, crash it or never come back, so with the backend `loky` plug-ins are imported and built in a process of their own
first.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from bench.api.errors import Failure, MethodError, MethodFault, MetricError, MetricFault, UsageError, in_words, nearest
from bench.api.lazy import torch
from bench.api.method import Method
from bench.api.metric import Metric
from bench.api.names import ALL
from bench.api.registry import DATASETS, METHODS, METRICS, Registry
from bench.api.specs import MethodSpec, all_methods, check_options, parse_spec, spec_name
from bench.data.own import CLASSES, SCHEME
from bench.data.registry import own_names
from bench.run.contract import house_rules, sound_identity

if TYPE_CHECKING:
    from bench.config import Config, RunSection

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
    """Calls about methods or metrics by name, as in `with Trial(run) as trial: trial(METHODS, name, function, ...)`.

    Those of the benchmark's own are made in this process, others in one of their own, for at most the run's time limit.
    """

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


def expanded(asked: Sequence[str], everything: Sequence[str]) -> list[str]:
    """Names in order, without repetition, everything in the place of `all`."""
    wanted = [name for one in asked for name in (everything if one.casefold() == ALL else (one,))]
    return list(dict.fromkeys(wanted))


def methods_asked(asked: Sequence[str], trial: Trial, told: Told) -> tuple[list[MethodSpec], set[str]]:
    """The methods asked for, and those of them that only `all` stands for.

    What `all` cannot import is left out, and what is named and breaks while it is imported has failed. UsageError for
    a name or an option that does not exist.
    """
    everything: list[str] = []
    named = [name for name in asked if name.casefold() != ALL]
    if len(named) < len(asked):  # listing methods imports them, third parties' too: only where asked for
        everything, broken = all_methods(partial(trial.loads, METHODS))
        told.left_out += broken
    specs: dict[str, MethodSpec] = {}
    by_name = set()
    for text in expanded(asked, everything):
        try:
            name = spec_name(text)
            if name in METHODS.names():
                trial.loads(METHODS, name)
            spec = parse_spec(text)
        except MethodFault as error:
            told.failed(text, error)
            continue
        except MethodError as error:
            raise UsageError(str(error)) from None
        specs[spec.text] = spec
        if text in named:
            by_name.add(spec.text)
    return list(specs.values()), set(everything) - by_name


def check_sections(config: Config, trial: Trial) -> None:
    """UsageError for sections of bench.toml about something that does not exist, whether or not this run asks for it.

    That is a data set, method, metric or evaluator, and an option that a method does not have or that is of another
    type. A plug-in that cannot be imported is none of this: it fails where it is asked for.
    """
    datasets = [*DATASETS.names(), *own_names(config.data)]
    for name in config.data:
        if name not in datasets and not name.startswith(SCHEME):
            own = f" (a folder of your own has a {CLASSES}, {config.data[name].root} has none)"
            hint = own if config.data[name].root else ""
            raise UsageError(f"unknown data set in [data.{name}]{nearest(name, datasets)}{hint}")
    known = METHODS.names()
    for name, method in config.methods.items():
        if name not in known:
            raise UsageError(f"unknown method in [methods.{name}]{nearest(name, known)}")
        if method.options:
            try:
                trial.loads(METHODS, name)
                check_options(name, method.options, f"[methods.{name}]")
            except MethodFault:
                continue
            except MethodError as error:
                raise UsageError(str(error)) from None
    for name, metric in config.metrics.items():
        _check_evaluators(name, metric.evaluators, datasets, trial)


def _check_evaluators(metric: str, evaluators: Mapping[str, str], datasets: Collection[str], trial: Trial) -> None:
    """UsageError for a metric, a data set or an evaluator that does not exist."""
    known = METRICS.names()
    if metric not in known:
        raise UsageError(f"unknown metric in [metrics.{metric}]{nearest(metric, known)}")
    for dataset, evaluator in evaluators.items():
        where = f"[metrics.{metric}.evaluators]"
        if dataset not in datasets:
            raise UsageError(f"unknown data set '{dataset}' in {where}{nearest(dataset, datasets)}")
        try:
            trial.loads(METRICS, metric)
            kind = METRICS.load(metric)
        except MetricFault:
            return
        except MetricError as error:
            raise UsageError(str(error)) from None
        choice = kind.evaluators(dataset)
        if evaluator not in choice and not evaluator.startswith(kind.evaluator_schemes):
            raise UsageError(f"unknown evaluator '{evaluator}' of {dataset} in {where}{nearest(evaluator, choice)}")
