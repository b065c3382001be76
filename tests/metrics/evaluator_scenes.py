"""Scenes that the tests of the embedded evaluators train and measure on."""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace

import torch

from bench.api.scenes import Scene, stack
from bench.data.streets_source import Streets


class Blocks:
    """Scenes of (32, 32): two bright blocks, a car and a person, on a dark ground; what is lower is nearer."""

    size = (32, 32)

    def __init__(self, count: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.full((count, *self.size), 7)
        self.instances = torch.zeros(count, *self.size, dtype=torch.int32)
        self.depth = torch.linspace(40, 4, 32)[None, :, None].expand(count, *self.size).contiguous()
        self.image = 0.2 * torch.rand(count, 3, *self.size, generator=generator)
        for scene in range(count):
            x, y, other_x, other_y = torch.randint(0, 8, (4,), generator=generator).tolist()
            self._add(scene, 26, (x, y, x + 8, y + 6), (1.0, 0.3, 0.3))
            self._add(scene, 24, (16 + other_x, 16 + other_y, 20 + other_x, 24 + other_y), (0.3, 0.3, 1.0))

    def _add(self, scene: int, label: int, box: tuple[int, int, int, int], colour: tuple[float, ...]) -> None:
        x0, y0, x1, y1 = box
        self.labels[scene, y0:y1, x0:x1] = label
        self.instances[scene, y0:y1, x0:x1] = label * 1000
        self.image[scene, :, y0:y1, x0:x1] = torch.tensor(colour)[:, None, None]

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices):
        rows = list(indices)
        names = ("image", "labels", "instances", "depth")
        return SimpleNamespace(**{name: getattr(self, name)[rows] for name in names})


class Rendered:
    """The first test scenes of `streets`."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def batch(self, indices) -> Scene:
        return stack([_rendered(index) for index in indices], Streets.label_space)


@lru_cache(maxsize=64)
def _rendered(index: int):
    return Streets().load("test", f"test-{index:06d}")
