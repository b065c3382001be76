"""Texture families: what a ground looks like, as a tone for each point.

Every pattern takes coordinates u (across) and v (down) in units of the texture's period, 2-D float32, and a seed, and
gives tones in 0..2: 0, 1 and 2 are the ground's three colours, values between them mixtures.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.scenes.streets.textures import cell_hash, fractal

Floats = NDArray[np.floating]
Pattern = Callable[[Floats, Floats, int], Floats]

_MOSAIC_SIDE = 512
_MOSAIC_CELLS = 10  # cells along a side of the table
_TEXELS = 14.0  # texels of the fractal table in one period


def _part(t: Floats) -> Floats:
    return t - np.floor(t)


def _noise(u: Floats, v: Floats, seed: int) -> Floats:
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


def _mosaic(u: Floats, v: Floats, seed: int) -> tuple[Floats, Floats]:
    """Cell value (0..1) and distance to the cell's border, about one cell a period."""
    texels = _MOSAIC_SIDE / _MOSAIC_CELLS
    s = _part((u + seed % 7) / _MOSAIC_CELLS) * (texels * _MOSAIC_CELLS)
    t = _part((v + seed % 5) / _MOSAIC_CELLS) * (texels * _MOSAIC_CELLS)
    values, borders = _mosaic_tables()
    wrap = cv2.BORDER_WRAP
    value = cv2.remap(values, s, t, cv2.INTER_NEAREST, borderMode=wrap)
    return np.asarray(value), np.asarray(cv2.remap(borders, s, t, cv2.INTER_LINEAR, borderMode=wrap))


def _hash(u: Floats, v: Floats, seed: int) -> Floats:
    return cell_hash(np.floor(u), np.floor(v), float(seed))


def _staggered(u: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
    """Cells whose odd rows are shifted by half: position from the centre (each -0.5..0.5), and u shifted."""
    shifted = u + 0.5 * (np.floor(v) % 2)
    return _part(shifted) - 0.5, _part(v) - 0.5, shifted


def stripes(u: Floats, v: Floats, seed: int) -> Floats:
    return 1.0 * (_part(u) < 0.5)


def bands(u: Floats, v: Floats, seed: int) -> Floats:
    return np.floor(_part(u) * 3)


def lines(u: Floats, v: Floats, seed: int) -> Floats:
    """Thin lines across, as on ruled paper."""
    return 1.0 * (_part(v) < 0.26)


def plaid(u: Floats, v: Floats, seed: int) -> Floats:
    return 1.0 * (_part(u) < 0.45) + (_part(v) < 0.45)


def checks(u: Floats, v: Floats, seed: int) -> Floats:
    return (np.floor(u) + np.floor(v)) % 2


def tiles(u: Floats, v: Floats, seed: int) -> Floats:
    joint = (_part(u) < 0.16) | (_part(v) < 0.16)
    return np.where(joint, 2, 0.8 * _hash(u, v, seed))


def perforated(u: Floats, v: Floats, seed: int) -> Floats:
    joint = (_part(u) < 0.1) | (_part(v) < 0.1)
    hole = ((_part(u * 4) - 0.5) ** 2 + (_part(v * 4) - 0.5) ** 2) < 0.06
    return np.where(joint, 2, 1.0 * hole)


def bricks(u: Floats, v: Floats, seed: int) -> Floats:
    v = v * 2
    _, _, shifted = _staggered(u, v)
    joint = (_part(shifted) < 0.12) | (_part(v) < 0.22)
    return np.where(joint, 2, _hash(shifted, v, seed))


def planks(u: Floats, v: Floats, seed: int) -> Floats:
    along = u / 3.5 + 0.37 * np.floor(v)
    joint = (_part(along) < 0.04) | (_part(v) < 0.14)
    return np.where(joint, 2, 0.7 * _hash(along, v, seed) + 0.3 * (_noise(u * 0.3, v * 2, seed) > 0))


def cells(u: Floats, v: Floats, seed: int) -> Floats:
    """Stones with joints."""
    value, border = _mosaic(u, v, seed)
    return np.where(border < 0.16, 2, value)


def facets(u: Floats, v: Floats, seed: int) -> Floats:
    return 2 * _mosaic(u, v, seed)[0]


def confetti(u: Floats, v: Floats, seed: int) -> Floats:
    return np.floor(_mosaic(u, v, seed)[0] * 2.999)


def twigs(u: Floats, v: Floats, seed: int) -> Floats:
    value, border = _mosaic(u, v, seed)
    return np.where(border < 0.2, 1, 2.0 * (value > 0.75))


def dots(u: Floats, v: Floats, seed: int) -> Floats:
    x, y, _ = _staggered(u, v)
    return 1.0 * (x * x + y * y < 0.085)


def drops(u: Floats, v: Floats, seed: int) -> Floats:
    """Beads with a bright spot."""
    x, y, _ = _staggered(u, v)
    return np.where((x + 0.1) ** 2 + (y + 0.12) ** 2 < 0.018, 2, 1.0 * (x * x + y * y < 0.11))


def balls(u: Floats, v: Floats, seed: int) -> Floats:
    """Balls of two colours on the third."""
    x, y, shifted = _staggered(u, v)
    return np.where(x * x + y * y < 0.19, 1.0 * (_hash(shifted, v, seed) < 0.5), 2)


def blossoms(u: Floats, v: Floats, seed: int) -> Floats:
    """Petals (1) with a heart (2)."""
    x, y, _ = _staggered(u, v)
    r2 = x * x + y * y
    return np.where(r2 < 0.022, 2, 1.0 * (r2 < 0.14))


def ripples(u: Floats, v: Floats, seed: int) -> Floats:
    """Rings round the centres of large cells."""
    x, y, _ = _staggered(u, v)
    return 1 + np.cos(np.hypot(x, y) * 22)


def scales(u: Floats, v: Floats, seed: int) -> Floats:
    """Rows of round tiles, each with a dark lower rim."""
    x, y, shifted = _staggered(u, v * 1.6)
    rim = np.abs(y + 0.5 - np.sqrt(np.maximum(0.0, 0.25 - x * x)) * 1.7)
    return np.where(rim < 0.17, 2, 0.8 * _hash(shifted, v * 1.6, seed))


def waves(u: Floats, v: Floats, seed: int) -> Floats:
    return 1.0 * (_part(v + 0.22 * np.sin(u * 4.4)) < 0.5)


def crests(u: Floats, v: Floats, seed: int) -> Floats:
    """Waves with a bright crest that comes and goes."""
    phase = _part(v + 0.16 * np.sin(u * 3.6) + 0.1 * np.sin(u * 1.3 + v))
    return np.where((phase < 0.2) & (np.sin(u * 2.1 + np.floor(v) * 2.4) > -0.1), 2, 1.0 * (phase < 0.55))


def folds(u: Floats, v: Floats, seed: int) -> Floats:
    return 1 + np.sin((u + 0.12 * np.sin(v * 1.7)) * 6.2832)


def zigzag(u: Floats, v: Floats, seed: int) -> Floats:
    return np.floor(_part(v + 1.1 * np.abs(_part(u) - 0.5)) * 3)


def peaks(u: Floats, v: Floats, seed: int) -> Floats:
    """Triangles with a bright side, a dark side and a bright top."""
    x, y, _ = _staggered(u, v)
    inside = 2 * np.abs(x) < y + 0.5
    return np.where(inside & (y < -0.12), 2, 1.0 * ((x > 0) ^ ~inside))


def truss(u: Floats, v: Floats, seed: int) -> Floats:
    """Beams: two chords a period and diagonals between them."""
    diagonal = np.abs(_part(v) - 2 * np.abs(_part(u) - 0.5)) < 0.16
    return np.where(_part(v + 0.07) < 0.15, 2, 1.0 * diagonal)


def lattice(u: Floats, v: Floats, seed: int) -> Floats:
    return 1.0 * ((_part(u) < 0.24) | (_part(v) < 0.24))


def quilt(u: Floats, v: Floats, seed: int) -> Floats:
    x, y = _part(u) - 0.5, _part(v) - 0.5
    seam = np.maximum(np.abs(x), np.abs(y)) > 0.4
    return np.where(x * x + y * y < 0.04, 2, 1.0 * seam)


def pickets(u: Floats, v: Floats, seed: int) -> Floats:
    """Broad upright boards with gaps, and a rail now and then."""
    return np.where(_part(u) < 0.55, 1, 2.0 * (_part(v * 0.4) < 0.22))


def bars(u: Floats, v: Floats, seed: int) -> Floats:
    """Thin upright bars, and thicker rails across."""
    return np.where(_part(v * 0.33) < 0.12, 2, 1.0 * (_part(u) < 0.3))


def weave(u: Floats, v: Floats, seed: int) -> Floats:
    over = (np.floor(u) + np.floor(v)) % 2 == 0
    thread = np.where(over, _part(v * 2), _part(u * 2))
    return np.where(thread < 0.22, 2, 1.0 * over)


def crosses(u: Floats, v: Floats, seed: int) -> Floats:
    x, y, _ = _staggered(u, v)
    x, y = np.abs(x), np.abs(y)
    return 1.0 * ((np.minimum(x, y) < 0.12) & (np.maximum(x, y) < 0.4))


def blotches(u: Floats, v: Floats, seed: int) -> Floats:
    return np.clip(1 + 1.7 * _noise(u, v, seed), 0, 2)


def veil(u: Floats, v: Floats, seed: int) -> Floats:
    """Soft, wide noise."""
    return 1 + _noise(u * 0.4, v * 0.4, seed)


def clumps(u: Floats, v: Floats, seed: int) -> Floats:
    height = _noise(u, v, seed) + 0.35 * _noise(u * 3, v * 3, seed + 5)
    return 1.0 * (height > -0.12) + (height > 0.22)


def clouds(u: Floats, v: Floats, seed: int) -> Floats:
    height = _noise(u * 0.7, v * 1.2, seed) + 0.3 * _noise(u * 2, v * 2.6, seed + 5)
    return np.clip(1 + 5 * (height - 0.05), 0, 2)


def speckles(u: Floats, v: Floats, seed: int) -> Floats:
    value = _hash(u, v, seed)
    return 1.0 * (value > 0.6) + (value > 0.85)


def blades(u: Floats, v: Floats, seed: int) -> Floats:
    """Upright blades: noise stretched along v."""
    return np.clip(1 + 2.2 * _noise(u * 2.4, v * 0.35, seed), 0, 2)


def grain(u: Floats, v: Floats, seed: int) -> Floats:
    """Wood: wavy lines along u."""
    return 1 + np.sin(6.2832 * v + 4 * _noise(u * 0.25, v * 0.5, seed))


def rings(u: Floats, v: Floats, seed: int) -> Floats:
    """Sawn logs: discs with year rings on the third colour."""
    x, y, _ = _staggered(u, v)
    r = np.hypot(x, y)
    return np.where(r > 0.46, 2, 1.0 * (_part(r * 6) < 0.5))


def marble(u: Floats, v: Floats, seed: int) -> Floats:
    vein = np.abs(_noise(u * 0.5, v * 0.5, seed))
    return np.clip(1.6 - vein * 9, 0, 2)


def gradient(u: Floats, v: Floats, seed: int) -> Floats:
    return np.clip(2 * v, 0, 2)


def glow(u: Floats, v: Floats, seed: int) -> Floats:
    x, y = _part(u) - 0.5, _part(v) - 0.5
    return np.clip(4 * np.hypot(x, y), 0, 2)


def windows(u: Floats, v: Floats, seed: int) -> Floats:
    """A wall (0) with panes, dark (1) or lit (2)."""
    x, y = np.abs(_part(u) - 0.5), np.abs(_part(v) - 0.5)
    return np.where((x < 0.27) & (y < 0.32), 1 + (_hash(u, v, seed) < 0.35), 0)


def panels(u: Floats, v: Floats, seed: int) -> Floats:
    """Doors of a cabinet: a frame (1) round each field, and a knob (2)."""
    x, y = _part(u) - 0.5, _part(v) - 0.5
    frame = np.maximum(np.abs(x), np.abs(y))
    return np.where((x - 0.24) ** 2 + y * y < 0.009, 2, 1.0 * ((frame > 0.43) | ((frame > 0.3) & (frame < 0.35))))


def shelves(u: Floats, v: Floats, seed: int) -> Floats:
    """Boards (0) with upright things of two colours between them."""
    value = _hash(u * 4, v, seed)
    return np.where(_part(v) < 0.2, 0, np.where(_part(v) > 0.2 + 0.35 * value, 1.0 + (value > 0.5), 0.35))


def steps(u: Floats, v: Floats, seed: int) -> Floats:
    phase = _part(v)
    return np.where(phase < 0.16, 2, 1.0 * (phase < 0.55))


def slats(u: Floats, v: Floats, seed: int) -> Floats:
    return 2 * _part(v) ** 1.5


def rails(u: Floats, v: Floats, seed: int) -> Floats:
    """A railway track: sleepers (1) and two rails (2) on ballast."""
    rail = np.minimum(np.abs(_part(u) - 0.2), np.abs(_part(u) - 0.8)) < 0.06
    sleeper = (_part(v * 2.2) < 0.42) & (np.abs(_part(u) - 0.5) < 0.44)
    return np.where(rail, 2, 1.0 * sleeper)


def dashes(u: Floats, v: Floats, seed: int) -> Floats:
    """Asphalt with broken lane markings."""
    mark = (np.abs(_part(u) - 0.5) < 0.045) & (_part(v * 1.3) < 0.55)
    return np.where(mark, 2, np.clip(0.5 + 0.7 * _noise(u * 2, v * 2, seed), 0, 1))


PATTERNS: dict[str, Pattern] = {
    pattern.__name__: pattern
    for pattern in (
        stripes, bands, lines, plaid, checks, tiles, perforated, bricks, planks, cells, facets, confetti, twigs, dots,
        drops, balls, blossoms, ripples, scales, waves, crests, folds, zigzag, peaks, truss, lattice, quilt, pickets,
        bars, weave, crosses, blotches, veil, clumps, clouds, speckles, blades, grain, rings, marble, gradient, glow,
        windows, panels, shelves, steps, slats, rails, dashes,
    )
}  # fmt: skip
"""Every texture family by name."""
