"""OASIS's generator: SPADE blocks steered by noise and map together (Schönfeld et al., ICLR 2021, section 3.3).

One noise vector a scene is repeated at every pixel ("3D noise") and put before the one-hot channels; the result feeds
the first convolution and every normalisation. Written from the paper and checked against the published checkpoints'
layout.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.layers import Modulation, Spade, SpadeBlock
from methods.common.layers.spade import SLOPE

LATENT = 64  # channels of the noise, as published


@dataclass(frozen=True)
class OasisConfig:
    """A whole generator.

    `labels` ids, `seed` size (height, width), `widths` of the seed and of each block's output, `hidden` channels of
    each block's modulations, `kernel` side of their scale and shift. The size doubles before every block but the first.
    With `patch` p the last block works at 1/p of the picture's size, its modulations read the map at full size with
    stride p, and every one of its pixels becomes p x p pixels of the picture (not in the paper).
    """

    labels: int
    seed: tuple[int, int]
    widths: tuple[int, ...]
    hidden: tuple[int, ...]
    kernel: int = 3
    patch: int = 1


def paper_config(height: int, width: int, labels: int, base: int = 64) -> OasisConfig:
    """The published network: six blocks, five doublings (71.1 M parameters for 35 labels, 75.2 M for 183)."""
    widths = tuple(base * m for m in (16, 16, 16, 8, 4, 2, 1))
    return OasisConfig(labels, (height // 32, width // 32), widths, (128,) * 6)


def embedded_config(height: int, width: int, labels: int) -> OasisConfig:
    """The small network that ships: four blocks, three doublings and 2x2 patches; scale and shift are 1x1."""
    deep = 192 if labels <= 64 else 128  # the file stays below 4 MB, for COCO-Stuff's 183 labels too
    widths = (deep, deep, 96, 32, 32)
    return OasisConfig(labels, (height // 16, width // 16), widths, (64, 64, 32, 24), kernel=1, patch=2)


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
            modulation = Modulation(channels, hidden, kernel=config.kernel, norm="first_norm", stride=stride)
            self.body.append(SpadeBlock(config.widths[i], config.widths[i + 1], modulation))
        self.fc = nn.Conv2d(channels, config.widths[0], 3, padding=1)

    def conditioned(self) -> list[nn.Conv2d]:
        """The convolutions that read noise (their first 64 input channels) and map."""
        shared = (module.mlp_shared[0] for module in self.modules() if isinstance(module, Spade))
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
