"""What a metric is: a measurement of single scenes, and a summary over them.

`Metric.measure` turns pictures into a small array per scene (a distance, a confusion matrix, a feature vector);
`Metric.summarise` turns the stacked arrays of many scenes into scores. The harness caches the arrays, so a summary
over other scenes, another estimator or a new table costs no second pass over the pictures.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench.api.errors import MetricError
from bench.api.lazy import Tensor, torch
from bench.api.memory import Kept
from bench.api.scenes import LabelSpace, SceneSource
from bench.api.scores import ScoreInfo

#: Rounding of pictures that is let through on either side of [0, 1].
_SLACK = 1e-4


@dataclass(frozen=True)
class MetricContext:
    """Where a metric is asked to work.

    `device_name` is what PyTorch calls the device. `weights_dir` is a folder that somebody named. `evaluator` chooses
    among `Metric.evaluators`; None is the first of them. `size` is the pictures' height and width; None: not known.
    `kept` is where what a network says of originals lies between runs; None: nowhere.
    """

    dataset: str
    label_space: LabelSpace
    device_name: str = "cpu"
    weights_dir: Path | None = None
    evaluator: str | None = None
    size: tuple[int, int] | None = None
    kept: Kept | None = None

    @classmethod
    def of(cls, source: SceneSource, evaluator: str | None = None, device_name: str = "cpu") -> MetricContext:
        """The context of a data set at its size."""
        size = (source.height, source.width)
        return cls(source.name, source.label_space, device_name, evaluator=evaluator, size=size)

    @property
    def device(self) -> torch.device:
        """The PyTorch device."""
        return torch.device(self.device_name)


@dataclass(frozen=True)
class Comparison:
    """A batch of regenerated pictures beside the truth.

    `generated`, `original`: (B, 3, H, W) float32 in [0, 1]; `labels` (B, H, W) int64; `instances` (B, H, W) int32;
    `depth` (B, H, W) float32 metres or None.

    Raises:
        MetricError: there is no scene, shapes or types are others, or pictures are not finite and within [0, 1].
    """

    generated: Tensor
    original: Tensor
    labels: Tensor
    instances: Tensor
    depth: Tensor | None = None

    def __post_init__(self) -> None:
        """Check everything once, for every metric."""
        generated, original = tuple(self.generated.shape), tuple(self.original.shape)
        if len(generated) != 4 or generated[1] != 3:
            raise MetricError(f"generated pictures must be (scenes, 3, height, width), not {generated}")
        if generated != original:
            raise MetricError(
                f"generated pictures are {generated} and the originals {original}: the method has to return one "
                "picture a scene, of the scene's size"
            )
        if not generated[0]:
            raise MetricError("there is no scene to measure: the batch is empty")
        _check_pictures(self.generated, "generated")
        _check_pictures(self.original, "original")
        expected = (generated[0], *generated[2:])
        for name, values in (("labels", self.labels), ("instances", self.instances), ("depth", self.depth)):
            if values is None:
                continue
            if tuple(values.shape) != expected:
                raise MetricError(f"{name} of shape {tuple(values.shape)}: the pictures need {expected}")
            if name != "depth" and values.is_floating_point():
                raise MetricError(f"{name} must be integers, not {values.dtype}")


def _check_pictures(pictures: Tensor, which: str) -> None:
    if str(pictures.dtype) != "torch.float32":
        raise MetricError(f"{which} pictures must be float32 in [0, 1], not {pictures.dtype}")
    lowest, highest = torch.aminmax(pictures)  # NaN where a value is
    if lowest >= -_SLACK and highest <= 1 + _SLACK:
        return
    flat = pictures.flatten(1)
    broken = (~flat.isfinite()).any(dim=1)
    if broken.any():
        raise MetricError(f"{which} picture {int(broken.nonzero()[0])} of the batch holds NaN or infinity")
    outside = ((flat < -_SLACK) | (flat > 1 + _SLACK)).any(dim=1)
    if outside.any():
        number = int(outside.nonzero()[0])
        low, high = flat[number].min().item(), flat[number].max().item()
        raise MetricError(f"{which} picture {number} of the batch has values in [{low:.3g}, {high:.3g}], not in [0, 1]")


@dataclass(frozen=True)
class Score:
    """One number about a set of scenes.

    `std` is the standard deviation (ddof 1) of the scenes' own values; None where a scene has none, or for one scene.
    How certain the value itself is, its standard error, the harness works out (`Metric.resampled`).
    """

    metric: str
    value: float
    std: float | None
    scenes: int

    @classmethod
    def mean(cls, metric: str, values: np.ndarray) -> Score:
        """The mean of the defined ones of the scenes' own values (B,), NaN where none is; MetricError for no scenes."""
        if not len(values):
            raise MetricError(f"{metric} of no scenes is not defined")
        defined = values[np.isfinite(values)]
        return cls(metric, float(defined.mean()) if len(defined) else math.nan, spread(values), len(values))


def spread(values: np.ndarray) -> float | None:
    """Standard deviation (ddof 1) of the defined ones of values (B,); None for fewer than two."""
    values = values[np.isfinite(values)]
    return float(values.std(ddof=1)) if len(values) > 1 else None


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part` / `whole` (of one shape) in float64, NaN where the whole is 0."""
    result: np.ndarray = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return result


class Metric(ABC):
    """One measurement. Subclasses are found through the entry-point group `bench.metrics`.

    `name` is what people type and tables print (`mIoU`, `LPIPS`, `FID[lite0]`); `protocol` says how the number is
    made in a few words (evaluator, classes, resize rule, features) and is stored with every value. Importing the module
    should import nothing heavy (torch): readers of results look up `scores`.
    """

    name: ClassVar[str]
    #: Every score that `summarise` and `per_scene` give; the first that fits a name counts.
    scores: ClassVar[tuple[ScoreInfo, ...]]
    #: Measured only where it is named, not as part of `all`.
    by_name: ClassVar[bool] = False
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

    def prepare(self) -> None:  # noqa: B027 - some need nothing
        """Load what `measure` needs, such as a network; the harness calls it before the first scene.

        Building a metric should tell what it is, fast: a run whose cells are all cached never comes here. MetricError
        where weights do not fit.
        """

    @classmethod
    def evaluators(cls, dataset: str) -> tuple[str, ...]:
        """Names of the networks that `context.evaluator` chooses from on a data set, the default first; may be empty.

        A name also says how pictures reach the network.
        """
        return ()

    @property
    @abstractmethod
    def protocol(self) -> str:
        """The protocol by name, for example `gt|judge=streets-v1|19 classes`."""

    def protocol_for(self, score: str) -> str:
        """The protocol of one of the metric's scores; no part of the cache's key.

        It says more than `protocol` where scores are made of equal arrays in ways of their own.
        """
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
