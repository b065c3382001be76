"""DISTS: structure and texture similarity (Ding et al., IEEE TPAMI 2020, arXiv 2004.07728).

The package `DISTS-pytorch` computes it, with its own weights of stages; the trunk is torchvision's VGG16, which is too
large to ship. It forgives texture that is drawn anew, which PSNR and SSIM do not. Not part of `all`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from bench.api.errors import MetricError
from bench.api.lazy import torch
from bench.api.metric import MetricContext
from bench.api.scores import ScoreInfo
from metrics.evaluators.published import VGG16, load_exactly, read_state
from metrics.pictures import NetworkMetric, PairMetric, PerPicture, file_of_package

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn


class Dists(PairMetric, NetworkMetric):
    """`DISTS`: distance from the original, 0 (alike) to about 1, mean over scenes."""

    name = "DISTS"
    scores = (
        ScoreInfo(name, False, "perception", floor=0.01, relative=False, scenes=name, shown="always", published=name),
    )
    protocol = "DISTS-pytorch=0.1|net=vgg16"
    by_name: ClassVar[bool] = True
    array = "distance"
    smallest_side = 16  # smaller ones have nothing left in the last stage, whose features are pooled four times

    def __init__(self, context: MetricContext) -> None:
        stages = file_of_package("DISTS", "DISTS_pytorch", "DISTS-pytorch", "weights.pt")
        super().__init__(context, VGG16.find(context.weights_dir), stages)
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

    def compare(self, generated: Tensor, original: Tensor) -> np.ndarray:
        """The distances."""
        return self._distance(generated, original)


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
