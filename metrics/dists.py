"""DISTS: structure and texture similarity (Ding et al., IEEE TPAMI 2020, arXiv 2004.07728).

The package `DISTS-pytorch` computes it, with its own weights of stages; the trunk is torchvision's VGG16, which is too
large to ship. It forgives texture that is drawn anew, which PSNR and SSIM do not. Not part of `all`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bench.api.errors import MetricError
from bench.api.lazy import torch
from bench.api.metric import Comparison, MetricContext, Score
from bench.api.scores import ScoreInfo
from metrics.evaluators.published import VGG16, load_exactly, read_state
from metrics.pictures import NetworkMetric, PerPicture

if TYPE_CHECKING:
    from torch import nn

#: Smaller pictures have nothing left in the last stage, whose features are pooled four times.
SMALLEST_SIDE = 16


class Dists(NetworkMetric):
    """`DISTS`: distance from the original, 0 (alike) to about 1, mean over scenes."""

    name = "DISTS"
    scores = (
        ScoreInfo(name, False, "perception", floor=0.01, relative=False, scenes=name, shown="always", published=name),
    )
    protocol = "DISTS-pytorch=0.1|net=vgg16"
    by_name: ClassVar[bool] = True

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context, VGG16.find(context.weights_dir), _stages())
        self._distance = PerPicture(lambda *pictures: self.network(*pictures).reshape(-1), context.device_name)

    def load(self) -> nn.Module:
        """The package's network on torchvision's trunk."""
        trunk, stages = self.files
        with _without_download() as package:
            network: nn.Module = package.DISTS(load_weights=False)
        weights = read_state(stages, "DISTS's weights of stages")
        convolutions = read_state(trunk, "torchvision's VGG16")
        state = {**weights, **{name: value for name, value in network.named_buffers()}}
        for slot in [key for key in network.state_dict() if key.startswith("stage") and "filter" not in key]:
            index = slot.partition(".")[2]
            if f"features.{index}" not in convolutions:
                raise MetricError(f"{trunk} does not hold torchvision's VGG16: it lacks features.{index}")
            state[slot] = convolutions[f"features.{index}"]
        load_exactly(network, state, trunk, "DISTS's trunk `vgg16`")
        return network.eval().requires_grad_(False)

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """`distance` (B,) float64. MetricError for pictures that are too small for the trunk."""
        height, width = comparison.generated.shape[-2:]
        if min(height, width) < SMALLEST_SIDE:
            raise MetricError(f"DISTS needs pictures of {SMALLEST_SIDE} pixels a side or more, not {height}x{width}")
        return {"distance": self._distance(comparison.generated, comparison.original).astype(np.float64)}

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """The mean over scenes."""
        return [Score.mean(self.name, measured["distance"])]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The distances."""
        return {self.name: measured["distance"]}


def _stages() -> Path:
    """The file of the package's weights of stages; the package, which imports PyTorch, is not imported."""
    package = find_spec("DISTS_pytorch")
    if package is None or package.origin is None:
        raise MetricError("DISTS needs the package DISTS-pytorch: pip install DISTS-pytorch")
    return Path(package.origin).parent / "weights.pt"


@contextmanager
def _without_download() -> Iterator[Any]:
    """The package's module while it builds VGG16 without weights, which it would download."""
    from DISTS_pytorch import DISTS_pt
    from torchvision.models import vgg16

    def bare(**_: Any) -> Any:
        with torch.device("meta"):  # the classifier's 124 million random numbers take half a minute
            network = vgg16(weights=None)
        return SimpleNamespace(features=network.features.to_empty(device="cpu"))

    before, DISTS_pt.models = DISTS_pt.models, SimpleNamespace(vgg16=bare)
    try:
        yield DISTS_pt
    finally:
        DISTS_pt.models = before
