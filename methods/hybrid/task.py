"""The hybrid's training: SDM's, with thumbnails of several sizes beside the maps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.api.scenes import Scene
from methods.common.diffusion.task import DiffusionTask
from methods.hybrid.method import ROWS
from methods.hybrid.thumbnail import grow, shrink


class HybridTask(DiffusionTask):
    """Clean maps and quantised thumbnails, the number of rows drawn for each step."""

    def conditions(self) -> dict[str, Any]:
        """The maps, and the thumbnails' sizes."""
        return {**super().conditions(), "thumbnails": list(self._rows)}

    @property
    def _rows(self) -> tuple[int, ...]:
        """ROWS at 64 rows, in proportion at other sizes."""
        return tuple(rows * self.context.height // 64 for rows in ROWS)

    def training_maps(self, scene: Scene, generator: torch.Generator, step: int) -> Tensor:
        """With a thumbnail of a size by lot."""
        place = int(torch.randint(len(self._rows), (), generator=generator, device=generator.device))
        return self._conditioning(scene, self._rows[place])

    def sample_maps(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """With the middle size."""
        return self._conditioning(scene, self._rows[1])

    def _conditioning(self, scene: Scene, rows: int) -> Tensor:
        maps = super().sample_maps(scene, torch.Generator())
        return torch.cat([maps, grow(*shrink(scene.image, rows), *scene.image.shape[-2:]).to(maps.device)], dim=1)
