"""The ground floor: what methods, metrics, data sets, channels and trainings promise, and what all of them need.

What authors of plug-ins build on is offered here: `from bench.api import Metric, ScoreInfo`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api.channel import Channel
    from bench.api.errors import DataError, MethodError, MetricError, UsageError
    from bench.api.method import Method, MethodContext, Received, Transmission
    from bench.api.metric import Comparison, Metric, MetricContext, Score
    from bench.api.scenes import LabelSpace, Scene, SceneArrays, SceneSource
    from bench.api.scores import ScoreInfo
    from bench.api.training.task import TrainingTask

_MODULES = {
    "channel": ("Channel",),
    "errors": ("DataError", "MethodError", "MetricError", "UsageError"),
    "method": ("Method", "MethodContext", "Received", "Transmission"),
    "metric": ("Comparison", "Metric", "MetricContext", "Score"),
    "scenes": ("LabelSpace", "Scene", "SceneArrays", "SceneSource"),
    "scores": ("ScoreInfo",),
    "training.task": ("TrainingTask",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
__all__ = [
    "Channel", "Comparison", "DataError", "LabelSpace", "Method", "MethodContext", "MethodError", "Metric",
    "MetricContext", "MetricError", "Received", "Scene", "SceneArrays", "SceneSource", "Score", "ScoreInfo",
    "TrainingTask", "Transmission", "UsageError",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """One of the names above; its module, and PyTorch with it, is imported when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
