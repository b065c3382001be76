"""What the networks of the embedded evaluators share: their U-Net, and reading their weights.

The U-Net works on 2x2 blocks of pixels: the picture enters as 12 channels at half resolution and a head makes of every
block what it has to say of its four pixels, so thin poles and signs keep their own pixels while no convolution runs at
full resolution.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench.api.errors import WeightsError
from bench.api.tensors import load_into, read_weights

if TYPE_CHECKING:
    from metrics.evaluators.embedded import EvaluatorSpec

BLOCK = 2  # side of the pixel block that is one position of the network


def to_blocks(pixels: Tensor) -> Tensor:
    """(B, H, W) or (B, C, H, W) -> (B, H/2, W/2, 4) or (B, H/2, W/2, 4 * C): one row per 2x2 block of pixels."""
    batch, *_, height, width = pixels.shape
    blocks = pixels.reshape(batch, -1, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return blocks.permute(0, 2, 4, 3, 5, 1).reshape(batch, height // BLOCK, width // BLOCK, -1)


def from_blocks(blocks: Tensor) -> Tensor:
    """(B, H/2, W/2, 4, C) -> (B, C, H, W): the inverse of `to_blocks` for per-pixel values."""
    batch, height, width, _, channels = blocks.shape
    pixels = blocks.reshape(batch, height, width, BLOCK, BLOCK, channels).permute(0, 5, 1, 3, 2, 4)
    return pixels.reshape(batch, channels, height * BLOCK, width * BLOCK)


class ConvNorm(nn.Module):
    """A convolution with batch normalisation; `fuse()` folds the normalisation into the convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, then normalise."""
        result: Tensor = self.norm(self.conv(x))
        return result

    def fuse(self) -> None:
        """Fold the normalisation's running statistics into the convolution (evaluation only, irreversible)."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())
            self.norm = nn.Identity()


class Down(nn.Module):
    """Halve the resolution, then one residual block."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce = ConvNorm(inputs, outputs, stride=2)
        self.first = ConvNorm(outputs, outputs)
        self.second = ConvNorm(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, outputs, H/2, W/2)."""
        x = torch.relu(self.reduce(x))
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class EvaluatorNet(nn.Module):
    """A network that ships with its normalisations folded in."""

    def fuse(self) -> Self:
        """Fold all normalisations, in place; the result is an evaluation network with the shipped file's keys."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fuse()
        return self.eval()


class BlockUNet(EvaluatorNet):
    """The U-Net that all embedded evaluators are made of; each adds a head of its own.

    A network that is told more of each pixel has more than 3 `channels`.
    """

    def __init__(self, widths: tuple[int, ...], channels: int = 3) -> None:
        super().__init__()
        self.stem = ConvNorm(channels * BLOCK**2, widths[0])
        self.down = nn.ModuleList(Down(a, b) for a, b in pairwise(widths))
        self.middle = ConvNorm(widths[-1], widths[-1])
        self.up = nn.ModuleList(ConvNorm(a + b, a) for a, b in pairwise(widths))

    def features(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1], sides multiples of 16 -> (B, widths[0], H/2, W/2), one position a block."""
        # A permuted view of contiguous blocks is a channels-last tensor: the fast layout on CPU and GPU.
        x = torch.relu(self.stem(to_blocks(images * 2 - 1).permute(0, 3, 1, 2)))
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        x = torch.relu(self.middle(x))
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = torch.relu(up(torch.cat([skip, x], dim=1)))
        return x


N = TypeVar("N", bound=EvaluatorNet)


def load_network(network: N, spec: EvaluatorSpec, weights: Path, device: torch.device | str) -> N:
    """A network ready for evaluation, filled from a weights file; MetricError where that does not fit."""
    try:
        load_into(network.fuse(), read_weights(weights)[0], weights)
    except WeightsError as error:
        raise spec.refuse(weights, error) from error
    return network.to(device).to(memory_format=torch.channels_last)


def at_size(images: Tensor, size: tuple[int, int], device: torch.device | str) -> Tensor:
    """Pictures (B, 3, H, W) on `device`, brought to `size` with an antialiased bilinear filter.

    A network knows its objects at the size that it was trained at only.
    """
    images = images.to(device)
    if tuple(images.shape[-2:]) == size:
        return images
    return nn.functional.interpolate(images, size, mode="bilinear", antialias=True)
