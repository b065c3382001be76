"""OASIS's networks (Schönfeld et al., ICLR 2021, sections 3.1 and 3.3).

SPADE blocks steered by noise and map together, and a U-Net as the discriminator, which gives every pixel a class or
"fake". One noise vector a scene is repeated at every pixel ("3D noise") and put before the one-hot channels; the result
feeds the first convolution and every normalisation. Written from the paper and checked against the published
checkpoints' layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api.scenes import LabelSpace
from methods.common.layers import SLOPE, ModulationConfig, SpadeBlock, SpadeNorm, SpectralConv2d
from methods.oasis.method import LATENT

if TYPE_CHECKING:
    from methods.oasis.method import OasisConfig, OasisDiscriminatorConfig


def label_order(space: LabelSpace) -> tuple[int, ...]:
    """Which label id each input channel shows: as published, unknown comes first (COCO-Stuff's 182 is channel 0)."""
    ids = tuple(range(space.size))
    return ids if space.unknown is None else (space.unknown, *(i for i in ids if i != space.unknown))


class OasisGenerator(nn.Module):
    """Semantic maps and a noise vector to a picture.

    Input: maps (B, labels, H, W), any real values, and noise (B, 64); output (B, 3, H, W) in [-1, 1], where H, W are
    the seed's size doubled once a block behind the first, times `patch`.
    """

    def __init__(self, config: OasisConfig) -> None:
        super().__init__()
        self.config = config
        channels = LATENT + config.labels
        self.conv_img = nn.Conv2d(config.widths[-1], 3 * config.patch**2, 3, padding=1)
        self.body = nn.ModuleList()
        for i, hidden in enumerate(config.hidden):
            stride = config.patch if i == len(config.hidden) - 1 else 1
            modulation = ModulationConfig(channels, hidden, kernel=config.kernel, norm="first_norm", stride=stride)
            self.body.append(SpadeBlock(config.widths[i], config.widths[i + 1], modulation))
        self.fc = nn.Conv2d(channels, config.widths[0], 3, padding=1)

    def conditioned(self) -> list[nn.Conv2d]:
        """The convolutions that read noise (their first 64 input channels) and map."""
        shared = (module.mlp_shared[0] for module in self.modules() if isinstance(module, SpadeNorm))
        return [self.fc, *(conv for conv in shared if isinstance(conv, nn.Conv2d))]

    def forward(self, maps: Tensor, noise: Tensor) -> Tensor:
        """The picture in [-1, 1]."""
        seed = F.interpolate(maps, size=self.config.seed, mode="nearest")
        code = noise[:, :, None, None].expand(-1, -1, *self.config.seed)
        x = self.fc(torch.cat([code, seed], dim=1))
        for i, block in enumerate(self.body):
            if i:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(x, maps, noise)
        return torch.tanh(F.pixel_shuffle(self.conv_img(F.leaky_relu(x, SLOPE)), self.config.patch))


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

    def __init__(self, config: OasisDiscriminatorConfig) -> None:
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
        result: Tensor = self.classify(x)
        return result
