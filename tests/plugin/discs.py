"""A data set in a package of its own: cars that are discs, on a road below the sky."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bench.api.scenes import LabelSpace, SceneArrays
from bench.data.rendered import RenderedSource

SKY, ROAD, CAR = range(3)


class Discs(RenderedSource):
    """Two or three discs a scene; scene `test-000012` is a function of its split, its number and the size."""

    name: ClassVar[str] = "discs"
    title: ClassVar[str] = "Discs"
    default_size: ClassVar[tuple[int, int]] = (32, 64)
    label_space: ClassVar[LabelSpace] = LabelSpace(
        name="discs",
        names=("sky", "road", "car"),
        palette=((70, 130, 180), (128, 64, 128), (0, 0, 142)),
        evaluated=(SKY, ROAD, CAR),
        things=(CAR,),
    )

    def renderer_version(self) -> int:
        """Bumped whenever scenes look different."""
        return 1

    def render(self, split: str, index: int, scene_id: str) -> SceneArrays:
        """Draw one scene."""
        rng = np.random.default_rng([self.splits.index(split), index])
        rows, columns = np.mgrid[: self.height, : self.width]
        labels = np.where(rows < self.height // 2, SKY, ROAD).astype(np.uint8)
        instances = np.zeros(labels.shape, np.int32)
        for number in range(rng.integers(2, 4)):
            row, column = rng.integers(self.height), rng.integers(self.width)
            disc = (rows - row) ** 2 + (columns - column) ** 2 < (self.height / 5) ** 2
            labels[disc], instances[disc] = CAR, 1000 + number
        shade = rng.integers(-20, 21, labels.shape)[..., None]
        image = np.clip(np.array(self.label_space.palette)[labels] + shade, 0, 255)
        return SceneArrays(scene_id, image.astype(np.uint8), labels, instances)
