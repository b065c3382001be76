"""A pad for pictograms: coloured polygons in a unit box, and what is known about each class of things."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Rgb = tuple[int, int, int]


def rgb(colour: str) -> Rgb:
    """`rrggbb` -> three bytes."""
    return int(colour[0:2], 16), int(colour[2:4], 16), int(colour[4:6], 16)


class Sketch:
    """Parts of one pictogram, back to front. The box is 1 high and `aspect` wide, y points down.

    Positions x run from 0 to 1 across the box whatever its aspect; radii and widths are in heights, so that discs are
    round. Colours are `rrggbb`.
    """

    def __init__(self, aspect: float) -> None:
        self.aspect = aspect
        self.parts: list[tuple[Points, Rgb]] = []

    def poly(self, colour: str, *xy: float) -> None:
        """A filled polygon from x0, y0, x1, y1, ..."""
        points = np.array(xy, np.float32).reshape(-1, 2) * np.array([self.aspect, 1], np.float32)
        self.parts.append((points, rgb(colour)))

    def box(self, colour: str, x0: float, y0: float, x1: float, y1: float, cut: float = 0.0) -> None:
        """A rectangle; `cut` (in heights) takes its corners off."""
        if not cut:
            return self.poly(colour, x0, y0, x1, y0, x1, y1, x0, y1)
        a = cut / self.aspect
        self.poly(
            colour, x0 + a, y0, x1 - a, y0, x1, y0 + cut, x1, y1 - cut,
            x1 - a, y1, x0 + a, y1, x0, y1 - cut, x0, y0 + cut,
        )  # fmt: skip

    def oval(self, colour: str, x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> None:
        """An ellipse with half axes rx and ry in heights, turned by `turn` degrees."""
        angle = np.linspace(0, 2 * math.pi, 20, endpoint=False)
        a, b = rx * np.cos(angle), ry * np.sin(angle)
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        points = np.stack([x * self.aspect + a * c - b * s, y + a * s + b * c], axis=1)
        self.parts.append((points.astype(np.float32), rgb(colour)))

    def disc(self, colour: str, x: float, y: float, radius: float) -> None:
        """A filled circle."""
        self.oval(colour, x, y, radius, radius)

    def bar(self, colour: str, width: float, *xy: float) -> None:
        """A thick line through x0, y0, x1, y1, ..."""
        points = np.array(xy, np.float64).reshape(-1, 2) * [self.aspect, 1]
        for a, b in pairwise(points):
            along = (b - a) / max(float(np.hypot(*(b - a))), 1e-6) * (width / 2)
            across = np.array([-along[1], along[0]])
            a, b = a - along * 0.6, b + along * 0.6
            quad = np.stack([a - across, b - across, b + across, a + across])
            self.parts.append((quad.astype(np.float32), rgb(colour)))

    def pie(self, colour: str, x: float, y: float, radius: float, start: float, stop: float) -> None:
        """A sector of a disc from `start` to `stop` degrees, clockwise from the right."""
        angle = np.radians(np.linspace(start, stop, 14))
        rim = np.stack([x * self.aspect + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
        whole = np.concatenate([rim, [[x * self.aspect, y]]]) if stop - start < 359 else rim
        self.parts.append((whole.astype(np.float32), rgb(colour)))

    def wheel(self, x: float, y: float, radius: float, hub: str = "b8bec6") -> None:
        """A tyre with its hub."""
        self.disc("17181b", x, y, radius)
        self.disc(hub, x, y, radius * 0.5)


Draw = Callable[[Sketch, str], None]


@dataclass(frozen=True)
class Design:
    """How a class of things looks and where it is found.

    `draw` puts it on a sketch in one of the body colours `paints`; `aspect` is width / height; `size` the range of its
    longer side in picture heights; `turn` the largest rotation in degrees; `places` where it may be: street, nature,
    room, table; `stands`: "ground" with its foot on it, "flat" anywhere on it, "up" above it in the sky or on a wall,
    "air" anywhere.
    """

    draw: Draw
    aspect: float
    size: tuple[float, float]
    paints: tuple[str, ...]
    places: frozenset[str]
    stands: str
    turn: float
    outline: Rgb


def design(
    draw: Draw,
    aspect: float,
    size: tuple[float, float],
    paints: str,
    places: str,
    stands: str = "ground",
    turn: float = 4.0,
    outline: str = "1c1a20",
) -> Design:
    """A `Design` with its lists written as words."""
    return Design(draw, aspect, size, tuple(paints.split()), frozenset(places.split()), stands, turn, rgb(outline))


@lru_cache(maxsize=1024)
def parts_of(what: Design, paint: str) -> tuple[tuple[Points, Rgb], ...]:
    """The parts of a pictogram round its centre, in heights."""
    sketch = Sketch(what.aspect)
    what.draw(sketch, paint)
    centre = np.array([what.aspect / 2, 0.5], np.float32)
    return tuple((points - centre, colour) for points, colour in sketch.parts)
