"""Detectors: what the metric `objects` asks of one, and the true boxes that it is measured against."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from metrics.evaluators import Evaluator

if TYPE_CHECKING:
    from torch import Tensor

#: Instance ids start here, in every data set; smaller values are no single object (0, or a label id in Cityscapes).
FIRST_INSTANCE = 1000
#: Objects of fewer visible pixels are too small to be told apart at 64x128: they are neither asked for nor held against
#: a detector that answers with them, in training and in evaluation.
MIN_AREA = 12


@dataclass(frozen=True)
class Detections:
    """What a detector found in one picture.

    `boxes` (N, 4) float32, x0, y0, x1, y1 in pixels of the picture, where x1 and y1 are exclusive: an object that fills
    the picture has the box 0, 0, W, H. `scores` (N,) float32 in 0..1, falling. `labels` (N,) int64 label ids of the
    data set.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


class Detector(Evaluator, Protocol):
    """A network that names the objects in a picture and where they are."""

    @property
    def classes(self) -> tuple[int, ...]:
        """The label ids that it answers with."""

    def detect(self, images: Tensor) -> list[Detections]:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> what is in each, in the pixels of the pictures given."""


@dataclass(frozen=True)
class TrueBoxes:
    """The objects of one scene, by rising instance id: `boxes` and `labels` as in `Detections`.

    `small` (N,) bool: fewer visible pixels than asked for. Such an object is to be ignored, as COCO ignores crowds:
    missing it is no miss, and a detection that fits it and nothing else counts neither for nor against.
    """

    boxes: np.ndarray
    labels: np.ndarray
    small: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def boxes_from_instances(
    labels: np.ndarray, instances: np.ndarray, things: Collection[int], min_area: int = MIN_AREA
) -> TrueBoxes:
    """The boxes around the visible pixels of each instance of one scene.

    `labels` (H, W) label ids and `instances` (H, W), both of any integer type; an id from `FIRST_INSTANCE` on is one
    object, whose label is that of most of its pixels (the lowest id of several equally common ones). Objects whose
    label is not in `things` are left out. Fewer than `min_area` pixels make an object `small`. ValueError where the two
    maps differ in shape or are no maps.
    """
    if labels.ndim != 2 or labels.shape != instances.shape:
        raise ValueError(f"labels and instances are (H, W) both; these are {labels.shape} and {instances.shape}")
    boxes, names, small = [], [], []
    rows, columns = np.nonzero(instances >= FIRST_INSTANCE)
    ids = instances[rows, columns]
    for value in np.unique(ids):
        of_it = ids == value
        y, x = rows[of_it], columns[of_it]
        kinds, counts = np.unique(labels[y, x], return_counts=True)
        label = int(kinds[counts.argmax()])
        if label in things:
            boxes.append((x.min(), y.min(), x.max() + 1, y.max() + 1))
            names.append(label)
            small.append(len(x) < min_area)
    return TrueBoxes(
        np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(names, dtype=np.int64), np.array(small, dtype=bool)
    )
