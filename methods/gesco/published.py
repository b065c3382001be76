"""GESCO as its authors' published code trains it, which is not what the paper describes.

Two variants, for checkpoints made with that code (ispamm/GESCO at 3008010) and for pictures like the published ones:

- `gesco_published`: the training script with `--add_noise` and one-hot labels. One noise map for all channels of a
  scene, levels without 0.9, L_d alone, no null label.
- `gesco_labels`: the README's command as it stands. It loses its one-hot option on the way, so that the network is
  conditioned on two channels, the label id and the edges; it adds no noise either.

In both the variance channels get no gradient, so they are sampled with a fixed variance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.api.method import MethodContext
from bench.api.scenes import Scene
from bench.api.training.task import TrainingTask
from methods.common.diffusion.profile import DiffusionProfile
from methods.common.diffusion.task import DiffusionTask, configured
from methods.common.semantic.maps import scene_maps
from methods.gesco.method import Gesco
from methods.gesco.task import PUBLISHED_LEVELS, with_broadcast_noise


def label_values(maps: Tensor) -> Tensor:
    """The two channels of a network on label ids: (B, C + 1, H, W) received maps -> (B, 2, H, W) [id, edges].

    The id of a pixel is that of the strongest map, among those that were sent: a map that is zero everywhere was
    dropped. For clean maps it is the label itself. (How the published code would receive such maps is not known: its
    sampling script has 36 channels.)
    """
    classes, edges = maps[:, :-1], maps[:, -1:]
    dropped = classes.abs().amax(dim=(2, 3), keepdim=True) == 0
    strongest = classes.masked_fill(dropped, -torch.inf).argmax(dim=1, keepdim=True)
    return torch.cat([strongest.to(maps.dtype), edges], dim=1)


class PublishedTask(DiffusionTask):
    """Semantic diffusion on maps with broadcast noise of one level a batch."""

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "noise": "broadcast, one level a batch", "noise_levels": list(PUBLISHED_LEVELS)}

    def training_maps(self, scene: Scene, generator: torch.Generator, step: int) -> Tensor:
        """Clean maps with the published noise."""
        maps = self.sample_maps(scene, generator)
        device = maps.device
        level = PUBLISHED_LEVELS[int(torch.randint(len(PUBLISHED_LEVELS), (), generator=generator, device=device))]
        noise = torch.randn((len(maps), 1, *maps.shape[2:]), generator=generator, device=device)
        return with_broadcast_noise(maps, torch.full((len(maps),), level, device=device), noise)

    def sample_maps(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Clean maps."""
        return scene_maps(scene, self.profile.edges)


class LabelsTask(DiffusionTask):
    """Semantic diffusion on clean label ids and edges."""

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "conditioning": "label ids and edges"}

    def training_maps(self, scene: Scene, generator: torch.Generator, step: int) -> Tensor:
        return self.sample_maps(scene, generator)

    def sample_maps(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Clean label ids and edges, (B, 2, H, W)."""
        return label_values(scene_maps(scene, self.profile.edges))


class GescoPublished(Gesco):
    """GESCO trained as the published code does with `--add_noise` and one-hot labels."""

    name: ClassVar[str] = "gesco_published"
    title: ClassVar[str] = "GESCO, published training"
    variant_of: ClassVar[str | None] = "gesco"

    @classmethod
    def profile_for(cls, context: MethodContext) -> DiffusionProfile:
        """Trained and, at paper size, sampled as published: all 1000 ancestral steps."""
        profile = replace(super().profile_for(context), drop_rate=0.0, kl_weight=0.0, variance="fixed_small")
        return replace(profile, sampler="ancestral", sampling_steps=1000) if context.profile == "paper" else profile

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        return PublishedTask(context, configured(cls.profile_for(context), options or {}, cls.name)[0])


class GescoOnLabels(GescoPublished):
    """GESCO conditioned on label ids instead of one-hot maps: what the README's training command makes.

    The sender is GESCO's, one map a class; the receiver decides for the strongest map before it generates.
    """

    name: ClassVar[str] = "gesco_labels"
    title: ClassVar[str] = "GESCO on label ids"

    @classmethod
    def profile_for(cls, context: MethodContext) -> DiffusionProfile:
        profile = super().profile_for(context)
        return replace(profile, network=replace(profile.network, map_channels=2))

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        return LabelsTask(context, configured(cls.profile_for(context), options or {}, cls.name)[0])

    def generate(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        return super().generate(label_values(maps), rngs)
