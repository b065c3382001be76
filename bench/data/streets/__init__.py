"""Driving scenes of our own: a deterministic street renderer with Cityscapes labels, instances and depth."""

from __future__ import annotations

from typing import ClassVar

from bench.api.scenes import SceneArrays
from bench.data.cityscapes import CITYSCAPES
from bench.data.rendered import RenderedSource


class Streets(RenderedSource):
    """Driving scenes of our own renderer with Cityscapes's 35 labels, instances (class * 1000 + k) and depth."""

    name = "streets"
    counterpart = "cityscapes"
    guidance = 2.0
    evaluators: ClassVar = dict.fromkeys(("segmenter", "detector", "depth"), ("streets",))
    label_space = CITYSCAPES
    default_size = (64, 128)

    def renderer_version(self) -> int:
        """The renderer's own."""
        from bench.data.streets.render import RENDERER_VERSION

        return RENDERER_VERSION

    def render(self, split: str, index: int, scene_id: str) -> SceneArrays:
        """A street, with depth."""
        from bench.data.streets.render import render_street

        scene = render_street(split, index, self.height, self.width)
        return SceneArrays(scene_id, scene.image, scene.labels, scene.instances, scene.depth)
