"""LPIPS: how different two pictures look (Zhang et al., CVPR 2018, arXiv 1801.03924), version 0.1, AlexNet trunk.

The `lpips` package computes it, with its own heads. The trunk's weights come with this package, because torchvision's
would have to be downloaded; `metrics.import_alexnet` made the file.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from metrics.base import Comparison, Metric, MetricContext, MetricError, Score
from metrics.pictures import PerPicture, check_pictures
from metrics.weights import find_weights, sha256_of

WEIGHTS_FILE = "alexnet_trunk.safetensors"
#: Below this many pixels a side AlexNet's second pooling has nothing left to pool.
SMALLEST_SIDE = 31


class Lpips(Metric):
    """LPIPS distance between the regenerated and the original picture, 0 (alike) upwards."""

    name = "LPIPS"
    higher_is_better = False

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        trunk = find_weights(WEIGHTS_FILE, context.weights_dir, "Make it with metrics.import_alexnet, or reinstall.")
        self._network, heads = _load_network(trunk)
        self._network.to(context.device)
        self._digest = hashlib.sha256(f"{sha256_of(trunk)} {sha256_of(heads)}".encode()).hexdigest()
        self._distances = PerPicture(self._distance, context.device)

    @property
    def protocol(self) -> str:
        return "lpips=0.1|net=alex"

    def weights_digest(self) -> str:
        """SHA-256 over the digests of the trunk and of the `lpips` package's heads."""
        return self._digest

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """`distance` (B,) float64. MetricError for pictures that the trunk cannot take."""
        check_pictures(comparison)
        height, width = comparison.generated.shape[-2:]
        if min(height, width) < SMALLEST_SIDE:
            raise MetricError(f"LPIPS needs pictures of {SMALLEST_SIDE} pixels a side or more, not {height}x{width}")
        pairs = torch.cat([comparison.generated, comparison.original], dim=1)
        return {"distance": self._distances(pairs).astype(np.float64)}

    def _distance(self, pairs: Tensor) -> Tensor:
        generated, original = pairs.split(3, dim=1)
        return self._network(generated, original, normalize=True).flatten()

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """Mean over scenes; `std` is the standard deviation over scenes (None for one scene)."""
        distance = measured["distance"]
        if len(distance) == 0:
            raise MetricError("LPIPS of no scenes is not defined")
        std = float(distance.std(ddof=1)) if len(distance) > 1 else None
        return [Score(self.name, float(distance.mean()), std, len(distance))]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {self.name: measured["distance"]}


def _load_network(trunk: Path) -> tuple[nn.Module, Path]:
    """The LPIPS network with our trunk and the package's heads, and the path of the heads' file."""
    import lpips

    # `pnet_rand` builds the trunk untrained, so nothing is downloaded. That draws random numbers, and torchvision
    # warns about the argument that lpips uses; neither is the caller's business.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        network = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    try:
        weights = load_file(trunk)
        convolutions = [module for module in network.net.modules() if isinstance(module, nn.Conv2d)]
        for number, convolution in enumerate(convolutions):
            state = {part: weights.pop(f"conv{number + 1}.{part}") for part in ("weight", "bias")}
            convolution.load_state_dict(state)
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise MetricError(
            f"{trunk} does not hold AlexNet's five convolutions ({error}): reinstall the package"
        ) from error
    return network.eval().requires_grad_(False), Path(lpips.__file__).parent / "weights" / "v0.1" / "alex.pth"
