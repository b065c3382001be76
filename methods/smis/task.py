"""Training SMIS: one step updates generator, encoder and discriminator (Zhu et al., CVPR 2020, section 3.4)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from methods.adversarial.losses import kl_divergence
from methods.adversarial.patch import MultiScaleDiscriminator
from methods.adversarial.task import AdversarialTask, Batch, Losses
from methods.base import MethodContext
from methods.smis.encoder import SmisEncoder, class_regions
from methods.smis.network import SmisGenerator
from methods.smis.profiles import SmisProfile, profile_for


class SmisTask(AdversarialTask):
    """SMIS's training on clean maps: the latent is encoded from the true image, drawn from the prior in samples."""

    profile: SmisProfile
    encoder: SmisEncoder

    def __init__(self, context: MethodContext, profile: SmisProfile | None = None) -> None:
        """Build networks and optimisers from PyTorch's global generator; `profile` replaces the context's own."""
        profile = profile or profile_for(context)
        generator, encoder = SmisGenerator(profile.generator), SmisEncoder(profile.encoder)
        super().__init__(context, profile, generator, MultiScaleDiscriminator(profile.discriminator), encoder)

    def losses(self, batch: Batch, rng: torch.Generator) -> Losses:
        encoder = self.profile.encoder
        regions = class_regions(batch.image, batch.labels, encoder.labels, encoder.size)
        mean, log_variance = self.run(self.encoder, regions.contiguous(memory_format=torch.channels_last))
        noise = torch.randn(mean.shape, generator=rng).to(mean.device)
        fake = self.run(self.generator, batch.maps, mean + noise * (0.5 * log_variance).exp())
        losses = self.patch_losses(batch, fake, rng)
        kl = kl_divergence(mean, log_variance)
        drawing = losses.drawing + self.profile.kl_weight * kl
        return replace(losses, drawing=drawing, log={**losses.log, "kl": kl})

    def picture(self, network: nn.Module, maps: Tensor, rng: torch.Generator) -> Tensor:
        latent = torch.randn((len(maps), *self.profile.generator.latent_shape), generator=rng)
        return network(maps, latent.to(maps.device))
