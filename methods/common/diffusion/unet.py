"""The semantic diffusion U-Net of SDM and GESCO (paper section 3.3, Figure 6; FACTS of the published code).

GroupNorm in the encoder, SPADE in the middle and the decoder, attention at the coarse levels, 3 input channels and 6
outputs (prediction and variance). `SemanticUNet(UNetConfig())` is the paper-size network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.diffusion.layers import (
    Attention,
    DecoderBlock,
    EncoderBlock,
    GroupNorm,
    Modulation,
    Prepared,
    SpadeGroupNorm,
    timestep_embedding,
)

if TYPE_CHECKING:
    from methods.common.diffusion.profile import UNetConfig


class SemanticUNet(nn.Module):
    """The U-Net of SDM and GESCO: forward(x, timesteps, modulations) with modulations from `prepare(maps)`.

    x is (B, in_channels, H, W), timesteps (B,) in 0..999. Returns (B, 6, H, W): three channels of prediction, three of
    the variance interpolation. H and W must be multiples of patch * 2^(levels - 1).
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        time_width = 4 * c.width
        self.time_embed = nn.Sequential(nn.Linear(c.width, time_width), nn.SiLU(), nn.Linear(time_width, time_width))
        widths = [c.width * m for m in c.multipliers]
        self.input_blocks = nn.ModuleList(
            [nn.ModuleList([nn.Conv2d(c.in_channels * c.patch**2, widths[0], 3, padding=1)])]
        )
        skips = [widths[0], *self._encoder(widths)]
        channels, factor = widths[-1], 2 ** (len(widths) - 1)
        self.middle_block = nn.ModuleList(
            [
                self._spade(channels, channels, factor),
                self._attention(channels),
                self._spade(channels, channels, factor),
            ]
        )
        self.output_blocks = nn.ModuleList()
        self._decoder(widths, skips)
        for slot, spade in enumerate(self._spades()):
            spade.slot = slot
        self.out = nn.Sequential(
            GroupNorm(c.groups, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], 6 * c.patch**2, 3, padding=1)
        )

    def _encoder(self, widths: list[int]) -> list[int]:
        """Add the input blocks; the widths of what they hand to the decoder."""
        c, skips, channels = self.config, [], widths[0]
        for level, width in enumerate(widths):
            for _ in range(c.blocks):
                layers: list[nn.Module] = [EncoderBlock(channels, width, 4 * c.width, c.groups, c.dropout)]
                channels = width
                if 2**level in c.attention_factors:
                    layers.append(self._attention(channels))
                self.input_blocks.append(nn.ModuleList(layers))
                skips.append(channels)
            if level < len(widths) - 1:
                down = EncoderBlock(channels, channels, 4 * c.width, c.groups, c.dropout, down=True)
                self.input_blocks.append(nn.ModuleList([down]))
                skips.append(channels)
        return skips

    def _decoder(self, widths: list[int], skips: list[int]) -> None:
        """Add the output blocks, which take `skips` from the last one on."""
        c, channels = self.config, widths[-1]
        for level, width in reversed(list(enumerate(widths))):
            factor = 2**level
            for i in range(c.blocks + 1):
                layers: list[nn.Module] = [self._spade(channels + skips.pop(), width, factor)]
                channels = width
                if factor in c.attention_factors:
                    layers.append(self._attention(channels))
                if level and i == c.blocks:
                    layers.append(self._spade(channels, channels, factor, up=True))
                self.output_blocks.append(nn.ModuleList(layers))

    def _spade(self, channels: int, out: int, factor: int, up: bool = False) -> DecoderBlock:
        c, factors = self.config, (factor, factor // 2 if up else factor)
        maps = (self._map_channels(factors[0]), self._map_channels(factors[1]))
        return DecoderBlock(channels, out, 4 * c.width, c.groups, c.dropout, maps, c.spade_hidden, factors, up)

    def _attention(self, channels: int) -> Attention:
        return Attention(channels, min(self.config.head_channels, channels), self.config.groups)

    def _map_channels(self, factor: int) -> int:
        """Folded maps condition the finest level only; coarser ones see the nearest-neighbour map, as published."""
        return self.config.map_channels * (self.config.patch**2 if factor == 1 else 1)

    def reset_parameters(self) -> None:
        """Initialise for training: second convolutions, attention projections and the output start at zero."""
        for module in self.modules():
            if isinstance(module, EncoderBlock | DecoderBlock):
                nn.init.zeros_(module.out_layers[-1].weight)  # type: ignore[arg-type]
                nn.init.zeros_(module.out_layers[-1].bias)  # type: ignore[arg-type]
            elif isinstance(module, Attention):
                nn.init.zeros_(module.proj_out.weight)
                nn.init.zeros_(module.proj_out.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.out[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.out[-1].bias)  # type: ignore[arg-type]

    def _spades(self) -> list[SpadeGroupNorm]:
        return [module for module in self.modules() if isinstance(module, SpadeGroupNorm)]

    def prepare(self, maps: Tensor, room: float = math.inf) -> list[Prepared]:
        """1 + gamma and beta of every SPADE layer for maps (B, map_channels, H, W); valid for any timestep.

        From the coarsest on, as far as they fit into `room` bytes; the finest, which are the most of them, are else
        made at each evaluation anew, of the same values.
        """
        prepared: list[Prepared] = []
        for spade, layer in self._layers(maps):
            room -= 2 * spade.mlp_gamma.out_channels * layer[:, 0].numel() * layer.element_size()
            prepared.append(spade.modulation(layer) if room >= 0 else partial(spade.modulation, layer))
        return prepared

    def modulations(self, maps: Tensor) -> Iterator[Modulation]:
        """All modulations, layer by layer: together they are the most of sampling's memory at paper size."""
        for spade, layer in self._layers(maps):
            yield spade.modulation(layer)

    def _layers(self, maps: Tensor) -> Iterator[tuple[SpadeGroupNorm, Tensor]]:
        """The SPADE layers, each with the maps at its resolution."""
        patch = self.config.patch
        spades = self._spades()
        weight = spades[0].mlp_shared[0].weight
        last = weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[operator]
        laid_out = torch.channels_last if last else torch.contiguous_format  # once for all layers, not once a layer
        maps = maps.to(self._dtype).contiguous(memory_format=laid_out)
        resized: dict[int, Tensor] = {}
        for factor in {spade.factor for spade in spades}:
            if factor == 1 and patch > 1:
                resized[factor] = F.pixel_unshuffle(maps, patch).contiguous(memory_format=laid_out)
            else:
                size = (maps.shape[2] // (factor * patch), maps.shape[3] // (factor * patch))
                resized[factor] = F.interpolate(maps, size=size, mode="nearest")
        for spade in spades:
            yield spade, resized[spade.factor]

    @property
    def _dtype(self) -> torch.dtype:
        """The precision of the weights, to which whatever comes in is brought."""
        return self.time_embed[0].weight.dtype  # type: ignore[return-value]

    def forward(self, x: Tensor, timesteps: Tensor, modulations: Sequence[Prepared], branches: int = 1) -> Tensor:
        """See the class; with `branches` > 1 the modulations are of `branches` maps a picture.

        They are (branches * B, ...) with the pictures of the first map first, and so is the output: the encoder does
        not see the map, so it runs once.
        """
        patch, dtype = self.config.patch, self._dtype
        x = x.to(dtype)
        time = self.time_embed(timestep_embedding(timesteps, self.config.width).to(dtype))
        h = F.pixel_unshuffle(x, patch) if patch > 1 else x
        skips = []
        for block in self.input_blocks:
            for layer in block:  # type: ignore[attr-defined]
                h = layer(h, time) if isinstance(layer, EncoderBlock) else layer(h)
            skips.append(h)
        if branches > 1:
            h, time = _repeated(h, branches), _repeated(time, branches)
        for layer in self.middle_block:
            h = layer(h, time, modulations) if isinstance(layer, DecoderBlock) else layer(h)
        for block in self.output_blocks:
            h = torch.cat([h, _repeated(skips.pop(), branches)], dim=1)
            for layer in block:  # type: ignore[attr-defined]
                h = layer(h, time, modulations) if isinstance(layer, DecoderBlock) else layer(h)
        h = self.out(h)
        return F.pixel_shuffle(h, patch) if patch > 1 else h


def _repeated(values: Tensor, times: int) -> Tensor:
    """The whole batch `times` times; unlike `Tensor.repeat` it leaves channels last in memory where they are."""
    return values if times == 1 else torch.cat([values] * times)
