"""SPADE's two scales: which networks, and how they are trained."""

from __future__ import annotations

from dataclasses import dataclass

from bench.api.method import MethodContext
from methods.common.gan.patch import DiscriminatorConfig, embedded_discriminator, paper_discriminator
from methods.common.gan.profile import AdversarialProfile, check_context
from methods.spade.network import SpadeConfig, embedded_config, paper_config


@dataclass(frozen=True, kw_only=True)
class SpadeProfile(AdversarialProfile):
    """Networks, learning rates and loss weights of one training.

    There is no encoder, and so no KL term: the published Cityscapes and COCO-Stuff networks have none either. The
    embedded profile's learning rates are those of SMIS's embedded profile, 5 and 2.5 times the authors'.
    """

    generator: SpadeConfig
    discriminator: DiscriminatorConfig
    kl_weight: float = 0.0


def profile_for(context: MethodContext) -> SpadeProfile:
    """The profile that a context names, `embedded` or `paper`; MethodError for another, or a size that does not fit."""
    height, width, labels = context.height, context.width, context.label_space.size
    # the authors' option `num_upsampling_layers` is "more" for Cityscapes and "normal" for all other data sets
    doublings = 6 if context.label_space.name == "cityscapes" else 5
    check_context(context, "spade", {"embedded": 16, "paper": 2**doublings})
    if context.profile == "embedded":
        return SpadeProfile(
            generator=embedded_config(height, width, labels),
            discriminator=embedded_discriminator(labels),
            batch_size=8,
            steps=3500,
            generator_rate=5e-4,
            discriminator_rate=1e-3,
        )
    cityscapes = doublings == 6
    return SpadeProfile(
        generator=paper_config(height, width, labels, doublings),
        discriminator=paper_discriminator(labels),
        batch_size=16 if cityscapes else 32,
        # 200 epochs of 2975 scenes with a falling rate in the second half; 100 epochs of 118,287 at a constant one
        steps=37_187 if cityscapes else 369_647,
        constant=0.5 if cityscapes else 1.0,
    )
