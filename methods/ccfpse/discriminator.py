"""CC-FPSE's discriminator: feature pyramid and semantic embedding (Liu et al., NeurIPS 2019, section 3.2 and Fig. 3).

It looks at the picture alone. A feature pyramid carries coarse meaning down to fine patches; at three sizes each patch
is scored for being real, plus the dot product of its features with an embedding of the classes that should be there
(a projection discriminator, patch by patch). Nothing published fixes its parameters' names.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.layers import SpectralConv2d
from methods.common.layers.spectral import pointwise

SLOPE = 0.2


@dataclass(frozen=True)
class DiscriminatorConfig:
    """`channels` of the semantic map, `widths` of the encoding layers of stride 2, `pyramid` channels of the lateral
    layers, `features` channels of what is scored and compared with the embedding.

    Patches are scored at `scores` sizes, from a quarter of the picture's (the second encoding layer's) downwards.
    """

    channels: int
    widths: tuple[int, ...]
    pyramid: int
    features: int
    scores: int = 3


def paper_discriminator(channels: int, base: int = 64) -> DiscriminatorConfig:
    """Five layers from width 64; scores at a quarter, an eighth and a sixteenth of the size."""
    return DiscriminatorConfig(channels, (base, 2 * base, 4 * base, 8 * base, 8 * base), 4 * base, 2 * base)


def embedded_discriminator(channels: int) -> DiscriminatorConfig:
    """The small one: four layers from width 16; scores at a quarter, an eighth and a sixteenth of the size."""
    return DiscriminatorConfig(channels, (16, 32, 64, 64), 32, 32)


def _layer(in_width: int, out_width: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = SpectralConv2d(in_width, out_width, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.InstanceNorm2d(out_width), nn.LeakyReLU(SLOPE, inplace=True))


class CcFpseDiscriminator(nn.Module):
    """Maps (B, channels, H, W) and pictures (k * B, 3, H, W), k for each map, in the order of k whole batches."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths = (3, *config.widths)
        self.encoders = nn.ModuleList(_layer(widths[i], widths[i + 1], 3, 2) for i in range(len(config.widths)))
        self.laterals = nn.ModuleList(_layer(width, config.pyramid, 1) for width in config.widths[1:])
        self.finals = nn.ModuleList(_layer(config.pyramid, config.features, 3) for _ in range(config.scores))
        self.real = nn.Conv2d(config.features, 1, 1)
        self.align = nn.Conv2d(config.features, config.features, 1)
        self.embedding = nn.Conv2d(config.channels, config.features, 1)

    def forward(self, maps: Tensor, pictures: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Patch scores (k * B, 1, h, w), finest first, and for each encoding layer but the first its features.

        Every layer's features are a list of one, so that feature matching, which averages over scales, averages over
        layers. The maps are shrunk before they are embedded, which is linear: the published order at less cost.
        """
        x, encoded = pictures, []
        for encoder in self.encoders:
            x = encoder(x)
            encoded.append(x)
        encoded = encoded[1:]
        top = self.laterals[-1](encoded[-1])
        levels = [top]
        for lateral, features in zip(self.laterals[-2::-1], encoded[-2::-1], strict=True):
            top = F.interpolate(top, scale_factor=2, mode="bilinear", align_corners=False) + lateral(features)
            levels.append(top)
        count = len(pictures) // len(maps)
        maps = F.avg_pool2d(maps, 2)
        scores = []
        for final, level in zip(self.finals, levels[::-1], strict=False):
            maps = F.avg_pool2d(maps, 2)
            embedded = pointwise(maps, self.embedding.weight, self.embedding.bias)
            features = final(level)
            aligned = pointwise(features, self.align.weight, self.align.bias)
            fit = (aligned * embedded.repeat(count, 1, 1, 1)).sum(1, keepdim=True)
            scores.append(pointwise(features, self.real.weight, self.real.bias) + fit)
        return scores, [[features] for features in encoded]
