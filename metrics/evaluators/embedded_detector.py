"""The embedded detector: a small object detector for the street scenes that the project renders.

A CenterNet (Zhou et al., "Objects as Points", arXiv 1904.07850) on the U-Net of `metrics.evaluators.block_unet`: a
heat map a class at stride 2, whose peaks are the objects, and at every position the distances to the four sides of its
box, as in FCOS and TTFNet (arXiv 1909.00700). Stride 2, because half of the persons are 4 pixels wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from metrics.evaluators.block_unet import BLOCK, BlockUNet, ConvNorm, EmbeddedEvaluator, EvaluatorSpec
from metrics.evaluators.detection import Detections

#: Peaks that are kept of a picture, the best ones; street scenes show 6 objects on average and 14 at most.
MAX_DETECTIONS = 40
#: Score below which a peak is none. Far below any working point, so that precision-recall curves have their tails.
MIN_SCORE = 0.05
#: Overlap above which the worse of two boxes of one class is dropped.
SUPPRESSION_IOU = 0.6
#: Largest distance that is predicted, exp of it in positions: beyond any picture, before float32 overflows.
_MAX_LOG_DISTANCE = 6.0
_PRIOR = 0.02  # what heat starts at in training: few positions are objects


@dataclass(frozen=True)
class DetectorSpec(EvaluatorSpec):
    """A detector; `classes` are the label ids that it answers with."""

    kind: ClassVar[str] = "detector"
    title: ClassVar[str] = "detector"
    metric: ClassVar[str] = "objects"

    classes: tuple[int, ...]


SPECS: dict[str, DetectorSpec] = {
    spec.dataset: spec
    for spec in (
        # person, rider, car, truck, bus, train (the renderer's trams), motorcycle, bicycle
        DetectorSpec("streets", "streets-detector-v1", (64, 128), (24, 48, 80, 96), (24, 25, 26, 27, 28, 31, 32, 33)),
    )
}
"""The embedded detectors by data set."""


class DetectorNet(BlockUNet):
    """Pictures (B, 3, H, W) in [0, 1], H and W multiples of 16 -> heat and distances at stride 2.

    Heat (B, C, H/2, W/2) are logits, one map a class. Distances (B, 4, H/2, W/2) run from the middle of a position to
    the left, upper, right and lower side of its object's box, in pixels, and are positive.
    """

    def __init__(self, spec: DetectorSpec) -> None:
        super().__init__(spec.widths)
        width = spec.widths[0]
        self.neck = ConvNorm(width, 2 * width)
        self.heat = nn.Conv2d(2 * width, len(spec.classes), 1)
        self.sides = nn.Conv2d(2 * width, 4, 1)
        nn.init.constant_(self.heat.get_parameter("bias"), float(np.log(_PRIOR / (1 - _PRIOR))))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.neck(self.features(images)))
        return self.heat(x), BLOCK * self.sides(x).float().clamp(max=_MAX_LOG_DISTANCE).exp()


def boxes_at(distances: Tensor) -> Tensor:
    """Distances (B, 4, h, w) at stride 2 -> boxes (B, h, w, 4), x0, y0, x1, y1 in pixels."""
    height, width = distances.shape[-2:]
    y = (torch.arange(height, device=distances.device) + 0.5) * BLOCK
    x = (torch.arange(width, device=distances.device) + 0.5) * BLOCK
    left, top, right, bottom = distances.unbind(dim=1)
    return torch.stack([x - left, y[:, None] - top, x + right, y[:, None] + bottom], dim=-1)


def decode(heat: Tensor, distances: Tensor, classes: tuple[int, ...]) -> list[Detections]:
    """Heat logits (B, C, h, w) and distances (B, 4, h, w) -> detections in a picture of (2h, 2w) pixels.

    A position is a peak where no neighbour of its 3x3 is hotter in the same class. Of all peaks of a picture the
    `MAX_DETECTIONS` best that reach `MIN_SCORE` are kept, but for those that overlap a better one of their class by an
    IoU above `SUPPRESSION_IOU`; boxes are cut at the picture's edges.
    """
    from torchvision.ops import batched_nms

    height, width = heat.shape[-2:]
    scores = heat.sigmoid()
    peaks = torch.where(scores == nn.functional.max_pool2d(scores, 3, 1, 1), scores, 0.0).flatten(1)
    boxes = boxes_at(distances).flatten(1, 2)
    boxes = torch.stack(
        [boxes[..., 0::2].clamp(0, BLOCK * width), boxes[..., 1::2].clamp(0, BLOCK * height)], dim=-1
    ).flatten(-2)
    best, where = peaks.topk(min(MAX_DETECTIONS, peaks.shape[1]), dim=1)
    found = []
    for picture in range(len(heat)):
        hot = best[picture] >= MIN_SCORE
        kept, place = best[picture][hot], where[picture][hot]
        kinds = place // (height * width)
        mine = boxes[picture, place % (height * width)]
        order = batched_nms(mine, kept, kinds, SUPPRESSION_IOU)
        labels = np.array(classes, dtype=np.int64)[kinds[order].cpu().numpy()]
        found.append(Detections(mine[order].cpu().numpy(), kept[order].cpu().numpy(), labels))
    return found


class EmbeddedDetector(EmbeddedEvaluator[DetectorSpec, DetectorNet]):
    """A trained detector (see `metrics.evaluators.detection.Detector`)."""

    specs = SPECS
    network = DetectorNet

    @property
    def classes(self) -> tuple[int, ...]:
        """The label ids that it answers with."""
        return self.spec.classes

    @torch.inference_mode()
    def detect(self, images: Tensor) -> list[Detections]:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> the detections of each, at most `MAX_DETECTIONS`, in its pixels.

        Pictures of another size than the detector's are brought to it with an antialiased bilinear filter, and the
        boxes back to the pictures' size.
        """
        size = tuple(images.shape[-2:])
        images = self._at_own_size(images)
        heat, distances = self._network(images)
        found = decode(heat, distances, self.classes)
        if size == self.spec.size:
            return found
        scale = np.array([size[1] / self.spec.size[1], size[0] / self.spec.size[0]] * 2, dtype=np.float32)
        return [Detections(one.boxes * scale, one.scores, one.labels) for one in found]
