"""Rendering a scene of a split at a size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .patterns import PATTERNS
from .world import SHADES, Light, Region, Thing, World, sample_world

if TYPE_CHECKING:
    from numpy.typing import NDArray

RENDERER_VERSION: int = 1
"""Part of every scene's seed and of the data's identity: raise it when any pixel may change."""
SPLITS = ("train", "val", "test")
FIRST_INSTANCE = 1000
SUPERSAMPLE = 2
MIN_SIDE = 16
_SPLIT_WORDS = {"train": 0x7261, "val": 0x7661, "test": 0x7465}
_WORLD_STREAM, _SENSOR_STREAM = 0, 1
_SHIFT = 4  # fractional bits of OpenCV's coordinates
_OUTLINE = 0.024  # width of a thing's outline in picture heights; half of it lies outside the parts


@dataclass(frozen=True)
class RenderedScene:
    """A picture and what it shows.

    `image` (H, W, 3) uint8 RGB; `labels` (H, W) uint8, COCO-Stuff's ids with 182 for unlabelled pixels; `instances`
    (H, W) int32, 1000 + k on things (labels below 91), k counting from the back, 0 elsewhere.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    instances: NDArray[np.int32]


def render_scene(split: str, index: int, height: int = 64, width: int = 64) -> RenderedScene:
    """Scene `index` of `split`: a pure function of its arguments and RENDERER_VERSION.

    The world is a unit square that does not depend on the size; a picture that is not square is stretched. Each image
    pixel is the mean of 2 x 2 sub-pixels; its label and instance are those of most of them, of equals the nearer.
    """
    if split not in _SPLIT_WORDS:
        raise ValueError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
    if index < 0:
        raise ValueError(f"scene index must be 0 or more, got {index}")
    if height < MIN_SIDE or width < MIN_SIDE:
        raise ValueError(f"size must be at least {MIN_SIDE} x {MIN_SIDE} pixels, got {height} x {width}")
    world = sample_world(_generator(split, index, _WORLD_STREAM))
    canvas, layers = _paint(world, height * SUPERSAMPLE, width * SUPERSAMPLE)

    colour = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    sensor = _generator(split, index, _SENSOR_STREAM).standard_normal(colour.shape, dtype=np.float32)
    colour = _lit(colour, world.light) + world.light.noise * 255 * sensor
    image = np.clip(colour + 0.5, 0, 255).astype(np.uint8)

    layer = _majority(layers)
    labels_of = [*(region.label for region in world.regions), *(thing.label for thing in world.things)]
    labels = np.array(labels_of, np.uint8)[layer]
    nothing = len(world.regions)
    instances = np.where(layer < nothing, 0, layer.astype(np.int32) + (FIRST_INSTANCE - nothing)).astype(np.int32)
    return RenderedScene(image, labels, instances)


def _generator(split: str, index: int, stream: int) -> np.random.Generator:
    seed = np.random.SeedSequence([0x5755FF, RENDERER_VERSION, _SPLIT_WORDS[split], index, stream])
    return np.random.Generator(np.random.PCG64(seed))


def _paint(world: World, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The picture (h, w, 3), and the number of the region or thing that each sub-pixel (h, w) shows."""
    layers = np.zeros((height, width), np.uint8)
    for number, region in enumerate(world.regions):
        if region.outline is not None:
            cv2.fillPoly(layers, [_fixed(region.outline, height, width)], number, shift=_SHIFT)
    canvas = np.empty((height, width, 3), np.uint8)
    for number, region in enumerate(world.regions):
        _texture(canvas, layers == number, region)
    for number, thing in enumerate(world.things, len(world.regions)):
        _draw(canvas, layers, number, thing)
    return canvas, layers


def _fixed(points: NDArray[np.floating], height: int, width: int) -> NDArray[np.int32]:
    """Unit-square points as OpenCV's fixed-point pixel coordinates."""
    return ((points * np.array([width, height], np.float32) - 0.5) * (1 << _SHIFT) + 0.5).astype(np.int32)


def _texture(canvas: NDArray[np.uint8], mask: NDArray[np.bool_], region: Region) -> None:
    """Paint a region's texture where the mask is set."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    height, width = mask.shape
    y = (np.arange(height, dtype=np.float32)[window[0], None] + 0.5) / height - region.origin[1]
    x = (np.arange(width, dtype=np.float32)[None, window[1]] + 0.5) / width - region.origin[0]
    c, s = np.float32(np.cos(region.angle) / region.period), np.float32(np.sin(region.angle) / region.period)
    tone = PATTERNS[region.pattern](x * c + y * s, y * c - x * s, region.seed)
    shade = (tone * SHADES + 0.5).astype(np.uint8)
    inside = mask[window]
    canvas[window][inside] = region.colours[shade[inside]]


def _draw(canvas: NDArray[np.uint8], layers: NDArray[np.uint8], number: int, thing: Thing) -> None:
    """Draw a thing, its shadow and its outline; the outline belongs to the thing, the shadow to the ground."""
    height, width = layers.shape
    if thing.shadow:
        _cast_shadow(canvas, thing)
    thickness = max(1, round(_OUTLINE * height))
    shapes = [(_fixed(points, height, width), colour) for points, colour in thing.parts]
    outlines = [shape for shape, _ in shapes]
    cv2.polylines(canvas, outlines, True, thing.outline, thickness, cv2.LINE_AA, _SHIFT)
    cv2.polylines(layers, outlines, True, number, thickness, cv2.LINE_8, _SHIFT)
    for shape, colour in shapes:
        cv2.fillPoly(canvas, [shape], colour, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(layers, [shape], number, cv2.LINE_8, _SHIFT)


def _cast_shadow(canvas: NDArray[np.uint8], thing: Thing) -> None:
    """Darken an ellipse under a thing."""
    height, width = canvas.shape[:2]
    x0, _, x1, y1 = thing.box
    centre = np.array([(x0 + x1) / 2, y1 - 0.005])
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    axes = (x1 - x0) * 0.56, 0.045
    rim = centre + np.stack([np.cos(angle) * axes[0], np.sin(angle) * axes[1]], axis=1)
    top, bottom = max(0, int((y1 - 0.06) * height)), min(height, int((y1 + 0.05) * height) + 1)
    strip = canvas[top:bottom]
    shape = _fixed(rim - [0, top / height], height, width)
    dark = cv2.fillPoly(strip.copy(), [shape], (20, 20, 26), cv2.LINE_AA, _SHIFT)
    canvas[top:bottom] = cv2.addWeighted(strip, 0.65, dark, 0.35, 0)


def _lit(colour: NDArray[np.float32], light: Light) -> NDArray[np.float32]:
    height, width = colour.shape[:2]
    across = light.slope[0] * (np.linspace(-0.5, 0.5, width, dtype=np.float32))[None]
    down = light.slope[1] * (np.linspace(-0.5, 0.5, height, dtype=np.float32))[:, None]
    result: NDArray[np.float32] = colour * ((1 + across + down)[..., None] * np.array(light.gain, np.float32))
    return result


def _majority(layers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The commonest of the 2 x 2 sub-pixels of each pixel, of equals the one in front."""
    low, second, third, high = np.sort(
        np.stack([layers[i::2, j::2] for i in range(SUPERSAMPLE) for j in range(SUPERSAMPLE)]), axis=0
    )
    # Sorted, three of a kind include both middle ones; a lone pair wins; two pairs or four singles go to the front.
    middle = (second == third) | ((low == second) & (third != high))
    result: NDArray[np.uint8] = np.where(middle, second, high).astype(np.uint8)
    return result
