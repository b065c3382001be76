"""Training a GAN whose latent is encoded from the true image and drawn from the prior at a receiver (SMIS, CC-FPSE)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

import torch
from torch import Tensor, nn

from methods.common.gan.losses import kl_divergence
from methods.common.gan.task import AdversarialTask, Batch, Losses


class EncodedTask(AdversarialTask):
    """SPADE's objective with a KL term that draws the encoder's latents towards N(0, I)."""

    encoder: nn.Module

    @abstractmethod
    def seen(self, batch: Batch) -> Tensor:
        """What the encoder looks at; it answers with mean and log variance of the latent."""

    @abstractmethod
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one scene's latent."""

    def losses(self, batch: Batch, rng: torch.Generator) -> Losses:
        mean, log_variance = self.run(self.encoder, self.seen(batch))
        noise = torch.randn(mean.shape, generator=rng).to(mean.device)
        fake = self.run(self.generator, batch.maps, mean + noise * (0.5 * log_variance).exp())
        losses = self.patch_losses(batch, fake, rng)
        kl = kl_divergence(mean, log_variance)
        drawing = losses.drawing + self.profile.kl_weight * kl
        return replace(losses, drawing=drawing, log={**losses.log, "kl": kl})

    def picture(self, network: nn.Module, maps: Tensor, rng: torch.Generator) -> Tensor:
        latent = torch.randn((len(maps), *self.latent_shape()), generator=rng)
        return network(maps, latent.to(maps.device))
