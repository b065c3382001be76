"""What the GAN methods share as methods of the benchmark: one generator, one forward pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.api.method import MethodContext
from bench.api.tensors import load_for_inference
from bench.api.training.options import apply_options
from bench.api.training.task import TrainingTask
from methods.common.gan.profile import AdversarialProfile
from methods.common.gan.task import AdversarialTask
from methods.common.semantic.frontend import SemanticMethod


class AdversarialMethod(SemanticMethod):
    """A generator behind the semantic front end.

    As in the paper's comparison it gets all channels, noise on each, and no FDS block; it was trained on clean maps.
    Subclasses name their profiles, their network (`build_network`) and their training; a generator with a latent says
    its shape, and is called with maps and latent.
    """

    #: the training of this method, built from (context, profile)
    task: ClassVar[type[AdversarialTask]]

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        """Build the profile's generator and load its weights; MethodError where there are none or they do not fit."""
        super().__init__(context, options)
        self.profile_for(context)  # what is impossible is said before what is missing
        self.network, self.weights = load_for_inference(lambda: self.build_network(context), self.name, context)

    @classmethod
    @abstractmethod
    def profile_for(cls, context: MethodContext) -> AdversarialProfile:
        """The profile that a context names; MethodError for an unknown one, or a size that does not fit."""

    def latent_shape(self) -> tuple[int, ...] | None:
        """Shape of one scene's latent, drawn from N(0, I); None for a generator without."""
        return None

    def conditioning(self, maps: Tensor) -> Tensor:
        """What the generator sees of received maps (B, C + E, H, W)."""
        return maps

    def weights_digest(self) -> str | None:
        return self.weights.sha256

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        [profile] = apply_options(options or {}, cls.name, [cls.profile_for(context)], fixed=("steps",))
        return cls.task(context, profile)  # type: ignore[call-arg, arg-type]  # subclasses build their own networks

    @torch.inference_mode()
    def generate(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """One forward pass; the latent of each scene, where there is one, is drawn from its own generator."""
        device = self.context.device
        inputs = [self.conditioning(maps).to(device).contiguous(memory_format=torch.channels_last)]
        shape = self.latent_shape()
        if shape is not None:
            inputs.append(torch.stack([torch.randn(shape, generator=rng) for rng in rngs]).to(device))
        return ((self.network(*inputs) + 1) / 2).clamp(0, 1).cpu()
