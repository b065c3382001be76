"""The embedded evaluators that `bench train` can train, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metrics.evaluators import embedded, embedded_depth, embedded_detector
from metrics.evaluators.block_unet import EvaluatorSpec
from metrics.evaluators.train_depth import train_depth
from metrics.evaluators.train_detector import train_detector
from metrics.evaluators.train_embedded import train_judge
from metrics.evaluators.training import Course, Scenes


@dataclass(frozen=True)
class Trainer:
    """How one evaluator is trained.

    `specs` by data set; `steps` and `batch_size` of the shipped weights; `depth`: the scenes need true depth. `train`
    takes a spec, the training scenes, scenes to measure on by split, where the weights go, and the course; it writes
    weights and a model card.
    """

    specs: Mapping[str, EvaluatorSpec]
    steps: int
    batch_size: int
    depth: bool
    train: Callable[[Any, Scenes, Mapping[str, Scenes], Path, Course], object]

    @property
    def metric(self) -> str:
        """The metric that asks what it trains."""
        return next(iter(self.specs.values())).metric

    @property
    def title(self) -> str:
        """What it trains, for people."""
        return next(iter(self.specs.values())).title


TRAINERS: dict[str, Trainer] = {
    "judge": Trainer(embedded.SPECS, 2500, 32, False, train_judge),
    "detector": Trainer(embedded_detector.SPECS, 1500, 16, False, train_detector),
    "depth": Trainer(embedded_depth.SPECS, 4000, 16, True, train_depth),
}
