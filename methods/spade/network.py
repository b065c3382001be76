"""SPADE's generator (Park et al., CVPR 2019, section 3 and appendix A).

The map enters at every scale through the normalisation layers, and once more at the start, where its smallest version
takes the place of a random vector: without an encoder the network is deterministic. Written from the paper and checked
against the layout of the published checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.layers import Modulation, SpadeBlock

if TYPE_CHECKING:
    from methods.spade.method import SpadeConfig


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
