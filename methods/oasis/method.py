"""OASIS as a method of the benchmark: which networks at its two scales, and how they are trained."""

from dataclasses import dataclass
from typing import ClassVar

from bench.api.lazy import Tensor
from bench.api.method import MethodContext
from methods.common.gan.method import EMBEDDED, AdversarialMethod, AdversarialProfile, check_context

LATENT = 64  # channels of the noise, as published


@dataclass(frozen=True)
class OasisConfig:
    """A whole generator.

    `labels` ids, `seed` size (height, width), `widths` of the seed and of each block's output, `hidden` channels of
    each block's modulations, `kernel` side of their scale and shift. The size doubles before every block but the first.
    With `patch` p the last block works at 1/p of the picture's size, its modulations read the map at full size with
    stride p, and every one of its pixels becomes p x p pixels of the picture (not in the paper).
    """

    labels: int
    seed: tuple[int, int]
    widths: tuple[int, ...]
    hidden: tuple[int, ...]
    kernel: int = 3
    patch: int = 1

    @property
    def latent_shape(self) -> tuple[int]:
        """Shape of one scene's noise."""
        return (LATENT,)


def paper_config(height: int, width: int, labels: int, base: int = 64) -> OasisConfig:
    """The published network: six blocks, five doublings (35 labels: 71.1 M parameters; 151: 74.3 M; 183: 75.2 M)."""
    widths = tuple(base * m for m in (16, 16, 16, 8, 4, 2, 1))
    return OasisConfig(labels, (height // 32, width // 32), widths, (128,) * 6)


def embedded_config(height: int, width: int, labels: int) -> OasisConfig:
    """The small network that ships: four blocks, three doublings and 2x2 patches; scale and shift are 1x1."""
    deep = 192 if labels <= 64 else 128  # the file stays below 4 MB, for COCO-Stuff's 183 labels too
    widths = (deep, deep, 96, 32, 32)
    return OasisConfig(labels, (height // 16, width // 16), widths, (64, 64, 32, 24), kernel=1, patch=2)


@dataclass(frozen=True)
class OasisDiscriminatorConfig:
    """`labels` ids; `down` widths of the halving blocks, `up` widths of the doubling ones, as many.

    With `patch` p the network sees p x p pixels of the picture as one with 3 p^2 channels, and gives one answer for
    them (not in the paper).
    """

    labels: int
    down: tuple[int, ...]
    up: tuple[int, ...]
    patch: int = 1


def paper_discriminator(labels: int) -> OasisDiscriminatorConfig:
    """The published one: six blocks down, six up."""
    return OasisDiscriminatorConfig(labels, (128, 128, 256, 256, 512, 512), (512, 256, 256, 128, 128, 64))


def embedded_discriminator(labels: int) -> OasisDiscriminatorConfig:
    """The small one: four blocks down and four up on 2x2 patches."""
    return OasisDiscriminatorConfig(labels, (16, 32, 64, 64), (64, 32, 16, 16), patch=2)


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
    discriminator: OasisDiscriminatorConfig
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


class Oasis(AdversarialMethod):
    """You only need adversarial supervision for semantic image synthesis (Schönfeld et al., ICLR 2021).

    It has no edge channel. Each scene gets one noise vector, the same at every pixel.
    """

    name: ClassVar[str] = "oasis"
    title: ClassVar[str] = "OASIS"
    network_class: ClassVar[str] = "methods.oasis.network:OasisGenerator"
    task_class: ClassVar[str] = "methods.oasis.task:OasisTask"
    uses_edges: ClassVar[bool] = False

    @classmethod
    def profile_for(cls, context: MethodContext) -> OasisProfile:
        """Networks and training of the profile that a context names, `embedded` or `paper`."""
        height, width, labels = context.height, context.width, context.label_space.size
        check_context(context, cls.name, {"embedded": 16, "paper": 32})
        # Cityscapes declares no unknown label, but its id 0 is "unlabeled", and the authors leave it out
        ignore_first = context.label_space.unknown is not None or context.label_space.names[0] == "unlabeled"
        if context.profile == "embedded":
            return OasisProfile(
                generator=embedded_config(height, width, labels),
                discriminator=embedded_discriminator(labels),
                ignore_first=ignore_first,
                quick_start=True,
                **{**EMBEDDED, "generator_rate": 1e-3},
                perceptual_weight=10.0,
                perceptual_every=2,
                constant=0.5,
            )
        generator, discriminator = paper_config(height, width, labels), paper_discriminator(labels)
        if labels > 100:  # COCO-Stuff and ADE20K
            return OasisProfile(
                generator=generator,
                discriminator=discriminator,
                batch_size=32,
                # 200 epochs of 20,210 scenes; 100 of 118,287
                steps=126_200 if context.label_space.name == "ade20k" else 369_600,
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

    def conditioning(self, maps: Tensor) -> Tensor:
        """Unknown comes first in OASIS's channels."""
        from methods.oasis.network import label_order

        return maps[:, list(label_order(self.context.label_space))]
