"""SMIS as a method of the benchmark: which networks at its two scales, and how they are trained."""

from dataclasses import dataclass
from typing import ClassVar

from bench.api.errors import ImpossibleError
from bench.api.method import MethodContext
from methods.common.gan.method import (
    EMBEDDED,
    AdversarialMethod,
    AdversarialProfile,
    PatchConfig,
    check_context,
    patches,
)

LATENT = 8  # latent channels a class, as published
#: Residual blocks of the published networks, in order.
BLOCKS = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3")


@dataclass(frozen=True)
class SmisBlockConfig:
    """One residual block: its widths, the groups of its convolutions and what its normalisation looks like.

    `hidden`, `map_groups`, `modulation_groups` and `kernel` are those of `methods.common.layers.ModulationConfig`; the
    labels are split into `map_groups` equal runs, each of which sees the edge channel where there is one. `upsample`
    doubles the size before it.
    """

    name: str
    in_width: int
    out_width: int
    groups: int
    hidden: int
    map_groups: int
    modulation_groups: int
    kernel: int = 3
    upsample: bool = True


@dataclass(frozen=True)
class SmisConfig:
    """A whole generator: label ids, seed size (height, width), blocks in order, whether maps have the edge channel."""

    labels: int
    seed: tuple[int, int]
    blocks: tuple[SmisBlockConfig, ...]
    edges: bool = True

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape of one scene's latent: eight channels a label at the seed's size."""
        return (self.labels * LATENT, *self.seed)


def paper_config(height: int, width: int, labels: int = 35, base: int = 280) -> SmisConfig:
    """The published Cityscapes network (base width 280: 76.5 M parameters; its grouping needs a multiple of 70).

    All three convolutions of a modulation have one group a label there, whatever the groups of the block, and the
    hidden width is labels x groups. Six doublings lead from the seed to the image, so the sides are multiples of 64.
    """
    widths = (16 * base, 16 * base, 16 * base, 16 * base, 8 * base, 4 * base, 2 * base, base)
    blocks = tuple(
        SmisBlockConfig(name, widths[i], widths[i + 1], groups, labels * groups, labels, labels, upsample=i > 0)
        for i, (name, groups) in enumerate(zip(BLOCKS, (35, 35, 20, 14, 10, 4, 1), strict=True))
    )
    return SmisConfig(labels, (height // 64, width // 64), blocks)


def ade20k_config(height: int, width: int, labels: int = 151, base: int = 64) -> SmisConfig:
    """The published ADE20K network, without edges (66.5 M parameters; its authors' file holds a block more, unused).

    Only the first block has a group a label. The maps' own convolutions have one throughout; scale and shift have the
    groups of the block, and the hidden width is what both numbers of groups divide. Six doublings, as for Cityscapes.
    """
    widths = (16 * labels, 16 * labels, 32 * base, 16 * base, 16 * base, 8 * base, 4 * base, 2 * base)
    blocks = tuple(
        SmisBlockConfig(
            name,
            widths[i],
            widths[i + 1],
            groups,
            labels * (groups if labels % groups else 2),
            labels,
            groups,
            upsample=i > 0,
        )
        for i, (name, groups) in enumerate(zip(BLOCKS, (labels, 16, 16, 8, 4, 2, 1), strict=True))
    )
    return SmisConfig(labels, (height // 64, width // 64), blocks, edges=False)


def embedded_config(height: int, width: int, labels: int = 35) -> SmisConfig:
    """The small network that ships: five blocks, four doublings, groups 35, 5, 4, 2, 1.

    Where it differs from the paper's besides width and depth: behind the first block the modulations have 5 groups and
    then 1 (the paper's keep one group a label), since convolutions with a channel or two a group are slow on a CPU, and
    their scale and shift are 1x1 convolutions.
    """
    blocks = (
        SmisBlockConfig("head_0", 16 * labels, 16 * labels, labels, 8 * labels, labels, labels, upsample=False),
        SmisBlockConfig("up_0", 16 * labels, 160, 5, 80, 5, 5, kernel=1),
        SmisBlockConfig("up_1", 160, 64, 4, 32, 1, 1, kernel=1),
        SmisBlockConfig("up_2", 64, 16, 2, 32, 1, 1, kernel=1),
        SmisBlockConfig("up_3", 16, 16, 1, 16, 1, 1, kernel=1),
    )
    return SmisConfig(labels, (height // 16, width // 16), blocks)


@dataclass(frozen=True)
class SmisEncoderConfig:
    """`labels` ids, `size` (height, width) that class regions are stretched to, channels a label of each layer."""

    labels: int
    size: tuple[int, int]
    widths: tuple[int, ...]

    @property
    def latent(self) -> int:
        """Channels of the latent."""
        return self.labels * LATENT


def paper_encoder(height: int, width: int, labels: int = 35) -> SmisEncoderConfig:
    """The published encoder for Cityscapes: regions at full size, six layers of stride 2."""
    return SmisEncoderConfig(labels, (height, width), (10, 20, 40, 80, 80, 80))


def ade20k_encoder(height: int, width: int, labels: int = 151) -> SmisEncoderConfig:
    """The published encoder for ADE20K: fewer channels a label."""
    return SmisEncoderConfig(labels, (height, width), (4, 8, 16, 32, 32, 32))


def embedded_encoder(height: int, width: int, labels: int = 35) -> SmisEncoderConfig:
    """The small encoder: regions at half size, three layers, so that the latent again has the seed's size."""
    return SmisEncoderConfig(labels, (height // 2, width // 2), (8, 16, 16))


@dataclass(frozen=True)
class SmisProfile(AdversarialProfile):
    """Networks, learning rates and loss weights of one training.

    The embedded profile learns at 5 and 2.5 times the authors' rates, because its whole training is a few thousand
    steps: after 300 of them classes had their own colours, which the published rates had not reached after 400.
    """

    generator: SmisConfig
    encoder: SmisEncoderConfig
    discriminator: PatchConfig


class Smis(AdversarialMethod):
    """Semantically multi-modal image synthesis (Zhu et al., CVPR 2020).

    The latent comes from the prior N(0, I): a receiver has no image to encode.
    """

    name: ClassVar[str] = "smis"
    title: ClassVar[str] = "SMIS"
    network_class: ClassVar[str] = "methods.smis.network:SmisGenerator"
    task_class: ClassVar[str] = "methods.smis.network:SmisTask"
    profile: SmisProfile

    @classmethod
    def profile_for(cls, context: MethodContext) -> SmisProfile:
        """Networks and training of the profile that a context names, `embedded` or `paper`."""
        height, width, labels = context.height, context.width, context.label_space.size
        check_context(context, cls.name, {"embedded": 16, "paper": 64})
        if context.profile == "paper" and context.label_space.name == "ade20k":
            return SmisProfile(
                ade20k_config(height, width, labels),
                ade20k_encoder(height, width, labels),
                patches(context),
                batch_size=4,
                steps=1_010_500,  # 200 epochs of 20,210 scenes
            )
        if labels % 35:
            raise ImpossibleError(
                "smis groups its channels for the 35 label ids of Cityscapes and streets; "
                f"{context.dataset} has {labels}"
            )
        if context.profile == "paper":
            return SmisProfile(
                paper_config(height, width, labels),
                paper_encoder(height, width, labels),
                patches(context),
                batch_size=4,
                steps=148_750,  # 200 epochs of 2975 scenes
            )
        return SmisProfile(
            embedded_config(height, width, labels),
            embedded_encoder(height, width, labels),
            patches(context),
            **EMBEDDED,
        )
