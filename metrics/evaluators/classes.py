"""The classes that judges answer with, and the train ids 0..C-1 that stand for them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from torch import Tensor

#: Cityscapes label ids of the train ids 0..18, in order (road, sidewalk, building, ..., bicycle), which Cityscapes and
#: the rendered streets evaluate.
EVALUATED_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
#: COCO-Stuff's 182 classes; 182 itself is the label of unlabelled pixels.
STUFF_IDS = tuple(range(182))
#: Labels of COCO-Stuff that its authors removed before anything was labelled: no pixel has them.
NEVER_LABELLED = (
    "street sign", "hat", "shoe", "eye glasses", "plate", "mirror", "window", "desk", "door", "blender", "hair brush",
)  # fmt: skip
#: Train id of pixels whose label is not evaluated.
IGNORED = 255
#: Label id that a judge gives where it sees something that the data set has no label for.
NO_LABEL = 255


@lru_cache(maxsize=8)
def _train_ids(evaluated: tuple[int, ...]) -> np.ndarray:
    table = np.full(256, IGNORED, dtype=np.uint8)
    table[list(evaluated)] = np.arange(len(evaluated))
    return table


def train_ids(labels: np.ndarray | Tensor, evaluated: tuple[int, ...] = EVALUATED_IDS) -> np.ndarray:
    """Label ids 0..255 of any integer type and shape -> their places in `evaluated`, or `IGNORED`, uint8.

    ValueError for ids outside 0..255.
    """
    ids = labels.cpu().numpy() if isinstance(labels, Tensor) else labels
    if ids.size and (ids.min() < 0 or ids.max() > 255):
        raise ValueError(f"label ids are 0..255, these run from {ids.min()} to {ids.max()}")
    return _train_ids(evaluated)[ids]
