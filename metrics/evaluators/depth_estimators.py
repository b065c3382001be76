"""The depth networks behind the metric `depth`, by data set and name; the first of a data set is its default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from metrics.evaluators.block_unet import OWN
from metrics.evaluators.choice import chosen
from metrics.evaluators.depth_estimation import DepthEstimator
from metrics.evaluators.dpt import DptEstimator
from metrics.evaluators.embedded_depth import SPECS, EmbeddedDepth

#: Builds a depth network from the folder of weights that is looked at first, or None, and the device.
EstimatorLoader = Callable[[Path | None, torch.device], DepthEstimator]


def _embedded(dataset: str) -> EstimatorLoader:
    return lambda weights_dir, device: EmbeddedDepth.load(dataset, weights_dir, device)


ESTIMATORS: dict[str, dict[str, EstimatorLoader]] = {
    **{dataset: {dataset: _embedded(dataset)} for dataset in SPECS},
    **{dataset: {"dpt_large": DptEstimator.load} for dataset in ("cityscapes", "coco_stuff", "camvid")},
}


def estimator_names(dataset: str) -> tuple[str, ...]:
    """Names of a data set's depth networks, the default first; empty where there is none."""
    return tuple(ESTIMATORS.get(dataset, ()))


def load_estimator(dataset: str, name: str | None, weights_dir: Path | None, device: torch.device) -> DepthEstimator:
    """The depth network of that name, the data set's default for None, `own:NAME` with weights of the user's own.

    MetricError for a data set without one, for an unknown name, and where weights are missing or damaged.
    """
    if name is not None and name.startswith(OWN):
        return EmbeddedDepth.load_own(name, dataset, weights_dir, device)
    return chosen(ESTIMATORS, dataset, name, "depth network")(weights_dir, device)
