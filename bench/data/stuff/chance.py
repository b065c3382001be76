"""What textures vary with: noise, cells and hashes over the plane, the same wherever they are asked for."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

# A new version of these two functions changes every scene here too: raise both renderers' versions.
from bench.data.streets.textures import cell_hash, fractal

Floats = NDArray[np.floating]

_MOSAIC_SIDE = 512
_MOSAIC_CELLS = 10  # cells along a side of the table
_TEXELS = 14.0  # texels of the fractal table in one period


def part(t: Floats) -> Floats:
    """The fractional part."""
    return t - np.floor(t)


def noise(u: Floats, v: Floats, seed: int) -> Floats:
    """Fractal noise in -1..1 with features of about one period."""
    return fractal(u * _TEXELS + (seed % 61) * 4.1, v * _TEXELS + (seed % 89) * 2.7)


@lru_cache(maxsize=1)
def _mosaic_tables() -> tuple[Floats, Floats]:
    """Tileable cells round jittered points: a uniform in 0..1 a cell, and the distance to the border in periods."""
    rng = np.random.Generator(np.random.PCG64(4242))
    n = _MOSAIC_CELLS
    grid = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2)
    points = grid + rng.uniform(0.12, 0.88, grid.shape)
    value = rng.random(n * n).astype(np.float32)
    axis = (np.arange(_MOSAIC_SIDE) + 0.5) * (n / _MOSAIC_SIDE)
    tone, border = (np.empty((_MOSAIC_SIDE, _MOSAIC_SIDE), np.float32) for _ in range(2))
    across = np.abs(axis[:, None] - points[:, 0])
    across = np.minimum(across, n - across) ** 2
    for row, y in enumerate(axis):
        down = np.abs(y - points[:, 1])
        distance = across + np.minimum(down, n - down) ** 2
        nearest = np.argpartition(distance, 1, axis=1)[:, :2]
        two = np.sqrt(np.take_along_axis(distance, nearest, axis=1))
        tone[row] = value[nearest[:, 0]]
        border[row] = two[:, 1] - two[:, 0]
    return tone, border


def mosaic(u: Floats, v: Floats, seed: int) -> tuple[Floats, Floats]:
    """Cell value (0..1) and distance to the cell's border, about one cell a period."""
    texels = _MOSAIC_SIDE / _MOSAIC_CELLS
    s = part((u + seed % 7) / _MOSAIC_CELLS) * (texels * _MOSAIC_CELLS)
    t = part((v + seed % 5) / _MOSAIC_CELLS) * (texels * _MOSAIC_CELLS)
    values, borders = _mosaic_tables()
    wrap = cv2.BORDER_WRAP
    value = cv2.remap(values, s, t, cv2.INTER_NEAREST, borderMode=wrap)
    return np.asarray(value), np.asarray(cv2.remap(borders, s, t, cv2.INTER_LINEAR, borderMode=wrap))


def hashed(u: Floats, v: Floats, seed: int) -> Floats:
    """A uniform in 0..1 for each unit square."""
    return cell_hash(np.floor(u), np.floor(v), float(seed))


def staggered(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
    """Cells whose odd rows are shifted by half: position from the centre (each -0.5..0.5), and u shifted."""
    shifted = u + 0.5 * (np.floor(v) % 2)
    return part(shifted) - 0.5, part(v) - 0.5, shifted
