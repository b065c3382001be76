"""SMIS's class-wise encoder (Zhu et al., CVPR 2020, section 3.2), used in training only.

It sees what each class looks like in the true image and gives the distribution of that class's latent, so that the
decoder learns to obey it. A receiver has no true image: there the latent is drawn from the prior N(0, I).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.layers import SpectralConv2d
from methods.smis.network import LATENT


@dataclass(frozen=True)
class EncoderConfig:
    """`labels` ids, `size` (height, width) that class regions are stretched to, channels a label of each layer."""

    labels: int
    size: tuple[int, int]
    widths: tuple[int, ...]


def paper_encoder(height: int, width: int, labels: int = 35) -> EncoderConfig:
    """The published encoder: regions at full size, six layers of stride 2."""
    return EncoderConfig(labels, (height, width), (10, 20, 40, 80, 80, 80))


def embedded_encoder(height: int, width: int, labels: int = 35) -> EncoderConfig:
    """The small encoder: regions at half size, three layers, so that the latent again has the seed's size."""
    return EncoderConfig(labels, (height // 2, width // 2), (8, 16, 16))


def class_regions(image: Tensor, labels: Tensor, number: int, size: tuple[int, int]) -> Tensor:
    """Cut each class out of the image and stretch its bounding box to `size` by nearest neighbour.

    `image` (B, 3, H, W), `labels` (B, H, W) integers -> (B, 3 * number, *size), three channels a class, zero outside
    the class's pixels and for absent classes.
    """
    batch, width = len(image), image.shape[-1]
    mask = F.one_hot(labels, number).permute(0, 3, 1, 2).bool()
    rows = _stretch(mask.any(3), size[0])
    columns = _stretch(mask.any(2), size[1])
    picture = torch.arange(batch, device=image.device)[:, None, None, None]
    pixel = rows[..., :, None] * width + columns[..., None, :]
    flat = pixel.reshape(batch, 1, -1)
    colours = image.flatten(2).gather(2, flat.expand(-1, 3, -1)).reshape(batch, 3, number, *size)
    inside = labels.flatten(1)[picture, pixel] == torch.arange(number, device=image.device)[:, None, None]
    return (colours * inside[:, None]).transpose(1, 2).reshape(batch, 3 * number, *size)


def _stretch(occupied: Tensor, length: int) -> Tensor:
    """For a projection (B, N, L) of class masks: source indices (B, N, length) that sample its bounding interval."""
    size = occupied.shape[-1]
    first = occupied.int().argmax(-1)
    last = size - 1 - occupied.flip(-1).int().argmax(-1)
    span = (last - first + 1).unsqueeze(-1)
    steps = torch.arange(length, device=occupied.device)
    return first.unsqueeze(-1) + steps * span // length


class SmisEncoder(nn.Module):
    """Grouped convolutions, one group a class, from class regions to the mean and log variance of the latent.

    Input: regions (B, 3 * labels, *size); output: two tensors (B, 8 * labels, h, w), the size halved once a layer.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = (3, *config.widths)
        for i in range(1, len(widths)):
            conv = SpectralConv2d(
                widths[i - 1] * config.labels,
                widths[i] * config.labels,
                3,
                stride=2,
                padding=1,
                groups=config.labels,
                bias=False,
            )
            norm = nn.InstanceNorm2d(widths[i] * config.labels)
            self.add_module(f"layer{i}", nn.Sequential(conv, norm))
        last, latent = widths[-1] * config.labels, LATENT * config.labels
        self.fc_mu = nn.Conv2d(last, latent, 3, padding=1, groups=config.labels)
        self.fc_var = nn.Conv2d(last, latent, 3, padding=1, groups=config.labels)

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance."""
        x = regions
        for i in range(1, len(self.config.widths) + 1):
            x = F.leaky_relu(self.get_submodule(f"layer{i}")(x), 0.2)
        return self.fc_mu(x), self.fc_var(x)
