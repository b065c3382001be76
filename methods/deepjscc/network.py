"""DeepJSCC's autoencoder: five convolutions, the channel, and five transposed ones (arXiv 1809.01733, figure 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.deepjscc.method import PEAK, DeepJsccProfile


class Gdn(nn.Module):
    """Generalised divisive normalisation, x / sqrt(b + W x^2), or its inverse (Ballé et al., ICLR 2016)."""

    def __init__(self, width: int, inverse: bool) -> None:
        super().__init__()
        self.inverse = inverse
        self.offset = nn.Parameter(torch.ones(width))
        self.mixing = nn.Parameter(0.1 * torch.eye(width) + 1e-4)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape; offset and mixing count as positive."""
        norm = F.conv2d(x.square(), self.mixing.abs()[:, :, None, None], self.offset.abs() + 1e-6).sqrt()
        return x * norm if self.inverse else x / norm


class Attention(nn.Module):
    """Scales channels by their means and the signal-to-noise ratio (arXiv 2012.00533, section III)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden, self.scale = nn.Linear(width + 1, width), nn.Linear(width, width)

    def forward(self, x: Tensor, snr_db: Tensor) -> Tensor:
        """(B, C, H, W) and (B,) dB -> (B, C, H, W)."""
        seen = torch.cat([x.mean((2, 3)), snr_db[:, None] / 10], dim=1)
        return x * torch.sigmoid(self.scale(F.relu(self.hidden(seen))))[:, :, None, None]


class Stack(nn.Module):
    """Convolutions with what follows each of them: the activation, and attention if the stack is told the ratio."""

    def __init__(self, layers: Sequence[nn.Module], activations: Sequence[nn.Module], told: Sequence[int]) -> None:
        super().__init__()
        self.layers, self.activations = nn.ModuleList(layers), nn.ModuleList(activations)
        self.attention = nn.ModuleList(Attention(width) for width in told)

    def forward(self, x: Tensor, snr_db: Tensor | None) -> Tensor:
        """(B, C, H, W), and (B,) dB for an adaptive stack -> (B, C', H', W')."""
        for place, (layer, activation) in enumerate(zip(self.layers, self.activations, strict=True)):
            x = activation(layer(x))
            if place < len(self.attention):
                assert snr_db is not None
                x = self.attention[place](x, snr_db)
        return x


class Autoencoder(nn.Module):
    """Encoder and decoder of one bandwidth ratio."""

    def __init__(self, profile: DeepJsccProfile) -> None:
        super().__init__()
        first, width = profile.widths
        channels = profile.channels

        def activation(of: int, inverse: bool = False) -> nn.Module:
            return nn.PReLU(of) if profile.activation == "prelu" else Gdn(of, inverse)

        def down(inward: int, outward: int, stride: int) -> nn.Module:
            return nn.Conv2d(inward, outward, 5, stride, padding=2)

        def up(inward: int, outward: int, stride: int) -> nn.Module:
            return nn.ConvTranspose2d(inward, outward, 5, stride, padding=2, output_padding=stride - 1)

        told = (first, width, width, width) if profile.adaptive else ()
        self.encoder = Stack(
            [
                down(3, first, 2),
                down(first, width, 2),
                *(down(width, width, 1) for _ in range(2)),
                down(width, channels, 1),
            ],
            [activation(first), *(activation(width) for _ in range(3)), activation(channels)],
            told,
        )
        self.decoder = Stack(
            [up(channels, width, 1), *(up(width, width, 1) for _ in range(2)), up(width, first, 2), up(first, 3, 2)],
            [*(activation(width, True) for _ in range(3)), activation(first, True), nn.Sigmoid()],
            told[::-1],
        )

    def encode(self, pictures: Tensor, snr_db: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, channels, H/4, W/4) symbols of mean power 1 a scene, clipped at PEAK."""
        symbols: Tensor = self.encoder(pictures, snr_db)
        power = symbols.square().mean((1, 2, 3), keepdim=True)
        return (symbols * (power + 1e-12).rsqrt()).clamp(-PEAK, PEAK)

    def decode(self, symbols: Tensor, snr_db: Tensor | None = None) -> Tensor:
        """(B, channels, H/4, W/4) as they arrived -> (B, 3, H, W) in [0, 1]."""
        pictures: Tensor = self.decoder(symbols, snr_db)
        return pictures
