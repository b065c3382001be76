"""The embedded depth network: small, for the street scenes that the project renders.

The U-Net of `metrics.evaluators.block_unet`, which is also told each pixel's row: on a street most of depth is in it.
It
classifies: every pixel leaves with the probabilities of `BINS` depths (Cao et al., "Estimating Depth from Monocular
Images as Classification", arXiv 1605.02305). An average of the near and the far side of an edge is no depth that
occurs, and a network that is taught to answer with one number gives it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from metrics.evaluators.block_unet import BLOCK, BlockUNet, ConvNorm, EmbeddedEvaluator, EvaluatorSpec, from_blocks
from metrics.evaluators.depth_estimation import FARTHEST

#: Depths (metres) of the first and the last bin, the bins between them equally far apart in log depth. Nothing is
#: nearer in `streets`; the last one also stands for all that is farther, and for the sky.
NEAREST_BIN, FARTHEST_BIN = 3.0, FARTHEST
#: With 33 of them neighbours are 11 % apart.
BINS = 33
#: A depth is the mean of so many neighbouring bins, those that are most probable together: about 25 % to either side.
_WINDOW = 5


@dataclass(frozen=True)
class DepthSpec(EvaluatorSpec):
    """A depth network."""

    kind: ClassVar[str] = "depth"
    title: ClassVar[str] = "depth network"
    metric: ClassVar[str] = "depth"


SPECS: dict[str, DepthSpec] = {
    spec.dataset: spec for spec in (DepthSpec("streets", "streets-depth-v1", (64, 128), (24, 48, 80, 96)),)
}
"""The embedded depth networks by data set."""


class DepthNet(BlockUNet):
    """Pictures (B, 3, H, W) in [0, 1], H and W multiples of 16 -> logits in blocks (B, H/2, W/2, 4, BINS)."""

    def __init__(self, spec: DepthSpec) -> None:
        super().__init__(spec.widths, channels=4)
        self.neck = ConvNorm(spec.widths[0], 2 * spec.widths[0])
        self.head = nn.Conv2d(2 * spec.widths[0], BINS * BLOCK**2, 1)

    def described(self, images: Tensor) -> Tensor:
        """What the head looks at: (B, 2 * widths[0], H/2, W/2)."""
        batch, _, height, width = images.shape
        rows = torch.linspace(0, 1, height, device=images.device).view(1, 1, -1, 1).expand(batch, 1, height, width)
        return torch.relu(self.neck(self.features(torch.cat([images, rows], dim=1))))

    def forward(self, images: Tensor) -> Tensor:
        return self.depths(self.described(images))

    def depths(self, described: Tensor) -> Tensor:
        """The logits for what `described` gave."""
        return self.head(described).permute(0, 2, 3, 1).unflatten(3, (-1, BINS))


def place_of(depth: Tensor) -> Tensor:
    """Depth in metres, any shape -> its place among the bins, 0..BINS - 1; whole numbers are bins."""
    span = math.log(FARTHEST_BIN / NEAREST_BIN)
    return (depth.clamp(NEAREST_BIN, FARTHEST_BIN) / NEAREST_BIN).log() * ((BINS - 1) / span)


def depth_at(place: Tensor) -> Tensor:
    """The inverse of `place_of`: places among the bins, any shape -> metres."""
    return NEAREST_BIN * (place * (math.log(FARTHEST_BIN / NEAREST_BIN) / (BINS - 1))).exp()


def decode(logits: Tensor) -> Tensor:
    """Logits (..., BINS) -> depth (...) in metres: the mean place of the `_WINDOW` neighbouring bins that are most
    probable together, weighed with their probabilities."""
    probability = logits.softmax(dim=-1).flatten(0, -2)
    place = torch.arange(BINS, dtype=probability.dtype, device=probability.device)
    mass, moment = (
        nn.functional.avg_pool1d(values[:, None], _WINDOW, stride=1)[:, 0]
        for values in (probability, probability * place)
    )
    best = mass.argmax(dim=-1, keepdim=True)
    middle = moment.gather(1, best) / mass.gather(1, best)
    return depth_at(middle).view(logits.shape[:-1])


class EmbeddedDepth(EmbeddedEvaluator[DepthSpec, DepthNet]):
    """A trained depth network (see `metrics.evaluators.depth_estimation.DepthEstimator`). It answers with inverse
    depth, 1/metres, so that it is measured as MiDaS and DPT are."""

    specs = SPECS
    network = DepthNet
    inverse = True

    @torch.inference_mode()
    def estimate(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> inverse depth (B, H, W) float32 in 1/metres, on its device.

        The sky comes out as 1/80, the farthest depth that it knows. Pictures of another size than the
        network's are brought to it with an antialiased bilinear filter, and what it says back to theirs.
        """
        size = tuple(images.shape[-2:])
        images = self._at_own_size(images)
        inverse = 1 / from_blocks(decode(self._network(images))[..., None])
        if size != self.spec.size:
            inverse = nn.functional.interpolate(inverse, size, mode="bilinear")
        return inverse.squeeze(1)
