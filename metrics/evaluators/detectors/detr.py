"""The paper's detector: DETR (Carion et al., ECCV 2020, arXiv 2005.12872), as published, through `transformers`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.api.errors import MetricError
from bench.api.scenes import facts_of
from metrics.evaluators.detectors import Detections
from metrics.evaluators.published import DETR, picture_bytes

#: Detections below this are not worth keeping: DETR always answers with 100.
_LOWEST_SCORE = 0.01


class DetrDetector:
    """DETR with ResNet-50, trained on COCO. Pictures reach it as its image processor says: shortest side 800 pixels."""

    gpu_batch = 8

    def __init__(self, dataset: str, folder: Path, device: torch.device | str) -> None:
        """Load a folder as published; `dataset` says which label ids COCO's classes have."""
        self.sha256 = DETR.digest(folder)
        self.device = device
        self._network, self._processor = DETR.load(folder, "DetrForObjectDetection", "DetrImageProcessor", device)
        labels = facts_of(dataset).coco_classes
        named = self._network.config.id2label
        self._label_of = torch.tensor([labels.get(named[number], -1) for number in range(len(named))])
        missing = sorted(set(labels) - set(named.values()))
        if missing:
            raise MetricError(f"{folder} is no detector of COCO's classes: it lacks {', '.join(missing[:5])}")

    @classmethod
    def load(cls, dataset: str, weights_dir: Path | None, device: torch.device | str) -> DetrDetector:
        """The detector from `weights_dir`, else the user's weights; MetricError says what to download, and to where."""
        return cls(dataset, DETR.find(weights_dir), device)

    @property
    def protocol(self) -> str:
        """The network and the size at which it sees pictures."""
        size = self._processor.size
        return f"{DETR.folder}@shortest={size['shortest_edge']},longest={size['longest_edge']}"

    @property
    def classes(self) -> tuple[int, ...]:
        """The label ids that it answers with."""
        return tuple(sorted({int(label) for label in self._label_of if label >= 0}))

    @torch.inference_mode()
    def detect(self, images: Tensor) -> list[Detections]:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> what is in each, in its pixels, most certain first."""
        height, width = images.shape[-2:]
        inputs = self._processor(images=picture_bytes(images), input_data_format="channels_last", return_tensors="pt")
        outputs = self._network(inputs["pixel_values"].to(self.device))
        sizes = [(height, width)] * len(images)
        found = self._processor.post_process_object_detection(outputs, threshold=_LOWEST_SCORE, target_sizes=sizes)
        return [self._detections(one["boxes"].cpu(), one["scores"].cpu(), one["labels"].cpu()) for one in found]

    def _detections(self, boxes: Tensor, scores: Tensor, numbers: Tensor) -> Detections:
        labels = self._label_of[numbers]
        order = scores.argsort(descending=True, stable=True)
        order = order[labels[order] >= 0]  # classes that the data set does not have
        return Detections(
            boxes[order].numpy().astype(np.float32), scores[order].numpy(), labels[order].numpy().astype(np.int64)
        )
