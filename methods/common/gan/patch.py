"""The multi-scale patch discriminator of SPADE and SMIS (pix2pixHD's, with spectral and instance normalisation)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.layers import SpectralConv2d

if TYPE_CHECKING:
    from methods.common.gan.method import PatchConfig

KERNEL = 4
PADDING = 2


class PatchDiscriminator(nn.Module):
    """Convolutions of stride 2 (the last hidden one of stride 1) down to a map of patch scores."""

    def __init__(self, config: PatchConfig) -> None:
        super().__init__()
        widths = config.widths
        self.first = nn.Conv2d(config.channels, widths[0], KERNEL, stride=2, padding=PADDING)
        stages = []
        for i in range(1, len(widths)):
            stride = 1 if i == len(widths) - 1 else 2
            conv = SpectralConv2d(widths[i - 1], widths[i], KERNEL, stride=stride, padding=PADDING, bias=False)
            stages.append(nn.Sequential(conv, nn.InstanceNorm2d(widths[i])))
        self.stages = nn.ModuleList(stages)
        self.score = nn.Conv2d(widths[-1], 1, KERNEL, padding=PADDING)

    def forward(self, maps: Tensor, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Patch scores (k * B, 1, h, w) and the hidden features of every stage, for k pictures a map.

        The first convolution works on maps (B, C, H, W) and pictures (k * B, 3, H, W) apart and adds the two, which
        equals convolving their concatenation and does the larger part once for all k.
        """
        channels = maps.shape[1]
        weight, bias = self.first.weight, self.first.bias
        of_maps = F.conv2d(maps, weight[:, :channels], bias, stride=2, padding=PADDING)
        of_pictures = F.conv2d(pictures, weight[:, channels:], stride=2, padding=PADDING)
        x = F.leaky_relu(of_pictures + of_maps.repeat(len(pictures) // len(maps), 1, 1, 1), 0.2)
        hidden = [x]
        for stage in self.stages:
            x = F.leaky_relu(stage(x), 0.2)
            hidden.append(x)
        return self.score(x), hidden


class MultiScaleDiscriminator(nn.Module):
    """The same patch discriminator at full size, half size, ...

    Input: maps (B, C, H, W) and pictures (k * B, 3, H, W), k for each map, in the order of k whole batches.
    """

    def __init__(self, config: PatchConfig) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(config) for _ in range(config.scales))

    def forward(self, maps: Tensor, pictures: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Scores and hidden features, one entry a scale."""
        scores, features = [], []
        for i, discriminator in enumerate(self.scales):
            if i:
                maps, pictures = _halve(maps), _halve(pictures)
            score, hidden = discriminator(maps, pictures)
            scores.append(score)
            features.append(hidden)
        return scores, features


def _halve(x: Tensor) -> Tensor:
    """Average over 3x3 pixels, every second one; padding is not counted."""
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
