"""The reference of pure noise: what a metric says of pictures that show nothing at all.

The paper prints the word `noise` where a number is beyond measure, and does not define it. Here a value is that far
gone if it is at least as bad as the same metric's on as many pictures of uniform noise, of the same size, compared
with the same scenes. Every run measures that once a data set, with the machinery of its cells; the number stays in
the data, and only what tables print changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from bench.api.lazy import Tensor, torch
from bench.api.method import Method, Received, Transmission
from bench.api.names import PURE_NOISE
from bench.api.scenes import Scene


class PureNoise(Method):
    """Sends nothing and shows noise: every value of every pixel uniform in [0, 1), from the scene's own generator."""

    name: ClassVar[str] = PURE_NOISE
    title: ClassVar[str] = "Pure noise"

    def send(self, scene: Scene) -> Transmission:
        count = len(scene)
        return Transmission((torch.zeros(0),) * count, (b"",) * count, (0,) * count)

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        height, width = self.context.height, self.context.width
        return torch.stack([torch.rand((3, height, width), generator=rng) for rng in rngs])
