"""SPADE's generator (Park et al., CVPR 2019, section 3 and appendix A).

The map enters at every scale through the normalisation layers, and once more at the start, where its smallest version
takes the place of a random vector: without an encoder the network is deterministic. Written from the paper and checked
against the layout of the published checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.layers import Modulation, SpadeBlock


@dataclass(frozen=True)
class BlockConfig:
    """One residual block: its widths and what its normalisation looks like.

    `hidden`, `kernel` and `stride` are those of `methods.common.layers.Modulation`; `upsample` doubles the size before
    it.
    """

    name: str
    in_width: int
    out_width: int
    hidden: int
    kernel: int = 3
    stride: int = 1
    upsample: bool = True


@dataclass(frozen=True)
class SpadeConfig:
    """A whole generator: label ids, seed size (height, width) and blocks in order.

    The last convolution gives `patch` x `patch` pixels of the picture for each of its own.
    """

    labels: int
    seed: tuple[int, int]
    blocks: tuple[BlockConfig, ...]
    patch: int = 1


def paper_config(height: int, width: int, labels: int, doublings: int, base: int = 64) -> SpadeConfig:
    """The published network: six doublings for Cityscapes (93.0 M parameters), five for COCO-Stuff (97.5 M).

    The sides are multiples of 2 to the power of `doublings`. The authors call six of them "more", five "normal".
    """
    widths = (16 * base, 16 * base, 16 * base, 16 * base, 8 * base, 4 * base, 2 * base, base)
    upsample = {"head_0": False, "G_middle_0": True, "G_middle_1": doublings == 6}
    names = (*upsample, "up_0", "up_1", "up_2", "up_3")
    blocks = tuple(
        BlockConfig(name, widths[i], widths[i + 1], 128, upsample=upsample.get(name, True))
        for i, name in enumerate(names)
    )
    return SpadeConfig(labels, (height >> doublings, width >> doublings), blocks)


def embedded_config(height: int, width: int, labels: int) -> SpadeConfig:
    """The small network that ships: four blocks, four doublings, the last block at half the picture's size.

    Where it differs from the paper's besides width and depth: no block works at full size, the last convolution gives
    2x2 pixels instead, and the last block's modulations read the map at full size with stride 2, so that outlines
    keep their place to the pixel. Scale and shift are 1x1 convolutions. With many labels, where the convolutions of the
    map are a large share of the weights, the rest is narrower: the file stays under 4 MB.
    """
    first, hidden = (192, 64) if labels <= 64 else (160, 32)
    blocks = (
        BlockConfig("head_0", first, first, hidden, kernel=1, upsample=False),
        BlockConfig("up_0", first, 128, hidden, kernel=1),
        BlockConfig("up_1", 128, 32, 32, kernel=1),
        BlockConfig("up_2", 32, 32, 32, kernel=1, stride=2),
    )
    return SpadeConfig(labels, (height // 16, width // 16), blocks, patch=2)


class SpadeGenerator(nn.Module):
    """Semantic maps to a picture.

    Input: maps (B, labels + 1, H, W), edge last, any real values; output (B, 3, H, W) in [-1, 1], where H, W are the
    seed's size, doubled once a block that upsamples, times `patch`.
    """

    def __init__(self, config: SpadeConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.labels + 1
        self.fc = nn.Conv2d(channels, config.blocks[0].in_width, 3, padding=1)
        for block in config.blocks:
            modulation = Modulation(channels, block.hidden, kernel=block.kernel, stride=block.stride)
            self.add_module(block.name, SpadeBlock(block.in_width, block.out_width, modulation))
        self.conv_img = nn.Conv2d(config.blocks[-1].out_width, 3 * config.patch**2, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """The picture in [-1, 1]."""
        x = self.fc(F.interpolate(maps, size=self.config.seed, mode="nearest"))
        for block in self.config.blocks:
            if block.upsample:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.get_submodule(block.name)(x, maps)
        x = self.conv_img(F.leaky_relu(x, 0.2))
        return torch.tanh(F.pixel_shuffle(x, self.config.patch) if self.config.patch > 1 else x)
