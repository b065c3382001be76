"""Training SPADE: hinge, feature matching and perceptual loss on clean maps (Park et al., CVPR 2019, appendix A)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.api.method import MethodContext
from methods.common.gan.patch import MultiScaleDiscriminator
from methods.common.gan.task import AdversarialTask, Batch, Losses
from methods.spade.network import SpadeGenerator

if TYPE_CHECKING:
    from methods.spade.method import SpadeProfile


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

    def __init__(self, context: MethodContext, profile: SpadeProfile) -> None:
        """Build networks and optimisers from PyTorch's global generator."""
        generator = SpadeGenerator(profile.generator)
        super().__init__(context, profile, generator, MultiScaleDiscriminator(profile.discriminator))

    def start_differently(self) -> None:
        even_patches(self.generator)

    def losses(self, batch: Batch, rng: torch.Generator) -> Losses:
        return self.patch_losses(batch, self.run(self.generator, batch.maps), rng)

    def picture(self, network: nn.Module, maps: Tensor, rng: torch.Generator) -> Tensor:
        return network(maps)
