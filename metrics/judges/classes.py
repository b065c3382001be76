"""The 19 classes that Cityscapes evaluates: the answers of the judges for Cityscapes and for the rendered streets."""

from __future__ import annotations

import numpy as np
from torch import Tensor

#: Cityscapes label ids of the train ids 0..18, in order (road, sidewalk, building, ..., bicycle).
EVALUATED_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
CLASSES = len(EVALUATED_IDS)
#: Train id of pixels whose label is not evaluated.
IGNORED = 255
_TRAIN_IDS = np.full(256, IGNORED, dtype=np.uint8)
_TRAIN_IDS[list(EVALUATED_IDS)] = np.arange(CLASSES)


def train_ids(labels: np.ndarray | Tensor) -> np.ndarray:
    """Label ids 0..255 of the 35-id space, any integer type and shape -> train ids 0..18 and `IGNORED`, uint8.

    ValueError for ids outside 0..255.
    """
    ids = labels.cpu().numpy() if isinstance(labels, Tensor) else labels
    if ids.size and (ids.min() < 0 or ids.max() > 255):
        raise ValueError(f"label ids are 0..255, these run from {ids.min()} to {ids.max()}")
    return _TRAIN_IDS[ids]
