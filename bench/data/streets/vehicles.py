"""Cars, trucks, buses and trams.

Local frame: origin on the ground under the middle, x right, y up, z forward. A vehicle's rear is its low-z
face.
"""

from __future__ import annotations

import math

from .classes import BUS, CAR, TRUCK
from .draws import Colour, Draws, scaled
from .scene import Scene, Surface

TYRE: Colour = (0.07, 0.07, 0.08)
GLASS: Colour = (0.13, 0.17, 0.22)
TAIL: Colour = (0.85, 0.08, 0.08)
HEAD: Colour = (0.98, 0.96, 0.85)
PLATE: Colour = (0.90, 0.90, 0.86)
CAR_PAINT: tuple[Colour, ...] = (
    (0.90, 0.91, 0.92), (0.72, 0.74, 0.77), (0.13, 0.14, 0.16), (0.40, 0.42, 0.46), (0.16, 0.28, 0.62),
    (0.72, 0.10, 0.12), (0.10, 0.34, 0.36), (0.36, 0.10, 0.16), (0.55, 0.62, 0.72),
)  # fmt: skip
BUS_PAINT: tuple[Colour, ...] = (
    (0.98, 0.74, 0.08),
    (0.97, 0.60, 0.08),
    (0.95, 0.82, 0.22),
    (0.93, 0.52, 0.10),
)
TARPAULIN: tuple[Colour, ...] = (
    (0.92, 0.93, 0.94), (0.86, 0.90, 0.94), (0.60, 0.72, 0.80), (0.46, 0.66, 0.56), (0.80, 0.84, 0.84),
)  # fmt: skip
CAB: tuple[Colour, ...] = ((0.30, 0.12, 0.14), (0.12, 0.20, 0.42), (0.14, 0.32, 0.26), (0.25, 0.26, 0.30))


def _wheels(scene: Scene, key: int, half: float, radius: float, along: tuple[float, ...]) -> None:
    for side in (-half - 0.01, half + 0.01):
        for z in along:
            scene.disc(side, radius, z, radius, key, TYRE)
            scene.disc(side * 1.005, radius, z, radius * 0.55, key, (0.50, 0.51, 0.53))


def _across(
    scene: Scene, key: int, x: tuple[float, float], y: tuple[float, float], z: float, colour: Colour,
    surface: Surface = Surface.FLAT, slope: float = 0.0,
) -> None:  # fmt: skip
    """A rectangle on the rear (z < 0) or front (z > 0) face; `slope` moves its top edge along z."""
    a, b = (x[0], x[1]) if z < 0 else (x[1], x[0])
    scene.polygon([(a, y[0], z), (b, y[0], z), (b, y[1], z + slope), (a, y[1], z + slope)], key, colour, surface)


def _beside(
    scene: Scene, key: int, x: float, y: tuple[float, float], z: tuple[float, float], colour: Colour,
    surface: Surface = Surface.FLAT, lean: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> None:  # fmt: skip
    """The same rectangle on both sides at +-x; `lean` pulls its top in by (sideways, rear, front)."""
    (y0, y1), (z0, z1), (inwards, rear, front) = y, z, lean
    top = x - inwards
    scene.polygon([(x, y0, z0), (x, y0, z1), (top, y1, z1 - front), (top, y1, z0 + rear)], key, colour, surface)
    scene.polygon([(-x, y0, z1), (-x, y0, z0), (-top, y1, z0 + rear), (-top, y1, z1 - front)], key, colour, surface)


def add_car(scene: Scene, draws: Draws, x: float, z: float, heading: float, lamps: bool) -> None:
    """Add a car at (x, z), low or estate."""
    key = scene.instance(CAR)
    estate = draws.unit()
    length, width = draws.uniform(3.9, 4.7), draws.uniform(1.72, 1.86)
    height = draws.uniform(1.42, 1.55) + (0.35 if estate > 0.75 else 0.0)
    half, long, waist = width / 2, length / 2, height * 0.60
    scene.begin(x, z, heading, shadow=(half, long, height * 0.8))
    paint = draws.tint(draws.pick(CAR_PAINT), 0.05)
    scene.box((-half + 0.1, half - 0.1), (0.08, 0.4), (-long + 0.15, long - 0.15), key, (0.06, 0.06, 0.07))
    scene.box((-half, half), (0.28, waist), (-long, long), key, paint, Surface.PAINT, taper=(0.06, 0.06, 0.12))
    _wheels(scene, key, half, 0.33, (-long * 0.62, long * 0.64))
    rear = -long + (0.15 if estate > 0.4 else 0.65)
    front = long - 1.15
    cabin_taper = (0.2, 0.25 if estate > 0.4 else 0.55, 0.75)
    cabin = half - 0.08
    scene.box((-cabin, cabin), (waist - 0.03, height), (rear, front), key, paint, Surface.PAINT, taper=cabin_taper)
    rise = height - waist
    low, high = waist + 0.03, height - 0.08
    part = (high - low) / rise
    _across(scene, key, (-cabin + 0.17, cabin - 0.17), (low, high), rear - 0.01, GLASS, Surface.GLASS,
            cabin_taper[1] * part)  # fmt: skip
    _across(scene, key, (-cabin + 0.14, cabin - 0.14), (low, high), front + 0.01, GLASS, Surface.GLASS,
            -cabin_taper[2] * part)  # fmt: skip
    middle = (rear + front) / 2
    for z0, z1, lean in (
        (rear + 0.2, middle - 0.05, (0.2 * part, cabin_taper[1] * part, 0.0)),
        (middle + 0.05, front - 0.12, (0.2 * part, 0.0, cabin_taper[2] * part)),
    ):
        _beside(scene, key, cabin + 0.005, (low, high), (z0, z1), GLASS, Surface.GLASS, lean)
    tail, head = (Surface.LAMP, Surface.LAMP) if lamps else (Surface.FLAT, Surface.FLAT)
    for side in (-1.0, 1.0):
        span = (side * half * 0.93, side * half * 0.55)
        span = (min(span), max(span))
        _across(scene, key, span, (waist - 0.24, waist - 0.06), -long - 0.005, TAIL, tail)
        _across(scene, key, span, (waist - 0.28, waist - 0.12), long + 0.005, HEAD, head)
    _across(scene, key, (-0.26, 0.26), (0.46, 0.58), -long - 0.006, PLATE)
    _across(scene, key, (-0.4, 0.4), (0.42, 0.56), long + 0.006, (0.10, 0.10, 0.11))
    for end in (-long - 0.005, long + 0.005):
        _across(scene, key, (-half + 0.03, half - 0.03), (0.28, 0.40), end, scaled(paint, 0.45))


def add_bus(scene: Scene, draws: Draws, x: float, z: float, heading: float, lamps: bool) -> None:
    """Add a bus at (x, z)."""
    key = scene.instance(BUS)
    length, half, height = draws.uniform(9.5, 12.0), 1.27, draws.uniform(2.95, 3.2)
    long = length / 2
    scene.begin(x, z, heading, shadow=(half, long, height))
    paint = draws.tint(draws.pick(BUS_PAINT), 0.03)
    skirt = draws.pick((scaled(paint, 0.6), (0.25, 0.25, 0.28), scaled(paint, 0.85)))
    scene.box((-half, half), (0.3, height), (-long, long), key, paint, Surface.PAINT)
    _beside(scene, key, half + 0.005, (0.3, 0.75), (-long, long), skirt)
    _wheels(scene, key, half, 0.48, (-long * 0.55, long * 0.62))
    _beside(scene, key, half + 0.006, (1.35, 2.45), (-long + 0.3, long - 0.15), GLASS, Surface.GLASS)
    panes = 6
    for i in range(1, panes):
        at = -long + 0.3 + (length - 0.45) * i / panes
        _beside(scene, key, half + 0.008, (1.35, 2.45), (at - 0.05, at + 0.05), scaled(paint, 0.5))
    for at in (-long * 0.12, long * 0.78):
        scene.polygon([(half + 0.01, 0.4, at), (half + 0.01, 0.4, at + 1.1), (half + 0.01, 2.45, at + 1.1),
                       (half + 0.01, 2.45, at)], key, scaled(GLASS, 1.3), Surface.GLASS)  # fmt: skip
    _across(scene, key, (-half + 0.1, half - 0.1), (1.15, 2.5), long + 0.005, GLASS, Surface.GLASS)
    _across(scene, key, (-half + 0.2, half - 0.2), (1.6, 2.5), -long - 0.005, GLASS, Surface.GLASS)
    sign: Colour = (1.0, 0.62, 0.12)
    for end in (-long - 0.006, long + 0.006):
        _across(scene, key, (-0.9, 0.9), (2.58, 2.85), end, (0.06, 0.06, 0.06))
        _across(scene, key, (-0.7, 0.6), (2.65, 2.79), end * 1.001, sign, Surface.LAMP)
        _across(scene, key, (-half, half), (0.3, 0.6), end, skirt)
    for side in (-0.95, 0.95):
        _across(scene, key, (side - 0.17, side + 0.17), (0.7, 1.05), -long - 0.006, TAIL,
                Surface.LAMP if lamps else Surface.FLAT)  # fmt: skip
        _across(scene, key, (side - 0.19, side + 0.19), (0.66, 0.92), long + 0.006, HEAD,
                Surface.LAMP if lamps else Surface.FLAT)  # fmt: skip
    _across(scene, key, (-0.3, 0.3), (0.66, 0.8), -long - 0.008, PLATE)


def add_truck(scene: Scene, draws: Draws, x: float, z: float, heading: float, lamps: bool) -> None:
    """Add a truck at (x, z): a cab, and a body behind it."""
    key = scene.instance(TRUCK)
    length, half, height = draws.uniform(6.8, 9.5), 1.22, draws.uniform(3.1, 3.7)
    long = length / 2
    scene.begin(x, z, heading, shadow=(half, long, height))
    body = draws.tint(draws.pick(TARPAULIN), 0.03)
    cab = draws.tint(draws.pick(CAB), 0.04)
    front = long - 1.9
    chassis: Colour = (0.12, 0.12, 0.13)
    towards = math.cos(heading) < 0
    parts = ("box", "cab") if towards else ("cab", "box")
    scene.box((-half + 0.15, half - 0.15), (0.4, 1.0), (-long, long - 0.2), key, chassis)
    for part in parts:
        if part == "cab":
            scene.box((-half + 0.03, half - 0.03), (0.45, 2.65), (front + 0.1, long), key, cab, Surface.PAINT,
                      taper=(0.05, 0.0, 0.2))  # fmt: skip
            _across(scene, key, (-half + 0.15, half - 0.15), (1.5, 2.45), long + 0.01, GLASS, Surface.GLASS, -0.12)
            _beside(scene, key, half - 0.02, (1.5, 2.35), (front + 0.7, long - 0.1), GLASS, Surface.GLASS,
                    (0.02, 0.0, 0.1))  # fmt: skip
            _across(scene, key, (-0.8, 0.8), (0.75, 1.3), long + 0.01, scaled(cab, 0.5))
        else:
            scene.box((-half, half), (0.95, height), (-long, front), key, body, Surface.PAINT)
            _beside(scene, key, half + 0.005, (0.95, 1.12), (-long, front), scaled(body, 0.6))
            _beside(scene, key, half + 0.005, (height - 0.14, height), (-long, front), scaled(body, 0.7))
            if draws.chance(0.6):
                logo = draws.tint(draws.pick(CAB), 0.05)
                _beside(scene, key, half + 0.006, (1.8, 2.5), (-long * 0.6, front - long * 0.5), logo)
            _across(scene, key, (-0.03, 0.03), (1.0, height - 0.1), -long - 0.005, scaled(body, 0.55))
            for edge in (-half + 0.06, half - 0.06):
                _across(scene, key, (edge - 0.06, edge + 0.06), (0.95, height), -long - 0.005, scaled(body, 0.65))
            _across(scene, key, (-half, half), (height - 0.12, height), -long - 0.005, scaled(body, 0.65))
            _across(scene, key, (-half, half), (0.55, 0.95), -long - 0.004, chassis)
    _wheels(scene, key, half, 0.5, (-long * 0.72, -long * 0.42, long * 0.70))
    for side in (-0.85, 0.85):
        _across(scene, key, (side - 0.22, side + 0.22), (0.66, 0.86), -long - 0.006, TAIL,
                Surface.LAMP if lamps else Surface.FLAT)  # fmt: skip
        _across(scene, key, (side - 0.18, side + 0.18), (0.6, 0.82), long + 0.02, HEAD,
                Surface.LAMP if lamps else Surface.FLAT)  # fmt: skip
    _across(scene, key, (-0.28, 0.28), (0.62, 0.76), -long - 0.007, PLATE)


TRAM_CAR_M = 8.0


def tram_livery(draws: Draws) -> tuple[Colour, Colour]:
    """Red body and white upper part."""
    return draws.tint((0.80, 0.07, 0.10), 0.04), draws.tint((0.93, 0.91, 0.88), 0.02)


def add_tram_car(
    scene: Scene, key: int, livery: tuple[Colour, Colour], x: float, z: float, heading: float, lamps: bool
) -> None:
    """One car of a tram; its cars share the instance `key`."""
    half, long, height = 1.25, TRAM_CAR_M / 2 - 0.08, 3.45
    red, white = livery
    scene.begin(x, z, heading, shadow=(half, long, height))
    scene.box((-half, half), (0.18, height), (-long, long), key, white, Surface.PAINT)
    _beside(scene, key, half + 0.004, (0.18, 0.42), (-long, long), (0.22, 0.21, 0.22))
    _beside(scene, key, half + 0.004, (0.42, 1.45), (-long, long), red, Surface.PAINT)
    _beside(scene, key, half + 0.004, (height - 0.42, height), (-long, long), red)
    _beside(scene, key, half + 0.006, (1.6, 2.75), (-long + 0.2, -0.7), GLASS, Surface.GLASS)
    _beside(scene, key, half + 0.006, (1.6, 2.75), (0.7, long - 0.2), GLASS, Surface.GLASS)
    _beside(scene, key, half + 0.006, (0.5, 2.75), (-0.6, -0.04), GLASS, Surface.GLASS)
    _beside(scene, key, half + 0.006, (0.5, 2.75), (0.04, 0.6), GLASS, Surface.GLASS)
    for end in (-long - 0.005, long + 0.005):
        _across(scene, key, (-half, half), (0.18, 0.42), end, (0.22, 0.21, 0.22))
        _across(scene, key, (-half, half), (0.42, 1.45), end, red, Surface.PAINT)
        _across(scene, key, (-half, half), (height - 0.42, height), end, red)
        _across(scene, key, (-half + 0.15, half - 0.15), (1.5, 2.75), end * 1.001, GLASS, Surface.GLASS)
        _across(scene, key, (-0.6, 0.6), (2.8, 3.0), end * 1.001, (1.0, 0.75, 0.25), Surface.LAMP)
        for side in (-0.85, 0.85):
            lamp = HEAD if end > 0 else TAIL
            _across(scene, key, (side - 0.16, side + 0.16), (0.75, 1.0), end * 1.002, lamp,
                    Surface.LAMP if lamps else Surface.FLAT)  # fmt: skip
    scene.box((-0.7, 0.7), (height, height + 0.25), (-1.5, 1.5), key, (0.42, 0.42, 0.44))
