"""Train an embedded detector on the scenes that the project renders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from metrics.average_precision import IGNORED, average_precision, match
from metrics.evaluators.block_unet import BLOCK
from metrics.evaluators.detection import MIN_AREA, Detector, TrueBoxes, boxes_from_instances
from metrics.evaluators.embedded_detector import MAX_DETECTIONS, DetectorNet, DetectorSpec, EmbeddedDetector, boxes_at
from metrics.evaluators.training import (
    Batch,
    Course,
    Scenes,
    augment,
    autocast,
    export,
    table,
    train_network,
    write_card,
)

#: Part of a box's width and height that its Gaussian covers, as in TTFNet (section 3.2).
_ALPHA = 0.54
#: Weight of the boxes' loss beside that of the heat, as in TTFNet (section 4.1).
_BOX_WEIGHT = 5.0


def train_detector(
    spec: DetectorSpec, train_scenes: Scenes, held_out: Mapping[str, Scenes], out_path: Path, course: Course
) -> dict[str, np.ndarray]:
    """Train, write weights to `out_path` and a model card beside it; return AP50 per class (C,) by split of `held_out`.

    The weights are float16 with normalisation folded in, and the AP50 are those of the written file (`evaluate`).
    Checkpoints and errors are those of `train_network`.
    """

    def loss_of(network: DetectorNet, batch: Batch, generator: torch.Generator) -> Tensor:
        return detector_loss(network, batch, generator, spec, course.device)

    average, trained = train_network(lambda: DetectorNet(spec), loss_of, spec, train_scenes, course)
    export(spec, average, out_path, {"labels": spec.classes, **trained.settings})
    detector = EmbeddedDetector(spec, out_path, course.device)
    precision = {split: evaluate(detector, scenes) for split, scenes in held_out.items()}
    for split, values in precision.items():
        each = "  ".join(f"{label}: {value:.3f}" for label, value in zip(spec.classes, values, strict=True))
        course.log(f"AP50 on {len(held_out[split])} {split} scenes: {each}")
    height, width = spec.size
    what = f"""an object detector (CenterNet) for scenes of the `{spec.dataset}` renderer at {height}x{width} and its
{len(spec.classes)} classes of things. Objects of fewer than {MIN_AREA} visible pixels are ignored, in training and in
evaluation."""
    result = "AP at IoU 0.5 (COCO's matching, area under the curve at all recalls), true boxes:\n\n" + table(
        {f"{len(scenes)} {split} scenes": precision[split] for split, scenes in held_out.items()}, spec.classes, "mean"
    )
    write_card(spec, out_path.with_suffix(".md"), trained, what, "focal loss on heat and GIoU loss on boxes", result)
    return precision


def evaluate(detector: Detector, scenes: Scenes, batch_size: int = 50) -> np.ndarray:
    """AP50 per class (C,) of what the detector finds in the original pictures, against the true boxes; NaN where a
    class does not occur."""
    scores = np.zeros((len(scenes), MAX_DETECTIONS))
    labels = np.zeros((len(scenes), MAX_DETECTIONS), dtype=np.int64)
    outcomes = np.full((len(scenes), MAX_DETECTIONS), IGNORED)
    objects = {label: np.zeros(len(scenes)) for label in detector.classes}
    for start in range(0, len(scenes), batch_size):
        batch = scenes.batch(range(start, min(start + batch_size, len(scenes))))
        for place, found in enumerate(detector.detect(batch.image)):
            scene, count = start + place, len(found)
            true = boxes_from_instances(batch.labels[place].numpy(), batch.instances[place].numpy(), detector.classes)
            scores[scene, :count], labels[scene, :count] = found.scores, found.labels
            outcomes[scene, :count] = match(found.boxes, found.labels, true.boxes, true.labels, true.small)
            for label in true.labels[~true.small]:
                objects[int(label)][scene] += 1
    of_class = ((np.where(labels == label, outcomes, IGNORED), objects[label]) for label in detector.classes)
    return np.array([average_precision(scores, kept, there)[0] for kept, there in of_class])


def targets_of(true: TrueBoxes, spec: DetectorSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
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


def detector_loss(
    network: DetectorNet, batch: Batch, generator: torch.Generator, spec: DetectorSpec, device: torch.device
) -> Tensor:
    """CenterNet's focal loss on heat (eq. 1 of arXiv 1904.07850, alpha 2, beta 4), and GIoU of the boxes."""
    images, (labels, instances) = augment(batch.image, [batch.labels, batch.instances], generator)
    true = [
        boxes_from_instances(one.numpy(), other.numpy(), spec.classes)
        for one, other in zip(labels, instances, strict=True)
    ]
    heat, ignored, boxes, weight = (
        torch.from_numpy(np.stack(arrays)).to(device)
        for arrays in zip(*(targets_of(one, spec) for one in true), strict=True)
    )
    with autocast(device):
        logits, distances = network(images.to(device))
    return focal_loss(logits.float(), heat, ignored) + _BOX_WEIGHT * box_loss(distances, boxes, weight)


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
    return (losses * weight[covered]).sum() / weight.sum().clamp(min=1)
