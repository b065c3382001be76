"""OASIS as a method of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from methods.base import MethodContext
from methods.oasis.network import LATENT, OasisGenerator
from methods.oasis.profiles import label_order, profile_for
from methods.oasis.task import OasisTask
from methods.semantic.frontend import SemanticMethod
from methods.training.options import apply_options
from methods.training.task import TrainingTask
from methods.weights import file_digest, load_for_inference


class Oasis(SemanticMethod):
    """You only need adversarial supervision for semantic image synthesis (Schönfeld et al., ICLR 2021).

    As in the paper's comparison it gets all label channels, noise on each, and no FDS block; it was trained on clean
    maps. It has no edge channel. Each scene gets one noise vector, the same at every pixel.
    """

    name: ClassVar[str] = "oasis"
    title: ClassVar[str] = "OASIS"
    uses_edges: ClassVar[bool] = False

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        """Build the profile's generator and load its weights; MethodError where there are none or they do not fit."""
        super().__init__(context, options)
        self.order = list(label_order(context.label_space))
        self.network, self.weights_path = load_for_inference(lambda: self.build_network(context), self.name, context)

    @classmethod
    def build_network(cls, context: MethodContext) -> OasisGenerator:
        """The generator of the context's profile."""
        return OasisGenerator(profile_for(context).generator)

    def weights_digest(self) -> str | None:
        return file_digest(self.weights_path)

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        [profile] = apply_options(options or {}, cls.name, [profile_for(context)], fixed=("steps",))
        return OasisTask(context, profile)

    @torch.inference_mode()
    def generate(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """One forward pass; the noise vector of each scene is drawn from its own generator."""
        device = self.context.device
        noise = torch.stack([torch.randn(LATENT, generator=rng) for rng in rngs])
        maps = maps[:, self.order].to(device).contiguous(memory_format=torch.channels_last)
        return ((self.network(maps, noise.to(device)) + 1) / 2).clamp(0, 1).cpu()
