"""Rendering a scene of a split at a size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .camera import Floats, PixelGrid
from .classes import FIRST_THING
from .raster import rasterise
from .shading import shade
from .world import sample_world

if TYPE_CHECKING:
    from numpy.typing import NDArray

RENDERER_VERSION: int = 1
"""Part of every scene's seed and of the data's identity: raise it when any pixel may change."""
SPLITS = ("train", "val", "test")
SUPERSAMPLE = 2
MIN_SIDE = 16
_SPLIT_WORDS = {"train": 0x7261, "val": 0x7661, "test": 0x7465}
_WORLD_STREAM, _SENSOR_STREAM = 0, 1


@dataclass(frozen=True)
class RenderedStreet:
    """One scene. All arrays come from the same sub-pixels: see `render_street`."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    labels: NDArray[np.uint8]
    """(H, W) Cityscapes label ids."""
    instances: NDArray[np.int32]
    """(H, W) label * 1000 + k on things (ids 24 to 33), 0 elsewhere."""
    depth: NDArray[np.float32]
    """(H, W) metres along the optical axis; the sky has raster.SKY_DEPTH_M (1000)."""


@dataclass(frozen=True)
class Box:
    """The visible extent of one instance in pixels; x1 and y1 are exclusive."""

    label: int
    instance: int
    x0: int
    y0: int
    x1: int
    y1: int


def render_street(split: str, index: int, height: int = 64, width: int = 128, widened: float = 1.0) -> RenderedStreet:
    """Scene `index` of `split`: a pure function of its arguments and RENDERER_VERSION; `widened` as in `Draws`.

    The world does not depend on the size. The vertical field of view is fixed; a wider image sees more to the
    sides. Each image pixel is the mean of 2 x 2 sub-pixels. Label, instance and depth of a pixel are those of
    one of its sub-pixels: of those whose label or instance most of the four share, the nearest one.
    """
    if split not in _SPLIT_WORDS:
        raise ValueError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
    if index < 0:
        raise ValueError(f"scene index must be 0 or more, got {index}")
    if height < MIN_SIDE or width < MIN_SIDE:
        raise ValueError(f"size must be at least {MIN_SIDE} x {MIN_SIDE} pixels, got {height} x {width}")
    world = sample_world(_generator(split, index, _WORLD_STREAM, widened), widened)
    grid = PixelGrid(height, width, SUPERSAMPLE)
    ids, faces = rasterise(world.scene, world.camera, grid)
    shaded = shade(ids, faces, world.scene, world.street, world.light, world.camera, grid)

    colour = shaded.colour.reshape(height, SUPERSAMPLE, width, SUPERSAMPLE * 3)
    colour = colour.sum(axis=1).reshape(height, width, SUPERSAMPLE, 3).sum(axis=2) / SUPERSAMPLE**2
    sensor = _generator(split, index, _SENSOR_STREAM, widened).standard_normal(colour.shape, dtype=np.float32)
    colour += world.light.noise * sensor
    image = np.clip(colour * 255 + 0.5, 0, 255).astype(np.uint8)

    key, depth = _majority(shaded.key, shaded.depth)
    things = key >= FIRST_THING * 1000
    labels = np.where(things, key // 1000, key).astype(np.uint8)
    return RenderedStreet(image, labels, np.where(things, key, 0).astype(np.int32), depth)


def _generator(split: str, index: int, stream: int, widened: float) -> np.random.Generator:
    words = [RENDERER_VERSION, _SPLIT_WORDS[split], index, stream]
    if widened != 1:  # no scene of the usual ranges has its twin among the widened
        words.append(round(1000 * widened))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def _majority(key: NDArray[np.int32], depth: Floats) -> tuple[NDArray[np.int32], Floats]:
    """Key and depth (H, W) of one chosen sub-pixel of each 2 x 2: the commonest key, then the nearest."""
    corners = [(i, j) for i in range(SUPERSAMPLE) for j in range(SUPERSAMPLE)]
    keys = np.stack([key[i::SUPERSAMPLE, j::SUPERSAMPLE] for i, j in corners])
    depths = np.stack([depth[i::SUPERSAMPLE, j::SUPERSAMPLE] for i, j in corners])
    votes = (keys[:, None] == keys[None]).sum(axis=0).astype(np.float32)
    # Depths stay below 1001 m, so the division keeps them behind a whole vote.
    best = np.argmax(votes - depths * np.float32(1 / 2000), axis=0)[None]
    return np.take_along_axis(keys, best, axis=0)[0], np.take_along_axis(depths, best, axis=0)[0]


def boxes_from_instances(instances: NDArray[np.int32]) -> list[Box]:
    """The box of each instance's visible pixels, by rising instance id."""
    boxes: list[Box] = []
    for value in np.unique(instances[instances > 0]):
        rows, columns = np.nonzero(instances == value)
        boxes.append(
            Box(
                int(value) // 1000,
                int(value),
                int(columns.min()),
                int(rows.min()),
                int(columns.max()) + 1,
                int(rows.max()) + 1,
            )
        )
    return boxes
