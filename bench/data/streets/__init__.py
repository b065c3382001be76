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
    evaluators: ClassVar = {
        "segmenter": ("streets", "streets_wide"),
        "detector": ("streets",),
        "depth": ("streets",),
    }
    label_space = CITYSCAPES
    default_size = (64, 128)
    #: How much wider than those of `streets` the ranges are that a scene is drawn from.
    widened: ClassVar[float] = 1.0

    def renderer_version(self) -> int:
        """The renderer's own."""
        from bench.data.streets.render import RENDERER_VERSION

        return RENDERER_VERSION

    def render(self, split: str, index: int, scene_id: str) -> SceneArrays:
        """A street, with depth."""
        from bench.data.streets.render import render_street

        scene = render_street(split, index, self.height, self.width, self.widened)
        return SceneArrays(scene_id, scene.image, scene.labels, scene.instances, scene.depth)


class WideStreets(Streets):
    """Scenes of the same renderer with every random range 1.4 times as wide, and rarer things less rare.

    What the second segmenter of `streets` is trained on, so that its errors are not those of the first.
    """

    name = "streets_wide"
    evaluators: ClassVar = {"segmenter": ("streets_wide",)}
    widened: ClassVar[float] = 1.4
