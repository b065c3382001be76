"""SPADE's generator and its training (Park et al., CVPR 2019, section 3 and appendix A).

The map enters at every scale through the normalisation layers, and once more at the start, where its smallest version
takes the place of a random vector: without an encoder the network is deterministic. Written from the paper and checked
against the layout of the published checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.gan.patch import MultiScaleDiscriminator
from methods.common.gan.task import AdversarialTask, Batch, Losses
from methods.common.layers import ModulationConfig, SpadeBlock

if TYPE_CHECKING:
    from methods.spade.method import SpadeConfig, SpadeProfile


class SpadeGenerator(nn.Module):
    """Semantic maps to a picture.

    Input: maps (B, labels + edges, H, W), edge last, any real values; output (B, 3, H, W) in [-1, 1], where H, W are
    the seed's size, doubled once a block that upsamples, times `patch`.
    """

    def __init__(self, config: SpadeConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.labels + int(config.edges)
        self.fc = nn.Conv2d(channels, config.blocks[0].in_width, 3, padding=1)
        for block in config.blocks:
            modulation = ModulationConfig(channels, block.hidden, kernel=block.kernel, stride=block.stride)
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


@torch.no_grad()
def even_patches(network: SpadeGenerator) -> None:
    """Give the pixels of a patch equal weights, so that an untrained folded network draws no chequers.

    Aitken et al., "Checkerboard artifact free sub-pixel convolution", arXiv 1707.02937. Without this the embedded
    network still drew them after 300 steps.
    """
    weight, pixels = network.conv_img.weight, network.config.patch**2
    weight.copy_(weight[::pixels].repeat_interleave(pixels, 0))


class SpadeTask(AdversarialTask):
    """SPADE's training without its optional encoder."""

    profile: SpadeProfile
    generator: SpadeGenerator

    generator_class, discriminator_class = SpadeGenerator, MultiScaleDiscriminator

    def start_differently(self) -> None:
        """Without chequers."""
        even_patches(self.generator)

    def losses(self, batch: Batch, rng: torch.Generator) -> Losses:
        """`patch_losses` of the pictures."""
        return self.patch_losses(batch, self.run(self.generator, batch.maps), rng)

    def picture(self, network: nn.Module, maps: Tensor, rng: torch.Generator) -> Tensor:
        """Nothing is drawn."""
        result: Tensor = network(maps)
        return result
