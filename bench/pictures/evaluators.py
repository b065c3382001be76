"""What a detector and a depth network see in pictures: the evaluators of the metrics `objects` and `depth`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.api.errors import MetricError
from bench.run.worker import one_thread
from metrics.evaluators.registry import choose_detector, load_estimator

if TYPE_CHECKING:
    from bench.config import Config
    from metrics.evaluators.depth import DepthEstimator
    from metrics.evaluators.detectors import Detections, Detector

CPU = torch.device("cpu")
#: Depth maps are drawn by nearness: bright is near.
COLOURS = "magma"
#: The part of a depth map's values that its colours span: single pixels must not take the whole scale.
SPAN = (0.02, 0.98)


@dataclass(frozen=True)
class Evaluators:
    """The networks of a data set, None where there is none; `missing` says why, by what is lacking for it."""

    detector: Detector | None = None
    threshold: float = 0.0
    depth: DepthEstimator | None = None
    missing: dict[str, str] = field(default_factory=dict)

    def detect(self, pictures: Sequence[np.ndarray]) -> list[Detections]:
        """The objects in pictures (H, W, 3) uint8; those with a score of `threshold` or more count."""
        assert self.detector is not None
        with one_thread(), torch.inference_mode():
            return self.detector.detect(_tensor(pictures))

    def nearness(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Estimated inverse depth of pictures (H, W, 3) uint8, (B, H, W) float64, up to scale and shift."""
        assert self.depth is not None
        with one_thread(), torch.inference_mode():
            estimate = self.depth.estimate(_tensor(pictures)).double().numpy()
        return estimate if self.depth.inverse else 1 / np.maximum(estimate, 1e-6)


def load_evaluators(dataset: str, config: Config) -> Evaluators:
    """A data set's detector and depth network, those configured else the default ones, as far as they are here."""
    detector, depth, threshold, missing = None, None, 0.0, {}

    try:
        choice = choose_detector(dataset, config.evaluator("objects", dataset))
        detector, threshold = choice.load(None, CPU), choice.threshold
    except MetricError as error:
        missing["detections"] = str(error)
    try:
        depth = load_estimator(dataset, config.evaluator("depth", dataset), None, CPU)
    except MetricError as error:
        missing["depth"] = str(error)
    return Evaluators(detector, threshold, depth, missing)


def _tensor(pictures: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div_(255)


def span_of(near: np.ndarray) -> tuple[float, float]:
    """The nearness that the colours of a map (H, W) span."""
    low, high = np.quantile(near, SPAN)
    return float(low), float(high)


def paint_nearness(near: np.ndarray, span: tuple[float, float] | None = None) -> np.ndarray:
    """One map (H, W) in colours over `span`, else its own range: (H, W, 3) uint8; one colour where it says nothing."""
    from matplotlib import colormaps

    low, high = span or span_of(near)
    scaled = np.clip((near - low) / (high - low), 0, 1) if high > low else np.full_like(near, 0.5)
    return (colormaps[COLOURS](scaled)[..., :3] * 255).round().astype(np.uint8)
