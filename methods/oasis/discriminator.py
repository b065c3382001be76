"""OASIS's discriminator: a U-Net that gives every pixel a class or "fake" (Schönfeld et al., section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.layers import SpectralConv2d
from methods.common.layers.spade import SLOPE


@dataclass(frozen=True)
class DiscriminatorConfig:
    """`labels` ids; `down` widths of the halving blocks, `up` widths of the doubling ones, as many.

    With `patch` p the network sees p x p pixels of the picture as one with 3 p^2 channels, and gives one answer for
    them (not in the paper).
    """

    labels: int
    down: tuple[int, ...]
    up: tuple[int, ...]
    patch: int = 1


def paper_discriminator(labels: int) -> DiscriminatorConfig:
    """The published one: six blocks down, six up."""
    return DiscriminatorConfig(labels, (128, 128, 256, 256, 512, 512), (512, 256, 256, 128, 128, 64))


def embedded_discriminator(labels: int) -> DiscriminatorConfig:
    """The small one: four blocks down and four up on 2x2 patches."""
    return DiscriminatorConfig(labels, (16, 32, 64, 64), (64, 32, 16, 16), patch=2)


class ResidualBlock(nn.Module):
    """Two (leaky ReLU, conv 3x3) beside a skip with a 1x1 convolution where the width changes, all spectral.

    `scale` 2 doubles the size before the convolutions, 0.5 halves it behind them (by averaging). The first block of
    a network has no activation on its input, `bare`.
    """

    def __init__(self, in_width: int, out_width: int, scale: float, *, bare: bool = False) -> None:
        super().__init__()
        self.scale, self.bare = scale, bare
        self.conv_0 = SpectralConv2d(in_width, out_width, 3, padding=1)
        self.conv_1 = SpectralConv2d(out_width, out_width, 3, padding=1)
        self.learned_skip = in_width != out_width
        if self.learned_skip:
            self.conv_s = SpectralConv2d(in_width, out_width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_width, H, W) to (B, out_width, scale * H, scale * W)."""
        # Averaging and repeating pixels commute with a 1x1 convolution without bias: the skip runs at the smaller size
        skip = F.avg_pool2d(x, 2) if self.scale < 1 else x
        if self.learned_skip:
            skip = self.conv_s(skip)
        inner = x if self.bare else F.leaky_relu(x, SLOPE)
        if self.scale > 1:
            skip = F.interpolate(skip, scale_factor=2, mode="nearest")
            inner = F.interpolate(inner, scale_factor=2, mode="nearest")
        inner = self.conv_1(F.leaky_relu(self.conv_0(inner), SLOPE, inplace=True))
        return skip + (F.avg_pool2d(inner, 2) if self.scale < 1 else inner)


class OasisDiscriminator(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1] to logits (B, labels + 1, H / patch, W / patch): "fake", then the labels.

    The skips of the U-Net join what goes up behind the first block with what went down, by concatenation.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        down = (3 * config.patch**2, *config.down)
        self.down = nn.ModuleList(
            ResidualBlock(down[i], down[i + 1], 0.5, bare=i == 0) for i in range(len(config.down))
        )
        joined = [config.down[-1], *(u + d for u, d in zip(config.up, config.down[-2::-1], strict=False))]
        self.up = nn.ModuleList(ResidualBlock(i, o, 2) for i, o in zip(joined, config.up, strict=True))
        self.classify = nn.Conv2d(config.up[-1], config.labels + 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits."""
        x = F.pixel_unshuffle(pictures, self.config.patch)
        passed = []
        for block in self.down:
            x = block(x)
            passed.append(x)
        passed.pop()
        for i, block in enumerate(self.up):
            x = block(torch.cat([x, passed.pop()], dim=1) if i else x)
        return self.classify(x)
