"""CC-FPSE's generator (Liu et al., NeurIPS 2019, section 3.1 and Fig. 2), written from the paper.

A feature pyramid turns the semantic map into conditioning at every size; blocks of conditional convolutions lead from a
latent to the picture. Names and shapes are those of the published checkpoints, less those that
their authors' network never uses (`unused` in bench/weights/catalogue.toml).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.ccfpse.layers import SLOPE, BlockConfig, ConditionalBlock
from methods.common.layers import SpectralConv2d


@dataclass(frozen=True)
class CcFpseConfig:
    """A whole generator.

    `channels` of the semantic map (labels and edge); `latent` numbers of the latent; `seed` (height, width) of the
    first block; `pyramid` channels of each level of the label pyramid; `blocks` in order. `patch`: side of the square
    of pixels that each position of the last block paints (1 as published).
    """

    channels: int
    latent: int
    seed: tuple[int, int]
    pyramid: int
    blocks: tuple[BlockConfig, ...]
    patch: int = 1

    @property
    def levels(self) -> int:
        """Levels of the label pyramid: one for each size at which blocks work."""
        return 1 + sum(block.upsample for block in self.blocks)

    @property
    def latent_shape(self) -> tuple[int]:
        """Shape of one scene's latent."""
        return (self.latent,)


def paper_config(height: int, width: int, channels: int, deep: bool, base: int = 64, latent: int = 256) -> CcFpseConfig:
    """The published networks: `deep` (six doublings) for Cityscapes, else five, as for COCO-Stuff; base width 64.

    The latent enters through a linear layer onto the whole seed, so that a checkpoint fits one picture size only.
    """
    names = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3")
    widths = [16 * base] * 4 + [8 * base, 4 * base, 2 * base, base]
    blocks = tuple(
        BlockConfig(name, widths[i], widths[i + 1], upsample=i > 0 and (deep or name != "G_middle_1"))
        for i, name in enumerate(names)
    )
    shrink = 64 if deep else 32
    return CcFpseConfig(channels, latent, (height // shrink, width // shrink), base, blocks)


def embedded_config(height: int, width: int, channels: int) -> CcFpseConfig:
    """The small network that ships: four blocks, three doublings, for sides that are multiples of 16.

    Where it differs from the published ones besides width and depth: `patch` 2, so that nothing runs at full
    resolution, and the predictors of the two finest blocks have 1x1 convolutions (the pyramid, whose 3x3 convolutions
    have looked at the neighbours, is part of what they see).
    """
    blocks = (
        BlockConfig("head_0", 128, 128, upsample=False, hidden=32),
        BlockConfig("up_0", 128, 64, hidden=32, kernel=1),
        BlockConfig("up_1", 64, 32, hidden=32, kernel=1),
        BlockConfig("up_2", 32, 32, hidden=16, look=1, kernel=1),
    )
    return CcFpseConfig(channels, 64, (height // 16, width // 16), 16, blocks, patch=2)


def _label_layer(in_width: int, out_width: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = SpectralConv2d(in_width, out_width, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.Sequential(conv, nn.BatchNorm2d(out_width)), nn.LeakyReLU(SLOPE, inplace=True))


class CcFpseGenerator(nn.Module):
    """Semantic maps and a latent to a picture.

    Input: maps (B, channels, H, W), edge last, any real values, and a latent (B, latent); output (B, 3, H, W) in
    [-1, 1], where H, W are the seed's size doubled once a block that upsamples, times `patch`.
    """

    def __init__(self, config: CcFpseConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.blocks[0].in_width, config.blocks[-1].out_width
        self.fc = nn.Linear(config.latent, first * config.seed[0] * config.seed[1])
        # the published generator holds the pyramid's layers itself, without a module around them
        self.encoders = [f"labelenc{i + 1}" for i in range(config.levels)]
        self.laterals = [f"labellat{i + 1}" for i in range(config.levels - 1)]
        self.decoders = [f"labeldec{i + 1}" for i in range(config.levels - 1)]
        width = config.pyramid
        for i, name in enumerate(self.encoders):
            layer = _label_layer(width, width, 3, 2) if i else _label_layer(config.channels, width, 3, config.patch)
            self.add_module(name, layer)
        for name in self.laterals:
            self.add_module(name, _label_layer(width, width, 1))
        for name in self.decoders:
            self.add_module(name, _label_layer(width, width, 3))
        for block in config.blocks:
            self.add_module(block.name, ConditionalBlock(block, config.channels + width))
        self.conv_img = nn.Conv2d(last, 3 * config.patch**2, 3, padding=1)

    def label_features(self, maps: Tensor) -> list[Tensor]:
        """The label pyramid, coarsest level first: `levels` tensors (B, pyramid, h, w), each twice the size before."""
        encoded = []
        x = maps
        for name in self.encoders:
            x = self.get_submodule(name)(x)
            encoded.append(x)
        levels = [x]
        for lateral, decoder, finer in zip(self.laterals, self.decoders, encoded[-2::-1], strict=True):
            x = F.interpolate(x, scale_factor=2, mode="nearest") + self.get_submodule(lateral)(finer)
            x = self.get_submodule(decoder)(x)
            levels.append(x)
        return levels

    def forward(self, maps: Tensor, latent: Tensor) -> Tensor:
        """The picture in [-1, 1]."""
        conditions = [
            torch.cat([F.interpolate(maps, size=level.shape[-2:], mode="nearest"), level], dim=1)
            for level in self.label_features(maps)
        ]
        x = self.fc(latent).reshape(len(latent), -1, *self.config.seed)
        level = 0
        for block in self.config.blocks:
            if block.upsample:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
                level += 1
            x = self.get_submodule(block.name)(x, conditions[level])
        x = self.conv_img(F.leaky_relu(x, SLOPE))
        return torch.tanh(F.pixel_shuffle(x, self.config.patch))
