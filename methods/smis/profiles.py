"""SMIS's two scales: which networks, and how they are trained."""

from __future__ import annotations

from dataclasses import dataclass

from bench.api.method import ImpossibleError, MethodContext
from methods.common.gan.patch import DiscriminatorConfig, embedded_discriminator, paper_discriminator
from methods.common.gan.profile import AdversarialProfile, check_context
from methods.smis.encoder import EncoderConfig, embedded_encoder, paper_encoder
from methods.smis.network import SmisConfig, embedded_config, paper_config


@dataclass(frozen=True)
class SmisProfile(AdversarialProfile):
    """Networks, learning rates and loss weights of one training.

    The embedded profile learns at 5 and 2.5 times the authors' rates, because its whole training is a few thousand
    steps: after 300 of them classes had their own colours, which the published rates had not reached after 400.
    """

    generator: SmisConfig
    encoder: EncoderConfig
    discriminator: DiscriminatorConfig


def profile_for(context: MethodContext) -> SmisProfile:
    """The profile that a context names, `embedded` or `paper`; MethodError for another, or a size that does not fit."""
    height, width, labels = context.height, context.width, context.label_space.size
    check_context(context, "smis", {"embedded": 16, "paper": 64})
    if labels % 35:
        raise ImpossibleError(
            f"smis groups its channels for the 35 label ids of Cityscapes and streets; {context.dataset} has {labels}"
        )
    if context.profile == "paper":
        return SmisProfile(
            paper_config(height, width, labels),
            paper_encoder(height, width, labels),
            paper_discriminator(labels),
            batch_size=4,
            steps=148_750,  # 200 epochs of 2975 scenes
        )
    return SmisProfile(
        embedded_config(height, width, labels),
        embedded_encoder(height, width, labels),
        embedded_discriminator(labels),
        batch_size=8,
        steps=3500,
        generator_rate=5e-4,
        discriminator_rate=1e-3,
    )
