"""The embedded detector: small, for the street scenes that the project renders; and its training.

A CenterNet (Zhou et al., "Objects as Points", arXiv 1904.07850) on the U-Net of `metrics.evaluators.block_unet`: a
heat map a class at stride 2, whose peaks are the objects, and at every position the distances to the four sides of its
box, as in FCOS and TTFNet (arXiv 1909.00700). Stride 2, because half of the persons are 4 pixels wide.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.api.errors import MetricError
from bench.api.method import MethodContext
from bench.api.scenes import Scene
from bench.api.training.batches import in_order
from bench.api.training.task import TrainingScenes
from metrics.average_precision import IGNORED, average_precision, match
from metrics.evaluators.block_unet import BLOCK, BlockUNet, ConvNorm, at_size, load_network
from metrics.evaluators.detectors import FIRST_INSTANCE, Detections, TrueBoxes, boxes_from_instances
from metrics.evaluators.embedded import EmbeddedDetector, EvaluatorSpec
from metrics.evaluators.training import MEASURED_AT_ONCE, EvaluatorTask, Recipe, augment

#: Peaks that are kept of a picture, the best ones; street scenes show 6 objects on average and 14 at most.
MAX_DETECTIONS = 40
#: Score below which a peak is none. Far below any working point, so that precision-recall curves have their tails.
MIN_SCORE = 0.05
#: Overlap above which the worse of two boxes of one class is dropped.
SUPPRESSION_IOU = 0.6
#: Largest distance that is predicted, exp of it in positions: beyond any picture, before float32 overflows.
_MAX_LOG_DISTANCE = 6.0
_PRIOR = 0.02  # what heat starts at in training: few positions are objects
#: Part of a box's width and height that its Gaussian covers, as in TTFNet (section 3.2).
_ALPHA = 0.54
#: Weight of the boxes' loss beside that of the heat, as in TTFNet (section 4.1).
_BOX_WEIGHT = 5.0


class DetectorNet(BlockUNet):
    """Pictures (B, 3, H, W) in [0, 1], H and W multiples of 16 -> heat and distances at stride 2.

    Heat (B, C, H/2, W/2) are logits, one map a class. Distances (B, 4, H/2, W/2) run from the middle of a position to
    the left, upper, right and lower side of its object's box, in pixels, and are positive.
    """

    def __init__(self, spec: EvaluatorSpec) -> None:
        super().__init__(spec.widths)
        width = spec.widths[0]
        self.neck = ConvNorm(width, 2 * width)
        self.heat = nn.Conv2d(2 * width, len(spec.classes), 1)
        self.sides = nn.Conv2d(2 * width, 4, 1)
        nn.init.constant_(self.heat.get_parameter("bias"), float(np.log(_PRIOR / (1 - _PRIOR))))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Heat and distances."""
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


def load(spec: EvaluatorSpec, weights: Path, device: torch.device | str) -> Callable[[Tensor], list[Detections]]:
    """`EmbeddedDetector.detect` with the weights of a file; at most `MAX_DETECTIONS` a picture.

    Pictures of another size than the network's are brought to it with an antialiased bilinear filter, and the boxes
    back to the pictures' size.
    """
    network = load_network(DetectorNet(spec), spec, weights, device)

    @torch.inference_mode()
    def detect(images: Tensor) -> list[Detections]:
        size = tuple(images.shape[-2:])
        heat, distances = network(at_size(images, spec.size, device))
        found = decode(heat, distances, spec.classes)
        if size == spec.size:
            return found
        scale = np.array([size[1] / spec.size[1], size[0] / spec.size[0]] * 2, dtype=np.float32)
        return [Detections(one.boxes * scale, one.scores, one.labels) for one in found]

    return detect


class Task(EvaluatorTask[DetectorNet]):
    """CenterNet's focal loss on heat (eq. 1 of arXiv 1904.07850, alpha 2, beta 4), and GIoU of the boxes."""

    objective: ClassVar[str] = "focal loss on heat and GIoU loss on boxes"

    def __init__(self, spec: EvaluatorSpec, context: MethodContext, options: Mapping[str, Any]) -> None:
        super().__init__(spec, context, DetectorNet(spec), Recipe(1500, 16), options)

    def begin(self, scenes: TrainingScenes) -> None:
        """MetricError where the first scenes show no object at all."""
        for _, scene in in_order(scenes, MEASURED_AT_ONCE, MEASURED_AT_ONCE):
            things = np.isin(scene.labels.numpy(), self.spec.classes)
            if not (scene.instances.numpy()[things] >= FIRST_INSTANCE).any():
                raise MetricError(
                    f"the first {len(scene)} scenes of {self.spec.dataset} have no instance of a thing (instance maps?)"
                )

    def loss(self, network: DetectorNet, scene: Scene, generator: torch.Generator) -> Tensor:
        """Focal loss and weighted box loss, on changed pictures."""
        images, (labels, instances) = augment(scene.image, [scene.labels, scene.instances], generator)
        true = [
            boxes_from_instances(one.numpy(), other.numpy(), self.spec.classes)
            for one, other in zip(labels, instances, strict=True)
        ]
        heat, ignored, boxes, weight = (
            torch.from_numpy(np.stack(arrays)).to(self.device)
            for arrays in zip(*(targets_of(one, self.spec) for one in true), strict=True)
        )
        with self.autocast():
            logits, distances = network(images.to(self.device))
        return focal_loss(logits.float(), heat, ignored) + _BOX_WEIGHT * box_loss(distances, boxes, weight)

    def picture(self, images: Tensor) -> Tensor:
        """The hottest class of every position, bright."""
        heat = self.average(images)[0].sigmoid().amax(dim=1, keepdim=True)
        return nn.functional.interpolate(heat, scale_factor=float(BLOCK), mode="nearest")

    def evaluate(self, weights: Path, scenes: TrainingScenes) -> dict[str, float]:
        """AP50 of each class against the true boxes (COCO's matching, the area at all recalls), and their mean."""
        detector, classes = EmbeddedDetector(self.spec, weights, self.device), self.spec.classes
        scores = np.zeros((len(scenes), MAX_DETECTIONS))
        labels = np.zeros((len(scenes), MAX_DETECTIONS), dtype=np.int64)
        outcomes = np.full((len(scenes), MAX_DETECTIONS), IGNORED)
        objects = {label: np.zeros(len(scenes)) for label in classes}
        for rows, scene in in_order(scenes, MEASURED_AT_ONCE):
            for place, (row, found) in enumerate(zip(rows, detector.detect(scene.image), strict=True)):
                true = boxes_from_instances(scene.labels[place].numpy(), scene.instances[place].numpy(), classes)
                scores[row, : len(found)], labels[row, : len(found)] = found.scores, found.labels
                outcomes[row, : len(found)] = match(found.boxes, found.labels, true.boxes, true.labels, true.small)
                for label in true.labels[~true.small]:
                    objects[int(label)][row] += 1
        precision = [
            float(average_precision(scores, np.where(labels == label, outcomes, IGNORED), objects[label])[0])
            for label in classes
        ]
        return {"AP50": float(np.nanmean(precision)), **self.by_class("AP50", precision)}


def targets_of(true: TrueBoxes, spec: EvaluatorSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What the network is to say of one scene of `spec.size`, at stride 2: heat, ignored, boxes, weight.

    `heat` (C, h, w) float32: 1 at the middle of each object and a Gaussian around it (TTFNet, section 3.2), cut where
    it covers `_ALPHA` of the box. `ignored` (C, h, w) bool: within objects that are too small, where heat is neither
    right nor wrong. `boxes` (h, w, 4) float32 in pixels: the box of the object whose Gaussian is highest there (of
    equal ones, the smaller object), and `weight` (h, w) float32 that Gaussian, 0 where there is none.
    """
    height, width = (side // BLOCK for side in spec.size)
    heat = np.zeros((len(spec.classes), height, width), dtype=np.float32)
    ignored = np.zeros(heat.shape, dtype=bool)
    boxes = np.zeros((height, width, 4), dtype=np.float32)
    weight = np.zeros((height, width), dtype=np.float32)
    sides = true.boxes[:, 2:] - true.boxes[:, :2]
    for one in np.argsort(sides.prod(axis=1), kind="stable"):
        x0, y0, x1, y1 = true.boxes[one] / BLOCK
        kind = spec.classes.index(int(true.labels[one]))
        if true.small[one]:
            ignored[kind, int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = True
            continue
        gaussian = np.outer(_gaussian(y0, y1, height), _gaussian(x0, x1, width))
        np.maximum(heat[kind], gaussian, out=heat[kind])
        nearer = gaussian > weight
        boxes[nearer], weight[nearer] = true.boxes[one], gaussian[nearer]
    return heat, ignored & (heat == 0), boxes, weight


def _gaussian(low: float, high: float, length: int) -> np.ndarray:
    """Positions (length,) of one axis: 1 at the position that holds the middle of low..high, falling to both sides."""
    distance = np.arange(length) - int((low + high) / 2)
    radius = int((high - low) / 2 * _ALPHA)
    sigma = (2 * radius + 1) / 6
    bell = np.exp(-(distance**2) / (2 * sigma**2))
    return np.where(np.abs(distance) <= radius, bell, 0.0).astype(np.float32)


def focal_loss(logits: Tensor, heat: Tensor, ignored: Tensor) -> Tensor:
    """CenterNet's loss of heat maps, per object; `logits`, `heat` and `ignored` are (B, C, h, w)."""
    found, missed = nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits)
    middle = heat == 1
    right = -found * missed.exp() ** 2
    wrong = -missed * found.exp() ** 2 * (1 - heat) ** 4
    losses = torch.where(middle, right, wrong).masked_fill(ignored, 0.0)
    return losses.sum() / middle.sum().clamp(min=1)


def box_loss(distances: Tensor, boxes: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of 1 - GIoU; `distances` (B, 4, h, w), `boxes` (B, h, w, 4), `weight` (B, h, w)."""
    from torchvision.ops import generalized_box_iou_loss

    covered = weight > 0
    losses = generalized_box_iou_loss(boxes_at(distances)[covered], boxes[covered])
    result: Tensor = (losses * weight[covered]).sum() / weight.sum().clamp(min=1)
    return result
