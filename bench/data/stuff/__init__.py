"""Pictogram scenes of our own with COCO-Stuff's labels: things on textured stuff."""

from __future__ import annotations

from typing import ClassVar

from bench.api.scenes import SceneArrays
from bench.data.coco_stuff import COCO_STUFF
from bench.data.rendered import RenderedSource


class Stuff(RenderedSource):
    """Pictograms on textured grounds with COCO-Stuff's 182 labels and 182 for unlabelled pixels.

    Instances are 1000 + k, as from COCO-Stuff's polygons. The eleven classes that COCO removed do not occur, as in
    COCO-Stuff; there is no depth.
    """

    name = "stuff"
    counterpart = "coco_stuff"
    guidance = 2.5
    evaluators: ClassVar = {"segmenter": ("stuff",)}
    label_space = COCO_STUFF
    default_size = (64, 64)

    def renderer_version(self) -> int:
        """The renderer's own."""
        from bench.data.stuff.render import RENDERER_VERSION

        return RENDERER_VERSION

    def render(self, split: str, index: int, scene_id: str) -> SceneArrays:
        """Pictograms, without depth."""
        from bench.data.stuff.render import render_scene

        scene = render_scene(split, index, self.height, self.width)
        return SceneArrays(scene_id, scene.image, scene.labels, scene.instances)
