"""Sections of bench.toml that are about something by name: it has to exist, whether or not this run asks for it."""

from __future__ import annotations

from collections.abc import Mapping

from bench.api.errors import MethodError, MethodFault, MetricError, MetricFault, UsageError, nearest
from bench.api.registry import DATASETS, METHODS, METRICS
from bench.api.specs import check_options
from bench.config import Config
from bench.run.trial import Trial


def check_sections(config: Config, trial: Trial) -> None:
    """UsageError for a data set, method, metric or evaluator that does not exist, and for an option that a method
    does not have or that is of another type. A plug-in that cannot be imported is none of this: it fails where it is
    asked for."""
    for name in config.data:
        if name not in DATASETS.names():
            raise UsageError(f"unknown data set in [data.{name}]{nearest(name, DATASETS.names())}")
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
        _check_evaluators(name, metric.evaluators, trial)


def _check_evaluators(metric: str, evaluators: Mapping[str, str], trial: Trial) -> None:
    """UsageError for a metric, a data set or an evaluator that does not exist."""
    known = METRICS.names()
    if metric not in known:
        raise UsageError(f"unknown metric in [metrics.{metric}]{nearest(metric, known)}")
    for dataset, evaluator in evaluators.items():
        where = f"[metrics.{metric}.evaluators]"
        if dataset not in DATASETS.names():
            raise UsageError(f"unknown data set '{dataset}' in {where}{nearest(dataset, DATASETS.names())}")
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
