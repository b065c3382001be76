"""What every adversarial training has to be told, whatever the networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.api.method import ImpossibleError, MethodContext, MethodError


@dataclass(frozen=True, kw_only=True)
class AdversarialProfile:
    """Learning rates and loss weights of one training; methods extend it by their networks.

    The defaults are those of SPADE's authors (Park et al., CVPR 2019, section 4 and appendix A; SMIS's are the same):
    Adam with two learning rates; L_GAN + 10 L_FM + 10 L_P (+ 0.05 L_KL where there is an encoder). Different are the
    perceptual term (VGG16 up to relu3_1 with the weights `perceptual_layers`, see `VggFeatures`; a weight of 0 leaves
    the term out) and the generator's moving average of decay `ema`, which is what ships. `constant` is the share of the
    training at full learning rate; after that it falls linearly to zero.
    """

    batch_size: int
    steps: int
    generator_rate: float = 1e-4
    discriminator_rate: float = 4e-4
    betas: tuple[float, float] = (0.0, 0.9)
    matching_weight: float = 10.0
    perceptual_weight: float = 10.0
    perceptual_layers: tuple[float, ...] = (0.25, 0.5, 1.0)
    kl_weight: float = 0.05
    constant: float = 0.5
    ema: float = 0.999


def check_context(context: MethodContext, method: str, multiples: Mapping[str, int], smallest: int = 0) -> None:
    """MethodError for a profile that is none of `multiples`; ImpossibleError for sides that are not multiples of the
    profile's number there or are shorter than `smallest`."""
    if context.profile not in multiples:
        raise MethodError(f"{method} has no profile '{context.profile}'; known: {', '.join(multiples)}")
    multiple, sides = multiples[context.profile], (context.height, context.width)
    if any(side % multiple for side in sides) or min(sides) < smallest:
        least = f" of {smallest} or more" if smallest else ""
        raise ImpossibleError(
            f"{method} ({context.profile}) needs sides{least} that are multiples of {multiple}, "
            f"not {context.height}x{context.width}"
        )
