"""SMIS's generator, the group-decreasing network (Zhu et al., CVPR 2020, section 3.3 and Fig. 3).

Every class owns eight latent channels. The first convolutions keep the classes apart, one group a class, and the number
of groups falls towards the output, so that classes can agree with each other. Written from the paper and checked
against the layout of the published Cityscapes checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.layers import Modulation, SpadeBlock

LATENT = 8  # latent channels a class, as published


@dataclass(frozen=True)
class BlockConfig:
    """One residual block: its widths, the groups of its convolutions and what its normalisation looks like.

    `hidden`, `map_groups`, `modulation_groups` and `kernel` are those of `methods.common.layers.Modulation`; the
    labels are split into `map_groups` equal runs, each of which sees the edge channel. `upsample` doubles the size
    before it.
    """

    name: str
    in_width: int
    out_width: int
    groups: int
    hidden: int
    map_groups: int
    modulation_groups: int
    kernel: int = 3
    upsample: bool = True


@dataclass(frozen=True)
class SmisConfig:
    """A whole generator: label ids, seed size (height, width) and blocks in order."""

    labels: int
    seed: tuple[int, int]
    blocks: tuple[BlockConfig, ...]

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape of one scene's latent: eight channels a label at the seed's size."""
        return (self.labels * LATENT, *self.seed)


def paper_config(height: int, width: int, labels: int = 35, base: int = 280) -> SmisConfig:
    """The published Cityscapes network (base width 280: 76.5 M parameters; its grouping needs a multiple of 70).

    All three convolutions of a modulation have one group a label there, whatever the groups of the block, and the
    hidden width is labels x groups. Six doublings lead from the seed to the image, so the sides are multiples of 64.
    """
    widths = (16 * base, 16 * base, 16 * base, 16 * base, 8 * base, 4 * base, 2 * base, base)
    names = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3")
    blocks = tuple(
        BlockConfig(name, widths[i], widths[i + 1], groups, labels * groups, labels, labels, upsample=i > 0)
        for i, (name, groups) in enumerate(zip(names, (35, 35, 20, 14, 10, 4, 1), strict=True))
    )
    return SmisConfig(labels, (height // 64, width // 64), blocks)


def embedded_config(height: int, width: int, labels: int = 35) -> SmisConfig:
    """The small network that ships: five blocks, four doublings, groups 35, 5, 4, 2, 1.

    Where it differs from the paper's besides width and depth: behind the first block the modulations have 5 groups and
    then 1 (the paper's keep one group a label), since convolutions with a channel or two a group are slow on a CPU, and
    their scale and shift are 1x1 convolutions.
    """
    blocks = (
        BlockConfig("head_0", 16 * labels, 16 * labels, labels, 8 * labels, labels, labels, upsample=False),
        BlockConfig("up_0", 16 * labels, 160, 5, 80, 5, 5, kernel=1),
        BlockConfig("up_1", 160, 64, 4, 32, 1, 1, kernel=1),
        BlockConfig("up_2", 64, 16, 2, 32, 1, 1, kernel=1),
        BlockConfig("up_3", 16, 16, 1, 16, 1, 1, kernel=1),
    )
    return SmisConfig(labels, (height // 16, width // 16), blocks)


def arrange(maps: Tensor, groups: int) -> Tensor:
    """Repeat the edge channel behind every run of labels: each group of a convolution sees its labels and the edge.

    (B, L + 1, H, W) with the edge last -> (B, L + groups, H, W); `groups` divides L.
    """
    if groups == 1:
        return maps
    labels, edge = maps[:, :-1], maps[:, -1:]
    batch, number, height, width = labels.shape
    runs = labels.reshape(batch, groups, number // groups, height, width)
    edges = edge[:, None].expand(batch, groups, 1, height, width)
    return torch.cat([runs, edges], dim=2).reshape(batch, number + groups, height, width)


class SmisGenerator(nn.Module):
    """Semantic maps and a latent to a picture.

    Input: maps (B, labels + 1, H, W), edge last, any real values, and a latent (B, 8 * labels, h, w) at the seed's
    size; output (B, 3, H, W) in [-1, 1] where H, W are the seed's size doubled once a block that upsamples.
    """

    def __init__(self, config: SmisConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.blocks[0].in_width, config.blocks[-1].out_width
        self.fc = nn.Conv2d(config.labels * LATENT, first, 3, padding=1, groups=config.labels)
        for block in config.blocks:
            modulation = Modulation(
                config.labels + block.map_groups,
                block.hidden,
                block.map_groups,
                block.modulation_groups,
                block.kernel,
            )
            self.add_module(block.name, SpadeBlock(block.in_width, block.out_width, modulation, block.groups))
        self.conv_img = nn.Conv2d(last, 3, 3, padding=1)

    def forward(self, maps: Tensor, latent: Tensor) -> Tensor:
        """The picture in [-1, 1]."""
        x = self.fc(latent)
        for block in self.config.blocks:
            if block.upsample:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            small = F.interpolate(maps, size=x.shape[-2:], mode="nearest") if maps.shape[-2:] != x.shape[-2:] else maps
            x = self.get_submodule(block.name)(x, arrange(small, block.map_groups))
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)))
