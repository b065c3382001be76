"""What a detector and a depth network see in pictures, drawn: the evaluators of the metrics `objects` and `depth`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib import colormaps

from bench.api.metric import MetricError
from bench.figures.grid import Box
from bench.figures.style import palette
from bench.pictures.album import Album
from bench.run.worker import one_thread
from metrics.evaluators.depth import DepthEstimator
from metrics.evaluators.detectors import Detector
from metrics.evaluators.registry import choose_detector, load_estimator

CPU = torch.device("cpu")
#: By label id: the label colours of some things are too much alike. On Cityscapes these all differ, and the commonest
#: things have the strongest.
BOX_COLOURS = tuple(palette()[k] for k in (8, 5, 6, 7, 3, 1, 0, 2, 4, 9))
#: Depth maps are drawn by nearness: bright is near.
COLOURS = "magma"
#: The part of a depth map's values that its colours span: single pixels must not take the whole scale.
SPAN = (0.02, 0.98)


def _evaluator(album: Album, metric: str) -> str | None:
    section = album.request.config.metrics.get(metric)
    return section.evaluators.get(album.dataset) if section else None


def load_detector(album: Album) -> tuple[Detector, float] | str:
    """The data set's detector and the score from which it counts, or why there is none."""
    try:
        choice = choose_detector(album.dataset, _evaluator(album, "objects"))
        return choice.load(None, CPU), choice.threshold
    except MetricError as error:
        return str(error)


def load_depth(album: Album) -> DepthEstimator | str:
    """The data set's depth network, or why there is none."""
    try:
        return load_estimator(album.dataset, _evaluator(album, "depth"), None, CPU)
    except MetricError as error:
        return str(error)


def _tensor(pictures: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div_(255)


def find_boxes(
    album: Album, detector: Detector, threshold: float, pictures: Sequence[np.ndarray]
) -> list[tuple[Box, ...]]:
    """The objects in pictures (H, W, 3) uint8 with a score of `threshold` or more; each class has a colour."""
    with one_thread(), torch.inference_mode():
        found = detector.detect(_tensor(pictures))
    boxes = []
    for one in found:
        kept = [k for k in range(len(one.scores)) if one.scores[k] >= threshold]
        boxes.append(
            tuple(_box(album, one.boxes[k], int(one.labels[k])) for k in sorted(kept, key=lambda k: one.scores[k]))
        )
    return boxes


def _box(album: Album, corners: np.ndarray, label: int) -> Box:
    x0, y0, x1, y1 = (float(side) for side in corners)
    return Box((x0, y0, x1, y1), album.space.names[label], BOX_COLOURS[label % len(BOX_COLOURS)])


def nearness(estimator: DepthEstimator, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Estimated inverse depth of pictures (H, W, 3) uint8, (B, H, W) float64, up to scale and shift."""
    with one_thread(), torch.inference_mode():
        estimate = estimator.estimate(_tensor(pictures)).double().numpy()
    return estimate if estimator.inverse else 1 / np.maximum(estimate, 1e-6)


def paint_nearness(near: np.ndarray) -> np.ndarray:
    """One map (H, W) in colours, its own range stretched over them (inverse depth has no absolute scale); a map that
    says nothing is of one colour. (H, W, 3) uint8."""
    low, high = np.quantile(near, SPAN)
    scaled = np.clip((near - low) / (high - low), 0, 1) if high > low else np.full_like(near, 0.5)
    return (colormaps[COLOURS](scaled)[..., :3] * 255).round().astype(np.uint8)
