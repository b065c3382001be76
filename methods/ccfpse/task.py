"""Training CC-FPSE: one step updates generator, encoder and discriminator (Liu et al., NeurIPS 2019, section 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.api.method import MethodContext
from methods.ccfpse.layers import TAPS, ConditionalBlock
from methods.ccfpse.network import CcFpseDiscriminator, CcFpseEncoder, CcFpseGenerator
from methods.common.gan.encoded import EncodedTask
from methods.common.gan.task import Batch

if TYPE_CHECKING:
    from methods.ccfpse.method import CcFpseProfile


def start_as_identity(generator: CcFpseGenerator) -> None:
    """Let every conditional convolution begin as a copy, with 1x1 convolutions of ordinary size behind it.

    The authors' initialisation (Xavier, gain 0.02) makes kernels, a product of two such layers, so small that batch
    normalisation's epsilon swallows what they let through: the blocks wake up slowly, which a short training cannot
    afford. Here the bias of each kernel's middle tap is 1, and predictors and 1x1 convolutions have gain 1.
    """
    for block in generator.modules():
        if isinstance(block, ConditionalBlock):
            for name in ("conv_1", "conv_3", "gen_weights1", "gen_weights2", "gen_se_weights1", "gen_se_weights2"):
                for layer in block.get_submodule(name).modules():
                    if isinstance(layer, nn.Conv2d):
                        nn.init.xavier_normal_(layer.weight)
            for kernels in (block.gen_weights1[2], block.gen_weights2[2]):
                assert isinstance(kernels, nn.Conv2d)
                assert kernels.bias is not None
                with torch.no_grad():
                    kernels.bias.reshape(-1, TAPS)[:, TAPS // 2] = 1


class CcFpseTask(EncodedTask):
    """CC-FPSE's training on clean maps: the latent is encoded from the true image, drawn from the prior in samples."""

    profile: CcFpseProfile
    generator: CcFpseGenerator
    encoder: CcFpseEncoder

    def __init__(self, context: MethodContext, profile: CcFpseProfile) -> None:
        """Build networks and optimisers from PyTorch's global generator."""
        generator, encoder = CcFpseGenerator(profile.generator), CcFpseEncoder(profile.encoder)
        super().__init__(context, profile, generator, CcFpseDiscriminator(profile.discriminator), encoder)

    def start_differently(self) -> None:
        if self.profile.identity_start:
            start_as_identity(self.generator)

    def seen(self, batch: Batch) -> Tensor:
        """The true image."""
        return batch.image

    def latent_shape(self) -> tuple[int, ...]:
        return self.profile.generator.latent_shape
