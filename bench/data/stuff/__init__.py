"""Pictogram scenes of our own with COCO-Stuff's labels: things on textured stuff."""

from .render import RENDERER_VERSION, SPLITS, RenderedScene, render_scene

__all__ = ["RENDERER_VERSION", "SPLITS", "RenderedScene", "render_scene"]
