"""OASIS's two scales: which networks, and how they are trained."""

from __future__ import annotations

from dataclasses import dataclass

from bench.api.method import MethodContext
from bench.api.scenes import LabelSpace
from methods.common.gan.profile import AdversarialProfile, check_context
from methods.oasis.discriminator import DiscriminatorConfig, embedded_discriminator, paper_discriminator
from methods.oasis.network import OasisConfig, embedded_config, paper_config


@dataclass(frozen=True, kw_only=True)
class OasisProfile(AdversarialProfile):
    """Networks, learning rates and loss weights of one training.

    The defaults are the authors' for Cityscapes: Adam with momentum 0 and 0.999, LabelMix of weight `mix_weight`, no
    perceptual loss, no feature matching, constant rates. `ignore_first` gives label 0 (unlabelled) no weight. A
    perceptual loss looks at one picture of `perceptual_every` of a batch. `quick_start` replaces the authors' initial
    weights by those of `methods.oasis.task.initialise_quickly`.

    The embedded profile learns at 2.5 times the authors' rates, falling to zero, and has the perceptual loss, an option
    of the paper's: its whole training is a few thousand steps. After 50 of them trees, sky and roads had their colours;
    without it they had none.
    """

    generator: OasisConfig
    discriminator: DiscriminatorConfig
    ignore_first: bool
    quick_start: bool = False
    mix_weight: float = 5.0
    generator_rate: float = 4e-4
    betas: tuple[float, float] = (0.0, 0.999)
    matching_weight: float = 0.0
    perceptual_weight: float = 0.0
    perceptual_every: int = 1
    kl_weight: float = 0.0
    constant: float = 1.0


def label_order(space: LabelSpace) -> tuple[int, ...]:
    """Which label id each input channel shows: as published, unknown comes first (COCO-Stuff's 182 is channel 0)."""
    ids = tuple(range(space.size))
    return ids if space.unknown is None else (space.unknown, *(i for i in ids if i != space.unknown))


def profile_for(context: MethodContext) -> OasisProfile:
    """The profile that a context names, `embedded` or `paper`; MethodError for another, or a size that does not fit."""
    height, width, labels = context.height, context.width, context.label_space.size
    check_context(context, "oasis", {"embedded": 16, "paper": 32})
    # Cityscapes declares no unknown label, but its id 0 is "unlabeled", and the authors leave it out
    ignore_first = context.label_space.unknown is not None or context.label_space.names[0] == "unlabeled"
    if context.profile == "embedded":
        return OasisProfile(
            generator=embedded_config(height, width, labels),
            discriminator=embedded_discriminator(labels),
            batch_size=8,
            steps=3500,
            ignore_first=ignore_first,
            quick_start=True,
            generator_rate=1e-3,
            discriminator_rate=1e-3,
            perceptual_weight=10.0,
            perceptual_every=2,
            constant=0.5,
        )
    generator, discriminator = paper_config(height, width, labels), paper_discriminator(labels)
    if labels > 100:  # COCO-Stuff
        return OasisProfile(
            generator=generator,
            discriminator=discriminator,
            batch_size=32,
            steps=369_600,  # 100 epochs of 118,287 scenes
            ignore_first=ignore_first,
            generator_rate=1e-4,
            mix_weight=10.0,
            ema=0.9999,
        )
    return OasisProfile(
        generator=generator,
        discriminator=discriminator,
        batch_size=20,
        steps=29_700,  # 200 epochs of 2975 scenes
        ignore_first=ignore_first,
    )
