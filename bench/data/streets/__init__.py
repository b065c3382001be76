"""Driving scenes of our own: a deterministic street renderer with Cityscapes labels, instances and depth."""

from .render import RENDERER_VERSION, SPLITS, Box, RenderedStreet, boxes_from_instances, render_street

__all__ = ["RENDERER_VERSION", "SPLITS", "Box", "RenderedStreet", "boxes_from_instances", "render_street"]
