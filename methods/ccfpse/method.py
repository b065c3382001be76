"""CC-FPSE as a method of the benchmark: which networks at its two scales, and how they are trained."""

from dataclasses import dataclass
from typing import ClassVar

from bench.api.method import MethodContext
from methods.common.gan.method import EMBEDDED, AdversarialMethod, AdversarialProfile, check_context

#: Label ids of Cityscapes; the authors give every other data set the shallower network.
CITYSCAPES_LABELS = 35


@dataclass(frozen=True)
class CcFpseBlockConfig:
    """One residual block: its widths, and what predicts its kernels.

    `upsample` doubles the size before it. `hidden` channels of the predicting networks, whose two convolutions have
    the sides `look` and `kernel` (3 and 3 as published).
    """

    name: str
    in_width: int
    out_width: int
    upsample: bool = True
    hidden: int = 128
    look: int = 3
    kernel: int = 3


@dataclass(frozen=True)
class CcFpseConfig:
    """A whole generator.

    `channels` of the semantic map (labels and edge); `latent` numbers of the latent; `seed` (height, width) of the
    first block; `pyramid` channels of each level of the label pyramid; `blocks` in order. `patch`: side of the square
    of pixels that each position of the last block paints (1 as published).
    """

    channels: int
    latent: int
    seed: tuple[int, int]
    pyramid: int
    blocks: tuple[CcFpseBlockConfig, ...]
    patch: int = 1

    @property
    def levels(self) -> int:
        """Levels of the label pyramid: one for each size at which blocks work."""
        return 1 + sum(block.upsample for block in self.blocks)

    @property
    def latent_shape(self) -> tuple[int]:
        """Shape of one scene's latent."""
        return (self.latent,)


def paper_config(height: int, width: int, channels: int, deep: bool, base: int = 64, latent: int = 256) -> CcFpseConfig:
    """The published networks: `deep` (six doublings) for Cityscapes, else five, as for COCO-Stuff; base width 64.

    The latent enters through a linear layer onto the whole seed, so that a checkpoint fits one picture size only.
    """
    names = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3")
    widths = [16 * base] * 4 + [8 * base, 4 * base, 2 * base, base]
    blocks = tuple(
        CcFpseBlockConfig(name, widths[i], widths[i + 1], upsample=i > 0 and (deep or name != "G_middle_1"))
        for i, name in enumerate(names)
    )
    shrink = 64 if deep else 32
    return CcFpseConfig(channels, latent, (height // shrink, width // shrink), base, blocks)


def embedded_config(height: int, width: int, channels: int) -> CcFpseConfig:
    """The small network that ships: four blocks, three doublings, for sides that are multiples of 16.

    Where it differs from the published ones besides width and depth: `patch` 2, so that nothing runs at full
    resolution, and the predictors of the two finest blocks have 1x1 convolutions (the pyramid, whose 3x3 convolutions
    have looked at the neighbours, is part of what they see).
    """
    blocks = (
        CcFpseBlockConfig("head_0", 128, 128, upsample=False, hidden=32),
        CcFpseBlockConfig("up_0", 128, 64, hidden=32, kernel=1),
        CcFpseBlockConfig("up_1", 64, 32, hidden=32, kernel=1),
        CcFpseBlockConfig("up_2", 32, 32, hidden=16, look=1, kernel=1),
    )
    return CcFpseConfig(channels, 64, (height // 16, width // 16), 16, blocks, patch=2)


@dataclass(frozen=True)
class CcFpseEncoderConfig:
    """`size` (height, width) that the image is resized to, `widths` of the layers of stride 2, `latent` numbers."""

    size: tuple[int, int]
    widths: tuple[int, ...]
    latent: int


def paper_encoder(base: int = 64, latent: int = 256) -> CcFpseEncoderConfig:
    """The published encoder: six layers on a 256x256 picture, whatever the image's shape."""
    return CcFpseEncoderConfig((256, 256), (base, 2 * base, 4 * base, 8 * base, 8 * base, 8 * base), latent)


def embedded_encoder(height: int, width: int, latent: int) -> CcFpseEncoderConfig:
    """The small encoder: three layers on a picture of half the size, for sides that are multiples of 16."""
    return CcFpseEncoderConfig((height // 2, width // 2), (16, 32, 64), latent)


@dataclass(frozen=True)
class CcFpseDiscriminatorConfig:
    """A whole discriminator.

    `channels` of the semantic map, `widths` of the encoding layers of stride 2, `pyramid` channels of the lateral
    layers, `features` channels of what is scored and compared with the embedding. Patches are scored at `scores` sizes,
    from a quarter of the picture's (the second encoding layer's) downwards.
    """

    channels: int
    widths: tuple[int, ...]
    pyramid: int
    features: int
    scores: int = 3


def paper_discriminator(channels: int, base: int = 64) -> CcFpseDiscriminatorConfig:
    """Five layers from width 64; scores at a quarter, an eighth and a sixteenth of the size."""
    return CcFpseDiscriminatorConfig(channels, (base, 2 * base, 4 * base, 8 * base, 8 * base), 4 * base, 2 * base)


def embedded_discriminator(channels: int) -> CcFpseDiscriminatorConfig:
    """The small one: four layers from width 16; scores at a quarter, an eighth and a sixteenth of the size."""
    return CcFpseDiscriminatorConfig(channels, (16, 32, 64, 64), 32, 32)


@dataclass(frozen=True, kw_only=True)
class CcFpseProfile(AdversarialProfile):
    """Networks, learning rates and loss weights of one training.

    The defaults are the authors': L_GAN + 20 L_FM + 10 L_P + 0.05 L_KL. `identity_start` begins with kernels that copy
    (see `start_as_identity`) instead of the authors' near-zero ones, and the embedded profile learns at 5 and 2.5 times
    the authors' rates: its whole training is a few thousand steps.
    """

    generator: CcFpseConfig
    encoder: CcFpseEncoderConfig
    discriminator: CcFpseDiscriminatorConfig
    matching_weight: float = 20.0
    identity_start: bool = False


class CcFpse(AdversarialMethod):
    """Learning to predict layout-to-image conditional convolutions (Liu et al., NeurIPS 2019).

    The latent comes from the prior N(0, I), one draw a scene. The authors' test script instead encodes the latent from
    the true test image, which lends its pictures the true colours and lighting: published pictures and numbers are
    better than what any receiver, who has no image, can have from the same weights.
    """

    name: ClassVar[str] = "ccfpse"
    title: ClassVar[str] = "CC-FPSE"
    network_class: ClassVar[str] = "methods.ccfpse.network:CcFpseGenerator"
    task_class: ClassVar[str] = "methods.ccfpse.network:CcFpseTask"
    profile: CcFpseProfile

    @classmethod
    def profile_for(cls, context: MethodContext) -> CcFpseProfile:
        """Networks and training of the profile that a context names, `embedded` or `paper`."""
        height, width, channels = context.height, context.width, context.label_space.map_channels
        check_context(context, cls.name, {"embedded": 16, "paper": 64}, smallest=32)
        if context.profile == "paper":
            deep = context.label_space.size == CITYSCAPES_LABELS
            generator = paper_config(height, width, channels, deep)
            return CcFpseProfile(
                generator=generator,
                encoder=paper_encoder(latent=generator.latent),
                discriminator=paper_discriminator(channels),
                batch_size=16,
                steps=37_000,  # 200 epochs of Cityscapes's 2975 scenes
            )
        generator = embedded_config(height, width, channels)
        return CcFpseProfile(
            generator=generator,
            encoder=embedded_encoder(height, width, generator.latent),
            discriminator=embedded_discriminator(channels),
            **EMBEDDED,
            identity_start=True,
        )
