"""Training OASIS: one step updates generator and discriminator (Schönfeld et al., ICLR 2021, section 3).

The losses are (labels + 1)-way cross-entropy and LabelMix (sections 3.1 and 3.2). Their targets are *shares*: (B,
labels, h, w), how much of each of the discriminator's pixels belongs to each label, one-hot where its pixels are the
picture's. Index 0 of the logits is "fake", index c + 1 the label c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api.method import MethodContext
from methods.common.gan.task import AdversarialTask, Batch, Losses
from methods.common.layers import SpadeNorm, SpectralConv2d
from methods.oasis.method import LATENT
from methods.oasis.network import OasisDiscriminator, OasisGenerator, label_order

if TYPE_CHECKING:
    from methods.oasis.method import OasisProfile


def class_weights(shares: Tensor, ignore_first: bool) -> Tensor:
    """Weights (labels,) that give every label of the batch the same total: the inverse of its frequency (Eq. 1).

    N H W / (pixels of the label * number of labels that occur), 0 for absent ones and, with `ignore_first`, for
    label 0. The authors take frequencies over the batch too.
    """
    counts = shares.sum((0, 2, 3))
    if ignore_first:
        counts = counts.clone()
        counts[0] = 0
    present = counts > 0
    pixels = shares.shape[0] * shares.shape[2] * shares.shape[3]
    return torch.where(present, pixels / (counts.clamp_min(1e-12) * present.sum()), 0.0)


def real_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy towards the labels, mean over pixels; `targets` are shares times class weights.

    The discriminator's loss on true pictures and, with the same targets, the generator's on its own (Eq. 1 and 2).
    """
    return -(_log_probabilities(logits)[..., 1:] * targets.permute(0, 2, 3, 1)).sum(-1).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """Cross-entropy towards "fake", mean over pixels: the discriminator's loss on generated pictures (Eq. 1)."""
    return -_log_probabilities(logits)[..., 0].mean()


def _log_probabilities(logits: Tensor) -> Tensor:
    """(B, labels + 1, h, w) to (B, h, w, labels + 1): with the classes last a CPU is several times as fast."""
    return F.log_softmax(logits.permute(0, 2, 3, 1), dim=-1)


def mixing_mask(labels: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """LabelMix's mask (B, 1, H, W) of 0 and 1: in every scene, each label's pixels are all 1 or all 0 by a fair coin.

    `labels` (B, H, W) are ids below `number`; so the mask's borders are borders between classes.
    """
    coins = torch.randint(0, 2, (len(labels), number), generator=generator).to(labels.device)
    return coins.gather(1, labels.flatten(1)).reshape(labels.shape)[:, None].float()


def mix(mask: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """`first` where the mask is 1, `second` where it is 0 (LabelMix, Eq. 3)."""
    return torch.lerp(second, first, mask)


def label_mix_loss(mixed: Tensor, mask: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """Mean squared error between the logits of a mixed picture and the mix of both pictures' logits (Eq. 4)."""
    return F.mse_loss(mixed, mix(mask, real, fake))


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
            elif isinstance(module, SpadeNorm):
                nn.init.xavier_normal_(module.mlp_gamma.weight)
                nn.init.xavier_normal_(module.mlp_beta.weight)
    latent = LATENT
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

    generator_class, discriminator_class = OasisGenerator, OasisDiscriminator

    def __init__(self, context: MethodContext, profile: OasisProfile) -> None:
        super().__init__(context, profile)
        self.order = list(label_order(context.label_space))

    def start_differently(self) -> None:
        """With `initialise_quickly`, where the profile says so."""
        if self.profile.quick_start:
            initialise_quickly(self.generator, self.discriminator)

    def losses(self, batch: Batch, rng: torch.Generator) -> Losses:
        """Cross-entropies of real and fake pixels, LabelMix, and a perceptual term where it has weight."""
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
        total = log["adversarial"]
        if self.features is not None:
            log["perceptual"] = self.perceptual_term(fake[::every], batch.image[::every], rng)
            total = total + profile.perceptual_weight * log["perceptual"]
        return Losses(total, log["real"] + log["fake"] + profile.mix_weight * log["mix"], log)

    def picture(self, network: nn.Module, maps: Tensor, rng: torch.Generator) -> Tensor:
        """With one fresh noise vector a scene."""
        result: Tensor = network(self._ordered(maps), self._noise(maps, rng))
        return result

    def _ordered(self, maps: Tensor) -> Tensor:
        """The label channels in the network's order, without the edges."""
        return maps[:, self.order].contiguous(memory_format=torch.channels_last)

    def _noise(self, maps: Tensor, rng: torch.Generator) -> Tensor:
        return torch.randn((len(maps), LATENT), generator=rng).to(maps.device)
