"""Trees, hedges and bushes."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from .classes import VEGETATION
from .draws import Colour, Draws, scaled
from .scene import Scene, Surface

LEAVES: tuple[Colour, ...] = ((0.13, 0.33, 0.12), (0.16, 0.36, 0.10), (0.10, 0.28, 0.15), (0.20, 0.34, 0.10))


@lru_cache(maxsize=1)
def _outlines() -> list[list[tuple[float, float]]]:
    """Uneven unit circles: broad lobes with tufts of leaves on them."""
    rng = np.random.Generator(np.random.PCG64(4))
    angle = np.arange(44) * (2 * math.pi / 44)
    outlines = []
    for _ in range(40):
        phase = rng.uniform(0, 6, 3)
        lobes = 0.07 * np.sin(3 * angle + phase[0]) + 0.05 * np.sin(7 * angle + phase[1])
        reach = 1 + lobes + rng.uniform(-0.06, 0.06, len(angle))
        outlines.append(list(zip((reach * np.cos(angle)).tolist(), (reach * np.sin(angle)).tolist(), strict=True)))
    return outlines


def _blob(scene: Scene, draws: Draws, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
    """An uneven outline of leaves facing the camera."""
    outline = draws.pick(_outlines())
    points = [(x + rx * px, y + ry * py, 0.0) for px, py in outline]
    scene.polygon(points, VEGETATION, colour, Surface.FOLIAGE, two_sided=True)


def add_tree(scene: Scene, draws: Draws, x: float, z: float, facing: float) -> None:
    """A tree at world (x, z); `facing` turns the flat crown towards the camera."""
    height = draws.uniform(4.8, 8.5)
    trunk = height * draws.uniform(0.30, 0.42)
    radius = height * draws.uniform(0.22, 0.32)
    scene.begin(x, z, facing, shadow=(radius * 0.7, radius * 0.7, height))
    bark = draws.tint((0.30, 0.21, 0.14), 0.03)
    scene.panel((-0.17, 0.17), (0, trunk + radius * 0.5), VEGETATION, bark)
    leaf = draws.tint(draws.pick(LEAVES), 0.04)
    middle = trunk + (height - trunk) / 2
    tall = (height - trunk) / 2
    if draws.chance(0.2):
        dark = scaled(leaf, 0.8)
        for i in range(3):
            low = trunk * 0.5 + i * (height - trunk * 0.5) * 0.27
            wide = radius * (1 - 0.25 * i)
            scene.polygon(
                [(-wide, low, 0), (wide, low, 0), (0, low + (height - trunk * 0.5) * 0.48, 0)],
                VEGETATION, scaled(dark, 1 + 0.1 * i), Surface.FOLIAGE, two_sided=True,
            )  # fmt: skip
        return
    _blob(scene, draws, 0, middle, radius, tall, scaled(leaf, 0.78))
    for _ in range(3):
        dx, dy = draws.uniform(-0.5, 0.5) * radius, draws.uniform(-0.35, 0.5) * tall
        size = draws.uniform(0.4, 0.6)
        _blob(scene, draws, dx, middle + dy, radius * size, tall * size, scaled(leaf, 1 + 0.3 * dy / tall))


def add_bush(scene: Scene, draws: Draws, x: float, z: float, facing: float) -> None:
    """Add a bush at (x, z)."""
    size = draws.uniform(0.5, 1.1)
    scene.begin(x, z, facing, shadow=(size * 0.8, size * 0.8, size))
    leaf = draws.tint(draws.pick(LEAVES), 0.04)
    _blob(scene, draws, 0, size * 0.62, size, size * 0.7, leaf)


def add_hedge(
    scene: Scene, draws: Draws, x: float, z: float, heading: float, half_length: float, height: float
) -> None:
    """A clipped hedge along the street."""
    scene.begin(x, z, heading, shadow=(0.4, half_length, height))
    leaf = draws.tint((0.14, 0.34, 0.13), 0.03)
    scene.box((-0.4, 0.4), (0, height), (-half_length, half_length), VEGETATION, leaf, Surface.FOLIAGE)
