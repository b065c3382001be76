"""SPADE as a method of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from methods.base import MethodContext
from methods.semantic.frontend import SemanticMethod
from methods.spade.network import SpadeGenerator
from methods.spade.profiles import profile_for
from methods.spade.task import SpadeTask
from methods.training.options import apply_options
from methods.training.task import TrainingTask
from methods.weights import file_digest, load_for_inference


class Spade(SemanticMethod):
    """Semantic image synthesis with spatially-adaptive normalisation (Park et al., CVPR 2019).

    As in the paper's comparison it gets all channels, noise on each, and no FDS block; it was trained on clean maps.
    """

    name: ClassVar[str] = "spade"
    title: ClassVar[str] = "SPADE"

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        """Build the profile's generator and load its weights; MethodError where there are none or they do not fit."""
        super().__init__(context, options)
        self.network, self.weights_path = load_for_inference(lambda: self.build_network(context), self.name, context)

    @classmethod
    def build_network(cls, context: MethodContext) -> nn.Module:
        """The generator of the context's profile, untrained, on the CPU."""
        return SpadeGenerator(profile_for(context).generator)

    def weights_digest(self) -> str | None:
        return file_digest(self.weights_path)

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        [profile] = apply_options(options or {}, cls.name, [profile_for(context)], fixed=("steps",))
        return SpadeTask(context, profile)

    @torch.inference_mode()
    def generate(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """One forward pass. The network has no random input, so `rngs` stay unused."""
        maps = maps.to(self.context.device).contiguous(memory_format=torch.channels_last)
        return ((self.network(maps) + 1) / 2).clamp(0, 1).cpu()
