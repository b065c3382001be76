"""Albedo of every surface but the ground, evaluated per pixel from texture coordinates in metres.

Every function takes flat arrays of the pixels that show its surface: s, t texture coordinates (m), pixel the
sub-pixel size at that depth (m), noise -1..1, and the polygons' colour, second colour and parameters. Detail
smaller than a pixel is faded out rather than left to alias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .scene import Surface
from .textures import cell_hash

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .camera import Floats

#: Noise texels per metre.
NOISE_SCALE: dict[Surface, float] = {
    Surface.FLAT: 12.0, Surface.SKY: 0.0, Surface.GROUND: 9.0, Surface.FACADE: 3.0, Surface.MASONRY: 14.0,
    Surface.FENCE: 10.0, Surface.FOLIAGE: 24.0, Surface.GLASS: 5.0, Surface.SPOKES: 0.0, Surface.PAINT: 3.0,
    Surface.ROOF: 8.0, Surface.LAMP: 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class Samples:
    """The pixels of one surface; arrays (N,) and (N, 3), parameters (N, 6)."""

    s: Floats
    t: Floats
    pixel: Floats
    noise: Floats
    colour: Floats
    second: Floats
    parameters: Floats
    lamps: bool
    sky: Floats
    """Colour glass and paint reflect, (3,)."""


def _fade(pixel: Floats, period: float) -> Floats:
    result: Floats = np.clip(1.6 - 2.2 * pixel / period, 0, 1)
    return result


def _blend(base: Floats, other: Floats | tuple[float, float, float], share: Floats) -> Floats:
    return base + share[:, None] * (np.asarray(other, np.float32) - base)


def _flat(p: Samples) -> tuple[Floats, Floats]:
    return p.colour * (1 + 0.07 * p.noise)[:, None], _dark(p)


def _dark(p: Samples) -> Floats:
    """No light of its own."""
    return np.zeros_like(p.s)


def _lamp(p: Samples) -> tuple[Floats, Floats]:
    """A lamp; parameter 0 set: one that burns only when the lamps are on."""
    off = p.parameters[:, 0] * (not p.lamps)
    return p.colour * (1 - 0.35 * off)[:, None], 1 - off


def _facade(p: Samples) -> tuple[Floats, Floats]:
    """Storeys of windows; shop fronts and a door on the ground floor; ledges and a plinth."""
    bay, storey, seed, shop, height, glazed = p.parameters.T
    i, j = np.floor(p.s / bay), np.floor(p.t / storey)
    x, y = p.s / bay - i - 0.5, p.t / storey - j
    r = cell_hash(i, j, seed)
    ground = j == 0
    half = np.where(ground & (shop > 0), np.float32(0.42), glazed * 0.5)
    low = np.where(ground & (shop > 0), np.float32(0.14), np.float32(0.28))
    high = np.where(ground & (shop > 0), np.float32(0.70), np.float32(0.80))
    door = ground & (cell_hash(i, np.full_like(j, 77), seed) < 0.3)
    low = np.where(door, np.float32(0.0), low)
    top = p.t > height - 0.55
    # Signed distance to the window's edge, metres, positive inside.
    inside = np.minimum((half - np.abs(x)) * bay, np.minimum(y - low, high - y) * storey)
    soft = np.maximum(p.pixel, 0.01)
    window = np.clip(inside / soft + 0.5, 0, 1) * ~top
    frame = np.clip((inside + 0.14) / soft + 0.5, 0, 1) * ~top
    colour = p.colour * (1 + 0.10 * p.noise)[:, None]
    ledge = np.clip((0.07 - np.abs(y - 0.03) * storey) / soft + 0.5, 0, 1) * 0.22 * (p.t > storey * 0.5)
    plinth = (p.t < 0.6) * 0.25
    colour *= (1 - np.maximum(ledge, plinth))[:, None]
    colour = _blend(colour, (0.60, 0.55, 0.48), (top * 0.6).astype(np.float32))
    band = ground & (shop > 0) & (y > 0.74) & (y < 0.96)
    colour = np.where(band[:, None], p.second, colour)
    colour = _blend(colour, np.clip(p.colour * 1.15 + 0.08, 0, 1), frame)
    glass = np.array([0.15, 0.19, 0.25], np.float32) + (0.30 * np.clip(y - 0.1, 0, 1) * r)[:, None] * p.sky
    curtain = (r > 0.55) & (np.abs(x) > half * 0.55)
    glass = np.where(curtain[:, None], np.float32(0.62) * p.colour + 0.16, glass)
    glass = np.where(door[:, None], p.second * 0.7, glass)
    lit = p.lamps & (cell_hash(i, j, seed + 13) < 0.42) & ~door
    glass = np.where(lit[:, None], np.array([1.0, 0.80, 0.46], np.float32) * (0.65 + 0.35 * r)[:, None], glass)
    colour = _blend(colour, glass, window)
    bar = np.maximum(np.abs(x) * bay < 0.035, np.abs(y - 0.6) * storey < 0.03) & (window > 0.5) & ~door
    detail = bar * _fade(p.pixel, 0.12) * 0.8
    colour = _blend(colour, np.clip(p.colour * 1.15 + 0.08, 0, 1), detail)
    return colour, lit * window * (1 - detail)


def _masonry(p: Samples) -> tuple[Floats, Floats]:
    """Brick courses (parameter 0 set) or concrete panels."""
    brick = p.parameters[:, 0] > 0
    course = np.where(brick, np.float32(0.16), np.float32(0.60))
    long = np.where(brick, np.float32(0.42), np.float32(1.50))
    row = np.floor(p.t / course)
    column = p.s / long + 0.5 * np.mod(row, 2)
    edge = np.minimum(np.abs(column - np.rint(column)) * long, np.abs(p.t / course - np.rint(p.t / course)) * course)
    fade = np.clip(1.6 - 2.2 * p.pixel / course, 0, 1)
    joint = (edge < 0.022) * fade
    tone = (cell_hash(np.floor(column), row, 5.0) - 0.5) * 0.24 * fade
    stain = np.float32(0.18) * np.clip(1 - p.t / np.maximum(p.parameters[:, 1], 0.5), 0, 1)
    colour = p.colour * (1 + 0.14 * p.noise + tone - stain)[:, None]
    mortar = colour * np.where(brick, np.float32(1.45), np.float32(0.66))[:, None]
    return _blend(colour, mortar, joint), _dark(p)


def _fence(p: Samples) -> tuple[Floats, Floats]:
    """Vertical bars between two rails; the second colour shows through the gaps."""
    pitch, height = p.parameters[:, 0], p.parameters[:, 1]
    x = np.abs(p.s / pitch - np.rint(p.s / pitch)) * pitch
    soft = np.maximum(p.pixel, 0.005)
    bar = np.clip((0.085 - x) / soft + 0.5, 0, 1)
    rail = np.minimum(np.abs(p.t - 0.15 * height), np.abs(p.t - 0.86 * height))
    bar = np.maximum(bar, np.clip((0.05 - rail) / soft + 0.5, 0, 1))
    # Bars too fine for the pixel average to their share of the area.
    fade = np.clip(2.0 - 2.5 * p.pixel / pitch, 0, 1)
    bar = bar * fade + 0.57 * (1 - fade)
    return _blend(p.second * (1 + 0.1 * p.noise)[:, None], p.colour, bar), _dark(p)


def _foliage(p: Samples) -> tuple[Floats, Floats]:
    """Blotches of light and dark leaves."""
    gain = 1 + 0.75 * p.noise
    colour = p.colour * np.clip(gain, 0.35, 1.8)[:, None]
    light = np.clip(p.noise - 0.25, 0, 1)
    return _blend(colour, (0.36, 0.50, 0.14), light * 0.5), _dark(p)


def _glass(p: Samples) -> tuple[Floats, Floats]:
    """Dark panes with the sky in their upper part."""
    share = np.clip(0.16 + 0.30 * p.t + 0.10 * p.noise, 0.05, 0.45)
    return _blend(p.colour, p.sky, share), _dark(p)


def _paint(p: Samples) -> tuple[Floats, Floats]:
    """Coachwork: brighter towards the top, dirtier at the sill."""
    gain = 0.92 + 0.06 * np.clip(p.t, 0, 2) + 0.04 * p.noise
    return p.colour * gain[:, None] + 0.03 * p.sky, _dark(p)


def _spokes(p: Samples) -> tuple[Floats, Floats]:
    """A bicycle wheel: tyre, bright rim, spokes; the second colour shows between them."""
    radius = np.hypot(p.s, p.t)
    share = radius / p.parameters[:, 0]
    angle = np.arctan2(p.t, p.s) * (10 / np.pi)
    spoke = (np.abs(angle - np.rint(angle)) * radius * 0.3 < 0.012) * _fade(p.pixel, 0.06)
    colour = _blend(p.second, (0.85, 0.86, 0.88), spoke)
    colour = np.where((share > 0.78)[:, None], p.colour, colour)
    return np.where((share < 0.14)[:, None], p.colour, colour), _dark(p)


def _roof(p: Samples) -> tuple[Floats, Floats]:
    """Rows of tiles."""
    row = p.t / 0.36 - np.floor(p.t / 0.36)
    gain = 1 + 0.16 * p.noise + (0.2 * row - 0.1) * _fade(p.pixel, 0.36)
    return p.colour * gain[:, None], _dark(p)


SHADERS: dict[Surface, Callable[[Samples], tuple[Floats, NDArray[np.float32]]]] = {
    Surface.FLAT: _flat, Surface.FACADE: _facade, Surface.MASONRY: _masonry, Surface.FENCE: _fence,
    Surface.FOLIAGE: _foliage, Surface.GLASS: _glass, Surface.SPOKES: _spokes, Surface.PAINT: _paint,
    Surface.ROOF: _roof, Surface.LAMP: _lamp,
}  # fmt: skip
"""Albedo (N, 3) and share of own light (N,) of each surface."""
