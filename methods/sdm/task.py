"""SDM's training: clean maps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.api.scenes import Scene
from methods.common.diffusion.task import DiffusionTask
from methods.common.semantic.maps import scene_maps


class SdmTask(DiffusionTask):
    """Semantic diffusion on clean maps, then fine-tuning of the unconditional branch (Wang et al., section 3.3)."""

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "training_maps": "clean"}

    def training_maps(self, scene: Scene, generator: torch.Generator, step: int) -> Tensor:
        return self.sample_maps(scene, generator)

    def sample_maps(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Clean maps."""
        return scene_maps(scene, self.profile.edges)
