"""What the GAN methods share as methods of the benchmark: one generator, one forward pass, and how it was trained."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar

from bench.api.errors import ImpossibleError, MethodError
from bench.api.lazy import torch
from bench.api.method import MethodContext
from bench.api.specs import apply_options
from bench.api.weights import Weights, weights_in_use
from methods.common.semantic.frontend import SemanticMethod

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.api.training.task import TrainingTask


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
    """MethodError for a profile that is none of `multiples`.

    ImpossibleError for sides that are not multiples of the profile's number there or are shorter than `smallest`.
    """
    if context.profile not in multiples:
        raise MethodError(f"{method} has no profile '{context.profile}'; known: {', '.join(multiples)}")
    multiple, sides = multiples[context.profile], (context.height, context.width)
    if any(side % multiple for side in sides) or min(sides) < smallest:
        least = f" of {smallest} or more" if smallest else ""
        raise ImpossibleError(
            f"{method} ({context.profile}) needs sides{least} that are multiples of {multiple}, "
            f"not {context.height}x{context.width}"
        )


@dataclass(frozen=True)
class PatchConfig:
    """`channels` of maps and picture together, `widths` of the layers at each scale, number of `scales`."""

    channels: int
    widths: tuple[int, ...]
    scales: int = 2


def patches(context: MethodContext) -> PatchConfig:
    """Two scales: the published ones of four layers from width 64, or embedded ones of three from 16."""
    widths = (64, 128, 256, 512) if context.profile == "paper" else (16, 32, 64)
    return PatchConfig(context.label_space.map_channels + 3, widths)


#: The training of the embedded profiles: a few thousand steps, at 5 and 2.5 times the rates of SPADE's authors.
EMBEDDED: dict[str, Any] = {"batch_size": 8, "steps": 3500, "generator_rate": 5e-4, "discriminator_rate": 1e-3}


class AdversarialMethod(SemanticMethod):
    """A generator behind the semantic front end.

    As in the paper's comparison it gets all channels, noise on each, and no FDS block; it was trained on clean maps.
    Subclasses give profiles, each with the configuration of a `generator`, and name the classes of network and training
    (`package.module:Class`), which are imported when they are first used. A generator with a latent says its shape, and
    is called with maps and latent.
    """

    #: Built from the configuration of the profile's generator.
    network_class: ClassVar[str]
    #: Built from context and profile.
    task_class: ClassVar[str]
    weights: Weights

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        """Find the weights; MethodError where there are none, or they say that they are for something else."""
        super().__init__(context, options)
        self.profile = self.profile_for(context)  # what is impossible is said before what is missing
        self.weights = weights_in_use(self.name, context)

    @cached_property
    def network(self) -> nn.Module:
        """The profile's generator with its weights; MethodError where they do not fit."""
        from bench.api.tensors import load_network

        return load_network(lambda: self.build_network(self.context), self.weights, self.context)

    def prepare(self) -> None:
        """Load the generator."""
        _ = self.network

    @classmethod
    @abstractmethod
    def profile_for(cls, context: MethodContext) -> AdversarialProfile:
        """The profile that a context names, `embedded` or `paper`; MethodError for another, or a size that is wrong."""

    @classmethod
    def build_network(cls, context: MethodContext) -> nn.Module:
        """The generator of the context's profile."""
        network: nn.Module = resolve_name(cls.network_class)(cls.profile_for(context).generator)  # type: ignore[attr-defined]
        return network

    def latent_shape(self) -> tuple[int, ...] | None:
        """Shape of one scene's latent, drawn from N(0, I), as the generator's configuration says; None without."""
        return getattr(self.profile.generator, "latent_shape", None)  # type: ignore[attr-defined]

    def conditioning(self, maps: Tensor) -> Tensor:
        """What the generator sees of received maps (B, C + E, H, W)."""
        return maps

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        """The task of `task_class`, by the profile with the options set."""
        [profile] = apply_options(options or {}, cls.name, [cls.profile_for(context)], fixed=("steps",))
        task: TrainingTask = resolve_name(cls.task_class)(context, profile)
        return task

    def generate(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """One forward pass; the latent of each scene, where there is one, is drawn from its own generator."""
        device = self.context.device
        inputs = [self.conditioning(maps).to(device).contiguous(memory_format=torch.channels_last)]
        shape = self.latent_shape()
        if shape is not None:
            inputs.append(torch.stack([torch.randn(shape, generator=rng) for rng in rngs]).to(device))
        with torch.inference_mode():
            result: Tensor = ((self.network(*inputs) + 1) / 2).clamp(0, 1).cpu()
            return result
