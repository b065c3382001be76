"""The scene a world is built into: flat polygons grouped in objects, each with one surface."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .draws import Colour

Point = tuple[float, float, float]


class Surface(IntEnum):
    """How a polygon is textured (see surfaces.py)."""

    FLAT = 0
    SKY = 1
    GROUND = 2
    FACADE = 3
    MASONRY = 4
    FENCE = 5
    FOLIAGE = 6
    GLASS = 7
    SPOKES = 8
    PAINT = 9
    ROOF = 10
    LAMP = 11


PARAMETERS = 6
"""Free numbers a polygon hands to its surface."""

BACKDROP, STREET = 0, 1
"""Layers: everything of the backdrop is painted before anything of the street."""


class Scene:
    """Polygons in object-local coordinates (x right, y up, z forward along the object's heading, metres).

    A polygon's texture frame: s runs along its first edge, t at right angles in its plane, both in metres,
    from the first vertex (quads) or the centre (other polygons). Quads wind left-bottom, right-bottom,
    right-top, left-top as seen from outside.
    """

    def __init__(self) -> None:
        self.object_pose: list[tuple[float, float, float]] = []
        self.object_layer: list[int] = []
        self.shadows: list[tuple[float, float, float, float, float, float]] = []
        self.lamps: list[tuple[float, float]] = []
        self.vertices: list[Point] = []
        self.sizes: list[int] = []
        self.owners: list[int] = []
        self.keys: list[int] = []
        self.surfaces: list[int] = []
        self.colours: list[Colour] = []
        self.seconds: list[Colour] = []
        self.parameters: list[tuple[float, ...]] = []
        self.two_sided: list[bool] = []
        self._counts: dict[int, int] = {}

    def instance(self, label: int) -> int:
        """The next instance id of a thing class: label * 1000 + k."""
        k = self._counts.get(label, 0)
        self._counts[label] = k + 1
        return label * 1000 + k

    def begin(
        self,
        x: float,
        z: float,
        heading: float = 0.0,
        layer: int = STREET,
        shadow: tuple[float, float, float] | None = None,
    ) -> None:
        """Start an object at world (x, z); `shadow` is the half width, half length and height it casts."""
        self.object_pose.append((x, z, heading))
        self.object_layer.append(layer)
        if shadow is not None:
            self.shadows.append((x, z, heading, *shadow))

    def polygon(
        self,
        points: list[Point],
        key: int,
        colour: Colour,
        surface: Surface = Surface.FLAT,
        second: Colour = (0.0, 0.0, 0.0),
        parameters: tuple[float, ...] = (0.0,) * PARAMETERS,
        two_sided: bool = False,
    ) -> None:
        """Add a polygon to the current object. `key` is an instance id or a stuff label id."""
        self.vertices += points
        self.sizes.append(len(points))
        self.owners.append(len(self.object_pose) - 1)
        self.keys.append(key)
        self.surfaces.append(surface)
        self.colours.append(colour)
        self.seconds.append(second)
        self.parameters.append(parameters)
        self.two_sided.append(two_sided)

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        key: int,
        colour: Colour,
        surface: Surface = Surface.FLAT,
        second: Colour = (0.0, 0.0, 0.0),
        parameters: tuple[float, ...] = (0.0,) * PARAMETERS,
        top: bool = True,
        taper: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        """A box without a bottom; `taper` pulls the top in by (sides, rear, front) metres."""
        (x0, x1), (y0, y1), (z0, z1) = x, y, z
        a0, a1, c0, c1 = x0 + taper[0], x1 - taper[0], z0 + taper[1], z1 - taper[2]
        faces: list[list[Point]] = [
            [(x0, y0, z0), (x1, y0, z0), (a1, y1, c0), (a0, y1, c0)],
            [(x1, y0, z1), (x0, y0, z1), (a0, y1, c1), (a1, y1, c1)],
            [(x1, y0, z0), (x1, y0, z1), (a1, y1, c1), (a1, y1, c0)],
            [(x0, y0, z1), (x0, y0, z0), (a0, y1, c0), (a0, y1, c1)],
        ]
        if top:
            faces.append([(a0, y1, c0), (a1, y1, c0), (a1, y1, c1), (a0, y1, c1)])
        for face in faces:
            self.polygon(face, key, colour, surface, second, parameters)

    def panel(
        self, x: tuple[float, float], y: tuple[float, float], key: int, colour: Colour,
        surface: Surface = Surface.FLAT, second: Colour = (0.0, 0.0, 0.0),
        parameters: tuple[float, ...] = (0.0,) * PARAMETERS, z: float = 0.0, lean: float = 0.0,
    ) -> None:  # fmt: skip
        """An upright two-sided rectangle across the object; `lean` shifts its top sideways."""
        (x0, x1), (y0, y1) = x, y
        self.polygon(
            [(x0, y0, z), (x1, y0, z), (x1 + lean, y1, z), (x0 + lean, y1, z)],
            key, colour, surface, second, parameters, True,
        )  # fmt: skip

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, key: int, colour: Colour,
        surface: Surface = Surface.FLAT, second: Colour = (0.0, 0.0, 0.0),
        parameters: tuple[float, ...] = (0.0,) * PARAMETERS, z: float = 0.0,
        arc: tuple[float, float] = (0.0, 1.0), corners: int = 12,
    ) -> None:  # fmt: skip
        """An upright two-sided ellipse across the object, or the part of it between two turns of `arc`."""
        angles = [2 * math.pi * (arc[0] + (arc[1] - arc[0]) * i / corners) for i in range(corners)]
        self.polygon(
            [(x + rx * math.cos(a), y + ry * math.sin(a), z) for a in angles],
            key, colour, surface, second, parameters, True,
        )  # fmt: skip

    def disc(
        self, x: float, y: float, z: float, radius: float, key: int, colour: Colour,
        surface: Surface = Surface.FLAT, second: Colour = (0.0, 0.0, 0.0),
        parameters: tuple[float, ...] = (0.0,) * PARAMETERS,
    ) -> None:  # fmt: skip
        """A wheel in the object's length-height plane, seen from outside, or from both sides at x = 0."""
        angles = [2 * math.pi * i / 14 for i in range(14)]
        turn = -radius if x < 0 else radius
        self.polygon(
            [(x, y + radius * math.sin(a), z + turn * math.cos(a)) for a in angles],
            key, colour, surface, second, parameters, x == 0,
        )  # fmt: skip
