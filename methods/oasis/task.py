"""Training OASIS: one step updates generator and discriminator (Schönfeld et al., ICLR 2021, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api.method import MethodContext
from methods.common.gan.task import AdversarialTask, Batch, Losses
from methods.common.layers import Spade, SpectralConv2d
from methods.oasis.losses import class_weights, fake_loss, label_mix_loss, mix, mixing_mask, real_loss
from methods.oasis.network import OasisDiscriminator, OasisGenerator, label_order

if TYPE_CHECKING:
    from methods.oasis.method import OasisProfile


@torch.no_grad()
def initialise_quickly(generator: OasisGenerator, discriminator: OasisDiscriminator) -> None:
    """A start from which a few thousand steps are enough; the authors' is Xavier with gain 0.02 everywhere.

    Spectral weights: gain 1. Their scale changes no output, but a first step of Adam is as large as weights of gain
    0.02, more than the one power step a pass can follow. In a trial the discriminator, where no other normalisation
    bounds the signal, answered with logits in the tens and then not at all; with gain 1 this was not seen.

    Modulations: of order 1 instead of 0.0001. A pixel has one label channel that is not zero and 64 of noise, so label
    weights of 1/3 over nine taps give a unit response to the map, and noise weights are scaled to a quarter of that:
    at equal weights, pictures followed the noise alone for the first hundreds of steps. Scale and shift have gain 1.
    """
    for network in (generator, discriminator):
        for module in network.modules():
            if isinstance(module, SpectralConv2d):
                nn.init.xavier_normal_(module.weight_orig)
            elif isinstance(module, Spade):
                nn.init.xavier_normal_(module.mlp_gamma.weight)
                nn.init.xavier_normal_(module.mlp_beta.weight)
    latent = generator.config.latent
    for conv in generator.conditioned():
        nn.init.normal_(conv.weight, std=1 / 3)
        conv.weight[:, :latent].mul_(0.25 / latent**0.5)


class OasisTask(AdversarialTask):
    """OASIS's training on clean maps: the discriminator segments, and the generator wants its map to be found again.

    One fresh noise vector a scene and step. The moving average takes the running batch statistics and the live spectral
    vectors (see `AdversarialTask`); the authors average both and then refresh them on 50 batches of training scenes.
    """

    profile: OasisProfile
    generator: OasisGenerator
    discriminator: OasisDiscriminator

    def __init__(self, context: MethodContext, profile: OasisProfile) -> None:
        """Build networks and optimisers from PyTorch's global generator."""
        generator, discriminator = OasisGenerator(profile.generator), OasisDiscriminator(profile.discriminator)
        super().__init__(context, profile, generator, discriminator)
        self.order = list(label_order(context.label_space))

    def start_differently(self) -> None:
        if self.profile.quick_start:
            initialise_quickly(self.generator, self.discriminator)

    def losses(self, batch: Batch, rng: torch.Generator) -> Losses:
        profile, patch = self.profile, self.profile.discriminator.patch
        maps = self._ordered(batch.maps)
        every = profile.perceptual_every
        fake = self.run(self.generator, maps, self._noise(maps, rng))
        mask = mixing_mask(batch.labels, maps.shape[1], rng)
        # two passes, so that the generator's gradient runs through the fakes' only
        fake_logits = self.run(self.discriminator, fake)
        others = torch.cat([batch.image, mix(mask, batch.image, fake)])
        real_logits, mixed_logits = self.run(self.discriminator, others).chunk(2)

        shares = F.avg_pool2d(maps, patch)
        targets = shares * class_weights(shares, profile.ignore_first)[:, None, None]
        log = {
            "adversarial": real_loss(fake_logits, targets),
            "real": real_loss(real_logits, targets),
            "fake": fake_loss(fake_logits),
            "mix": label_mix_loss(mixed_logits, F.avg_pool2d(mask, patch), real_logits, fake_logits),
        }
        drawing = log["adversarial"]
        if self.features is not None:
            log["perceptual"] = self.perceptual_term(fake[::every], batch.image[::every], rng)
            drawing = drawing + profile.perceptual_weight * log["perceptual"]
        return Losses(drawing, log["real"] + log["fake"] + profile.mix_weight * log["mix"], log)

    def picture(self, network: nn.Module, maps: Tensor, rng: torch.Generator) -> Tensor:
        return network(self._ordered(maps), self._noise(maps, rng))

    def _ordered(self, maps: Tensor) -> Tensor:
        """The label channels in the network's order, without the edges."""
        return maps[:, self.order].contiguous(memory_format=torch.channels_last)

    def _noise(self, maps: Tensor, rng: torch.Generator) -> Tensor:
        return torch.randn((len(maps), self.profile.generator.latent), generator=rng).to(maps.device)
