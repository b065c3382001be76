"""GESCO's training: noisy maps (paper section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from methods.base import MethodContext, Scene
from methods.diffusion.profile import DiffusionProfile
from methods.diffusion.task import DiffusionTask
from methods.semantic.fds import fast_denoise
from methods.semantic.maps import scene_maps

#: The paper's seven levels (section 3.3), as standard deviations like the authors' code uses them.
NOISE_LEVELS = (0.9, 0.6, 0.36, 0.22, 0.13, 0.05, 0.0)
#: "weighting perfect channel conditions higher": the published list names zero three times in nine draws.
NOISE_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0)


def draw_noise_levels(
    count: int,
    generator: torch.Generator,
    levels: Sequence[float] = NOISE_LEVELS,
    weights: Sequence[float] = NOISE_WEIGHTS,
) -> Tensor:
    """One standard deviation a sample (count,), PSNR 100 weighted higher."""
    index = torch.multinomial(torch.tensor(weights), count, replacement=True, generator=generator)
    return torch.tensor(levels)[index]


def corrupted_maps(maps: Tensor, sigma: Tensor, generator: torch.Generator, behind_fds: bool) -> Tensor:
    """What GESCO's receiver would see of clean maps (B, C + 1, H, W), the last channel being the edges.

    Noise of standard deviation `sigma` (B,), independent per channel, on the channels that the sender keeps (classes
    present in the scene, and the edges); the others stay zero. With `behind_fds` the FDS block follows, as at the
    receiver.
    """
    kept = (maps.amax(dim=(2, 3), keepdim=True) > 0).float()
    kept[:, -1] = 1.0
    noise = torch.randn(maps.shape, generator=generator)
    received = maps + sigma[:, None, None, None] * noise * kept
    return fast_denoise(received) * kept if behind_fds else received


class GescoTask(DiffusionTask):
    """Semantic diffusion on noisy maps."""

    def __init__(self, context: MethodContext, profile: DiffusionProfile, behind_fds_from: float | None = None) -> None:
        """`behind_fds_from`: the share of the steps from which the FDS block stands in front of the network in training
        too (the `gesco_fdstrain` recipe); None: never, which is the paper's."""
        super().__init__(context, profile)
        self.behind_fds_from = behind_fds_from

    def recipe(self) -> dict[str, Any]:
        return {
            **super().recipe(),
            "noise_levels": list(NOISE_LEVELS),
            "noise_weights": list(NOISE_WEIGHTS),
            "behind_fds_from": self.behind_fds_from,
        }

    def training_maps(self, scene: Scene, generator: torch.Generator, step: int) -> Tensor:
        """Received maps, PSNR drawn per scene."""
        maps = scene_maps(scene, self.profile.edges)
        behind_fds = self.behind_fds_from is not None and step >= self.behind_fds_from * self.steps
        return corrupted_maps(maps, draw_noise_levels(len(scene), generator), generator, behind_fds)

    def sample_maps(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Clean maps, behind FDS where the recipe trains so."""
        clean = scene_maps(scene, self.profile.edges)
        return corrupted_maps(clean, torch.zeros(len(scene)), generator, self.behind_fds_from is not None)
