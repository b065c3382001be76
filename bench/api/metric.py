"""What a metric is: a measurement of single scenes, and a summary over them.

`Metric.measure` turns pictures into a small array per scene (a distance, a confusion matrix, a feature vector);
`Metric.summarise` turns the stacked arrays of many scenes into scores. The harness caches the arrays, so a summary
over other scenes, another estimator or a new table costs no second pass over the pictures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bench.api.errors import MetricError as MetricError
from bench.api.errors import MetricFault as MetricFault


@dataclass(frozen=True)
class MetricContext:
    """Where a metric is asked to work.

    `num_labels` is the size of the data set's label space, `evaluated` the label ids that enter mIoU,
    `label_names[i]` the name of label id i. `evaluator` chooses among `Metric.evaluators`;
    None is the first of them.
    """

    dataset: str
    num_labels: int
    evaluated: tuple[int, ...]
    label_names: tuple[str, ...]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    weights_dir: Path | None = None
    evaluator: str | None = None


@dataclass(frozen=True)
class Comparison:
    """A batch of regenerated pictures beside the truth.

    `generated`, `original`: (B, 3, H, W) float32 in [0, 1]; `labels` (B, H, W) int64; `instances` (B, H, W) int32;
    `depth` (B, H, W) float32 metres or None.
    """

    generated: Tensor
    original: Tensor
    labels: Tensor
    instances: Tensor
    depth: Tensor | None = None


@dataclass(frozen=True)
class Score:
    """One number about a set of scenes. `std` is the spread over scenes: the standard deviation (ddof 1) of the scenes'
    own values; None where a scene has none, or for one scene. How certain the value itself is, its standard error, the
    harness works out (`Metric.resampled`)."""

    metric: str
    value: float
    std: float | None
    scenes: int


class Metric(ABC):
    """One measurement. Subclasses are found through the entry-point group `bench.metrics`.

    `name` is what people type and tables print (`mIoU`, `LPIPS`, `FID[lite0]`); `protocol` says how the number is
    made in a few words (evaluator, classes, resize rule, features) and is stored with every value.
    """

    name: ClassVar[str]
    #: Of the metric's scores; where they differ, `higher_is_better_for` says it of each.
    higher_is_better: ClassVar[bool]
    #: What evaluators may begin with that are named by where they lie (`hf:FOLDER`), beside those of `evaluators`.
    evaluator_schemes: ClassVar[tuple[str, ...]] = ()
    #: Bumped whenever `measure` gives other arrays. Part of the cache's key: everything is measured again.
    code_version: ClassVar[int] = 1
    #: Bumped whenever `summarise`, `per_scene`, `resampled` or `protocol_for` make something else of equal arrays. No
    #: part of the key: the cached arrays are summarised again, without a look at the pictures.
    summary_version: ClassVar[int] = 1

    def __init__(self, context: MetricContext) -> None:
        """Load what is needed; raises MetricError where weights are missing or a data set does not fit."""
        self.context = context

    @classmethod
    def evaluators(cls, dataset: str) -> tuple[str, ...]:
        """Names of the networks (and how pictures reach them) that `context.evaluator` chooses from on a data set, the
        default first; empty for a metric without that choice."""
        return ()

    @classmethod
    def higher_is_better_for(cls, score: str) -> bool:
        """Whether more is better of one of the metric's scores, set-level or per scene, by its name."""
        return cls.higher_is_better

    @property
    @abstractmethod
    def protocol(self) -> str:
        """The protocol by name, for example `gt|judge=streets-v1|19 classes`."""

    def protocol_for(self, score: str) -> str:
        """The protocol of one of the metric's scores: where they are made of equal arrays in ways of their own, more
        than `protocol` says. No part of the cache's key."""
        return self.protocol

    @abstractmethod
    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """Per-scene arrays, each with leading dimension B."""

    @abstractmethod
    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """Scores over all scenes of `measured`, whose arrays are stacked along the first axis."""

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Values that belong to single scenes: metric name -> (B,) float64, NaN where undefined. May be empty."""
        return {}

    @classmethod
    def resampled(cls, measured: Mapping[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
        """Set-level scores over scenes that are left out or repeated: metric name -> (R,) float64.

        `counts` (R, B) says how often each of R sets holds each scene of `measured`. The harness leaves out one scene
        at a time: standard errors, intervals and ranks rest on what each scene contributes. Only for scores that are no
        mean of what `per_scene` gives under the same name, for which that is known already; may be empty.
        """
        return {}

    def weights_digest(self) -> str | None:
        """SHA-256 of the network behind the metric, or None."""
        return None

    def identity(self) -> dict[str, Any]:
        """Everything that determines the metric's values, as JSON-serialisable data."""
        return {
            "name": self.name,
            "code_version": self.code_version,
            "protocol": self.protocol,
            "weights_sha256": self.weights_digest(),
        }
