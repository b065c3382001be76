"""CC-FPSE's two scales: which networks, and how they are trained."""

from __future__ import annotations

from dataclasses import dataclass

from bench.api.method import MethodContext
from methods.ccfpse.discriminator import DiscriminatorConfig, embedded_discriminator, paper_discriminator
from methods.ccfpse.encoder import EncoderConfig, embedded_encoder, paper_encoder
from methods.ccfpse.network import CcFpseConfig, embedded_config, paper_config
from methods.common.gan.profile import AdversarialProfile, check_context

#: Label ids of Cityscapes; the authors give every other data set the shallower network.
CITYSCAPES_LABELS = 35


@dataclass(frozen=True, kw_only=True)
class CcFpseProfile(AdversarialProfile):
    """Networks, learning rates and loss weights of one training.

    The defaults are the authors': L_GAN + 20 L_FM + 10 L_P + 0.05 L_KL. `identity_start` begins with kernels that copy
    (see `start_as_identity`) instead of the authors' near-zero ones, and the embedded profile learns at 5 and 2.5 times
    the authors' rates: its whole training is a few thousand steps.
    """

    generator: CcFpseConfig
    encoder: EncoderConfig
    discriminator: DiscriminatorConfig
    matching_weight: float = 20.0
    identity_start: bool = False


def profile_for(context: MethodContext) -> CcFpseProfile:
    """The profile that a context names, `embedded` or `paper`; MethodError for another, or a size that does not fit."""
    height, width, labels = context.height, context.width, context.label_space.size
    check_context(context, "ccfpse", {"embedded": 16, "paper": 64}, smallest=32)
    if context.profile == "paper":
        generator = paper_config(height, width, labels + 1, deep=labels == CITYSCAPES_LABELS)
        return CcFpseProfile(
            generator=generator,
            encoder=paper_encoder(latent=generator.latent),
            discriminator=paper_discriminator(labels + 1),
            batch_size=16,
            steps=37_000,  # 200 epochs of Cityscapes's 2975 scenes
        )
    generator = embedded_config(height, width, labels + 1)
    return CcFpseProfile(
        generator=generator,
        encoder=embedded_encoder(height, width, generator.latent),
        discriminator=embedded_discriminator(labels + 1),
        batch_size=8,
        steps=3500,
        generator_rate=5e-4,
        discriminator_rate=1e-3,
        identity_start=True,
    )
