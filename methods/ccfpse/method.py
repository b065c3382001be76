"""CC-FPSE as a method of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from methods.base import MethodContext
from methods.ccfpse.network import CcFpseGenerator
from methods.ccfpse.profiles import profile_for
from methods.ccfpse.task import CcFpseTask
from methods.semantic.frontend import SemanticMethod
from methods.training.options import apply_options
from methods.training.task import TrainingTask
from methods.weights import file_digest, load_for_inference


class CcFpse(SemanticMethod):
    """Learning to predict layout-to-image conditional convolutions (Liu et al., NeurIPS 2019).

    As in the paper's comparison it gets all channels, noise on each, and no FDS block; it was trained on clean maps.
    The latent comes from the prior N(0, I), one draw a scene. The authors' test script instead encodes the latent from
    the true test image, which lends its pictures the true colours and lighting: published pictures and numbers are
    better than what any receiver, who has no image, can have from the same weights.
    """

    name: ClassVar[str] = "ccfpse"
    title: ClassVar[str] = "CC-FPSE"

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        """Build the profile's generator and load its weights; MethodError where there are none or they do not fit."""
        super().__init__(context, options)
        self.config = profile_for(context).generator
        self.network, self.weights_path = load_for_inference(lambda: self.build_network(context), self.name, context)

    @classmethod
    def build_network(cls, context: MethodContext) -> CcFpseGenerator:
        """The generator of the context's profile."""
        return CcFpseGenerator(profile_for(context).generator)

    def weights_digest(self) -> str | None:
        return file_digest(self.weights_path)

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        [profile] = apply_options(options or {}, cls.name, [profile_for(context)], fixed=("steps",))
        return CcFpseTask(context, profile)

    @torch.inference_mode()
    def generate(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """One forward pass; the latent of each scene is drawn from its own generator."""
        device = self.context.device
        latent = torch.stack([torch.randn(self.config.latent_shape, generator=rng) for rng in rngs])
        maps = maps.to(device).contiguous(memory_format=torch.channels_last)
        return ((self.network(maps, latent.to(device)) + 1) / 2).clamp(0, 1).cpu()
