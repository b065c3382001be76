"""The detectors behind the metric `objects`, by data set and name; the first of a data set is its default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from metrics.evaluators.block_unet import OWN
from metrics.evaluators.choice import chosen
from metrics.evaluators.coco import ANSWERED_AS, LABELS
from metrics.evaluators.detection import Detector
from metrics.evaluators.detr import DetrDetector
from metrics.evaluators.embedded_detector import SPECS, EmbeddedDetector


@dataclass(frozen=True)
class DetectorChoice:
    """One detector on one data set.

    `load` builds it from the folder of weights that is looked at first, or None, and the device. Scores from
    `threshold` on count as "there is an object". `answered_as` has true labels that it answers by another one.
    """

    load: Callable[[Path | None, torch.device], Detector]
    threshold: float
    answered_as: Mapping[int, int] = field(default_factory=dict)


def _embedded(dataset: str) -> DetectorChoice:
    # where precision and recall are in balance: of thresholds in steps of 0.05, 0.35 has the best F1 (0.86) against the
    # true boxes of 200 validation scenes of `streets`
    return DetectorChoice(lambda weights_dir, device: EmbeddedDetector.load(dataset, weights_dir, device), 0.35)


def _detr(dataset: str) -> DetectorChoice:
    # 0.7 is what the authors' own demonstration keeps (github.com/facebookresearch/detr, detr_demo.ipynb)
    return DetectorChoice(
        lambda weights_dir, device: DetrDetector.load(dataset, weights_dir, device), 0.7, ANSWERED_AS.get(dataset, {})
    )


DETECTORS: dict[str, dict[str, DetectorChoice]] = {
    **{dataset: {dataset: _embedded(dataset)} for dataset in SPECS},
    **{dataset: {"detr_resnet_50": _detr(dataset)} for dataset in LABELS},
}


def detector_names(dataset: str) -> tuple[str, ...]:
    """Names of a data set's detectors, the default first; empty where there is none."""
    return tuple(DETECTORS.get(dataset, ()))


def choose_detector(dataset: str, name: str | None) -> DetectorChoice:
    """The detector of that name, the data set's default for None, `own:NAME` with weights of the user's own;
    MetricError where there is none."""
    if name is not None and name.startswith(OWN):
        return replace(
            _embedded(dataset),
            load=lambda weights_dir, device: EmbeddedDetector.load_own(name, dataset, weights_dir, device),
        )
    return chosen(DETECTORS, dataset, name, "detector")
