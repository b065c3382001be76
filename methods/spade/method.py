"""SPADE as a method of the benchmark: which networks at its two scales, and how they are trained."""

from dataclasses import dataclass
from typing import ClassVar

from bench.api.method import MethodContext
from methods.common.gan.method import (
    EMBEDDED,
    AdversarialMethod,
    AdversarialProfile,
    PatchConfig,
    check_context,
    patches,
)


@dataclass(frozen=True)
class SpadeBlockConfig:
    """One residual block: its widths and what its normalisation looks like.

    `hidden`, `kernel` and `stride` are those of `methods.common.layers.ModulationConfig`; `upsample` doubles the size
    before it.
    """

    name: str
    in_width: int
    out_width: int
    hidden: int
    kernel: int = 3
    stride: int = 1
    upsample: bool = True


@dataclass(frozen=True)
class SpadeConfig:
    """A whole generator: label ids, seed size (height, width) and blocks in order.

    The last convolution gives `patch` x `patch` pixels of the picture for each of its own. `edges`: whether the maps
    have the edge channel.
    """

    labels: int
    seed: tuple[int, int]
    blocks: tuple[SpadeBlockConfig, ...]
    patch: int = 1
    edges: bool = True


def paper_config(
    height: int, width: int, labels: int, doublings: int, base: int = 64, edges: bool = True
) -> SpadeConfig:
    """The published network: six doublings for Cityscapes (93.0 M parameters), else five (COCO-Stuff: 97.5 M).

    The sides are multiples of 2 to the power of `doublings`. The authors call six of them "more", five "normal".
    """
    widths = (16 * base, 16 * base, 16 * base, 16 * base, 8 * base, 4 * base, 2 * base, base)
    upsample = {"head_0": False, "G_middle_0": True, "G_middle_1": doublings == 6}
    names = (*upsample, "up_0", "up_1", "up_2", "up_3")
    blocks = tuple(
        SpadeBlockConfig(name, widths[i], widths[i + 1], 128, upsample=upsample.get(name, True))
        for i, name in enumerate(names)
    )
    return SpadeConfig(labels, (height >> doublings, width >> doublings), blocks, edges=edges)


def embedded_config(height: int, width: int, labels: int, edges: bool = True) -> SpadeConfig:
    """The small network that ships: four blocks, four doublings, the last block at half the picture's size.

    Where it differs from the paper's besides width and depth: no block works at full size, the last convolution gives
    2x2 pixels instead, and the last block's modulations read the map at full size with stride 2, so that outlines
    keep their place to the pixel. Scale and shift are 1x1 convolutions. With many labels, where the convolutions of the
    map are a large share of the weights, the rest is narrower: the file stays under 4 MB.
    """
    first, hidden = (192, 64) if labels <= 64 else (160, 32)
    blocks = (
        SpadeBlockConfig("head_0", first, first, hidden, kernel=1, upsample=False),
        SpadeBlockConfig("up_0", first, 128, hidden, kernel=1),
        SpadeBlockConfig("up_1", 128, 32, 32, kernel=1),
        SpadeBlockConfig("up_2", 32, 32, 32, kernel=1, stride=2),
    )
    return SpadeConfig(labels, (height // 16, width // 16), blocks, patch=2, edges=edges)


@dataclass(frozen=True, kw_only=True)
class SpadeProfile(AdversarialProfile):
    """Networks, learning rates and loss weights of one training.

    There is no encoder, and so no KL term: the published Cityscapes and COCO-Stuff networks have none either. The
    embedded profile's learning rates are those of SMIS's embedded profile, 5 and 2.5 times the authors'.
    """

    generator: SpadeConfig
    discriminator: PatchConfig
    kl_weight: float = 0.0


class Spade(AdversarialMethod):
    """Semantic image synthesis with spatially-adaptive normalisation (Park et al., CVPR 2019).

    The published networks have no latent, so nothing is random at the receiver.
    """

    name: ClassVar[str] = "spade"
    title: ClassVar[str] = "SPADE"
    network_class: ClassVar[str] = "methods.spade.network:SpadeGenerator"
    task_class: ClassVar[str] = "methods.spade.network:SpadeTask"
    profile: SpadeProfile

    @classmethod
    def profile_for(cls, context: MethodContext) -> SpadeProfile:
        """Networks and training of the profile that a context names, `embedded` or `paper`."""
        height, width, space = context.height, context.width, context.label_space
        # the authors' option `num_upsampling_layers` is "more" for Cityscapes and "normal" for all other data sets
        doublings = 6 if space.name == "cityscapes" else 5
        check_context(context, cls.name, {"embedded": 16, "paper": 2**doublings})
        if context.profile == "embedded":
            return SpadeProfile(
                generator=embedded_config(height, width, space.size, space.edges),
                discriminator=patches(context),
                **EMBEDDED,
            )
        # 200 epochs of 2975 or 20,210 scenes with a falling rate in the second half; 100 of 118,287 at a constant one
        published = {"cityscapes": (16, 37_187, 0.5), "ade20k": (32, 126_312, 0.5)}
        batch_size, steps, constant = published.get(space.name, (32, 369_647, 1.0))
        return SpadeProfile(
            generator=paper_config(height, width, space.size, doublings, edges=space.edges),
            discriminator=patches(context),
            batch_size=batch_size,
            steps=steps,
            constant=constant,
        )
