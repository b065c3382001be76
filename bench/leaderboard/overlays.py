"""What the detector and the depth network of a data set see in pictures, drawn for the sample browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.api.metric import MetricError
from bench.api.scenes import LabelSpace
from metrics.evaluators.registry import choose_detector, load_estimator

if TYPE_CHECKING:
    from metrics.evaluators.depth import DepthEstimator
    from metrics.evaluators.detectors import Detections, Detector

#: Quantiles of the original's depth that the colours span.
SPAN = (0.02, 0.98)


@dataclass(frozen=True)
class Seers:
    """The networks of a data set, None where there is none; `missing` says why."""

    detector: Detector | None
    threshold: float
    depth: DepthEstimator | None
    missing: tuple[str, ...]


def load_seers(dataset: str) -> Seers:
    """The default detector and depth network of a data set, as far as their weights are on this machine."""
    device, missing = torch.device("cpu"), []
    detector, depth, threshold = None, None, 0.0
    try:
        choice = choose_detector(dataset, None)
        detector, threshold = choice.load(None, device), choice.threshold
    except MetricError as error:
        missing.append(f"no detections: {error}")
    try:
        depth = load_estimator(dataset, None, None, device)
    except MetricError as error:
        missing.append(f"no depth: {error}")
    return Seers(detector, threshold, depth, tuple(missing))


def tensor(pictures: Sequence[np.ndarray]) -> torch.Tensor:
    """Pictures (H, W, 3) uint8 as (B, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div_(255)


def boxes_svg(found: Sequence[Detections | None], threshold: float, size: tuple[int, int], space: LabelSpace) -> str:
    """Boxes and names of a strip of pictures, stacked from the top, as a transparent SVG of the strip's size. Noise
    makes detectors see a hundred things, so all boxes of a picture are one path."""
    height, width = size
    thin, text = width / 200, width / 27
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height * len(found)}" '
        f'font-family="sans-serif" font-size="{text:.2f}" font-weight="700">'
    ]
    for number, one in enumerate(found):
        outlines, names = [], []
        for box, score, label in zip(one.boxes, one.scores, one.labels, strict=True) if one is not None else ():
            if score < threshold:
                continue
            x0, y0, x1, y1 = (round(float(v), 1) for v in box)
            outlines.append(f"M{x0:g} {y0:g}H{x1:g}V{y1:g}H{x0:g}z")
            baseline = y0 - thin if y0 > text else y1 + text * 0.85
            names.append(f'<text x="{x0:g}" y="{baseline:.1f}">{escape(space.names[int(label)])}</text>')
        path = "".join(outlines)
        parts.append(
            f'<svg y="{number * height}" width="{width}" height="{height}">'  # clips what leaves the picture
            f'<g fill="none"><path d="{path}" stroke="#000" stroke-width="{2.4 * thin:.2f}"/>'
            f'<path d="{path}" stroke="#ffe14d" stroke-width="{1.2 * thin:.2f}"/></g>'
            f'<g fill="#ffe14d" stroke="#000" stroke-width="{2 * thin:.2f}" paint-order="stroke">{"".join(names)}</g>'
            "</svg>"
        )
    return "".join([*parts, "</svg>"])


def near(estimates: torch.Tensor, inverse: bool) -> np.ndarray:
    """Estimates (B, H, W) as nearness: larger is nearer, whatever the network gives."""
    values = estimates.numpy().astype(np.float64)
    return values if inverse else 1 / np.maximum(values, 1e-3)


def paint_depth(nearness: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    """Nearness (H, W) in the colours of magma, near is bright; (H, W, 3) uint8."""
    from matplotlib import colormaps

    low, high = span
    share = np.clip((nearness - low) / max(high - low, 1e-9), 0, 1)
    return (colormaps["magma"](share)[..., :3] * 255).round().astype(np.uint8)
