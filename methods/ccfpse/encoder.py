"""CC-FPSE's image encoder, SPADE's variational one (Park et al., CVPR 2019, appendix A), used in training only.

It gives the distribution of the latent that the true image asks for. A receiver has no true image: there the latent is
drawn from the prior N(0, I). The authors' test script does encode the true test image, so their published numbers and
pictures carry its colours and lighting, and those of a receiver do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.layers import SpectralConv2d

SLOPE = 0.2


@dataclass(frozen=True)
class EncoderConfig:
    """`size` (height, width) that the image is resized to, `widths` of the layers of stride 2, `latent` numbers."""

    size: tuple[int, int]
    widths: tuple[int, ...]
    latent: int


def paper_encoder(base: int = 64, latent: int = 256) -> EncoderConfig:
    """The published encoder: six layers on a 256x256 picture, whatever the image's shape."""
    return EncoderConfig((256, 256), (base, 2 * base, 4 * base, 8 * base, 8 * base, 8 * base), latent)


def embedded_encoder(height: int, width: int, latent: int) -> EncoderConfig:
    """The small encoder: three layers on a picture of half the size, for sides that are multiples of 16."""
    return EncoderConfig((height // 2, width // 2), (16, 32, 64), latent)


class CcFpseEncoder(nn.Module):
    """An image (B, 3, H, W) in [-1, 1] to mean and log variance of its latent, two tensors (B, latent)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = (3, *config.widths)
        for i in range(1, len(widths)):
            conv = SpectralConv2d(widths[i - 1], widths[i], 3, stride=2, padding=1, bias=False)
            self.add_module(f"layer{i}", nn.Sequential(conv, nn.InstanceNorm2d(widths[i])))
        shrink = 2 ** len(config.widths)
        positions = (config.size[0] // shrink) * (config.size[1] // shrink)
        self.fc_mu = nn.Linear(widths[-1] * positions, config.latent)
        self.fc_var = nn.Linear(widths[-1] * positions, config.latent)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance."""
        x = image
        if x.shape[-2:] != self.config.size:
            x = F.interpolate(x, size=self.config.size, mode="bilinear", align_corners=False)
        for i in range(1, len(self.config.widths) + 1):
            x = F.leaky_relu(self.get_submodule(f"layer{i}")(x), SLOPE)
        x = x.flatten(1)
        return self.fc_mu(x), self.fc_var(x)
