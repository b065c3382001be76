"""Pedestrians, and riders on bicycles and motorcycles."""

from __future__ import annotations

import math

from .classes import BICYCLE, MOTORCYCLE, PERSON, RIDER
from .draws import Colour, Draws, scaled
from .scene import Scene, Surface

SKIN: tuple[Colour, ...] = ((0.88, 0.68, 0.56), (0.72, 0.50, 0.38), (0.46, 0.30, 0.22), (0.94, 0.76, 0.66))
HAIR: tuple[Colour, ...] = ((0.12, 0.09, 0.07), (0.30, 0.18, 0.10), (0.66, 0.50, 0.26), (0.45, 0.44, 0.44))
TOPS: tuple[Colour, ...] = (
    (0.22, 0.36, 0.72), (0.50, 0.26, 0.64), (0.16, 0.54, 0.58), (0.72, 0.30, 0.54), (0.40, 0.48, 0.80),
    (0.34, 0.20, 0.48), (0.70, 0.54, 0.80),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = (
    (0.14, 0.17, 0.34),
    (0.26, 0.22, 0.30),
    (0.32, 0.36, 0.56),
    (0.42, 0.32, 0.38),
)
JACKETS: tuple[Colour, ...] = ((0.86, 0.98, 0.14), (0.98, 0.52, 0.06), (0.78, 0.95, 0.30), (1.00, 0.64, 0.20))
HELMETS: tuple[Colour, ...] = ((0.96, 0.96, 0.96), (0.90, 0.12, 0.12), (0.95, 0.90, 0.30))
TANKS: tuple[Colour, ...] = ((0.75, 0.06, 0.08), (0.06, 0.20, 0.72), (0.05, 0.45, 0.20))
FRAMES: tuple[Colour, ...] = ((0.10, 0.62, 0.72), (0.16, 0.72, 0.50), (0.20, 0.45, 0.85), (0.75, 0.90, 0.92))
RUBBER: Colour = (0.06, 0.06, 0.07)
STEEL: Colour = (0.55, 0.56, 0.58)


def _limb(
    scene: Scene, key: int, start: tuple[float, float], end: tuple[float, float], widths: tuple[float, float],
    colour: Colour,
) -> None:  # fmt: skip
    """A tapering limb between two points of the billboard."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    norm = math.hypot(dx, dy) or 1.0
    nx, ny = -dy / norm / 2, dx / norm / 2
    a, b = widths
    scene.polygon(
        [(start[0] - nx * a, start[1] - ny * a, 0), (end[0] - nx * b, end[1] - ny * b, 0),
         (end[0] + nx * b, end[1] + ny * b, 0), (start[0] + nx * a, start[1] + ny * a, 0)],
        key, colour, two_sided=True,
    )  # fmt: skip


def add_person(scene: Scene, draws: Draws, x: float, z: float, facing: float) -> None:
    """A pedestrian on a billboard across the view at world (x, z)."""
    key = scene.instance(PERSON)
    child = draws.chance(0.1)
    h = draws.uniform(1.15, 1.35) if child else draws.uniform(1.62, 1.88)
    scene.begin(x, z, facing, shadow=(0.22, 0.16, h))
    skin, hair = draws.pick(SKIN), draws.pick(HAIR)
    top = draws.tint(draws.pick(TOPS), 0.05)
    trousers = draws.tint(draws.pick(TROUSERS), 0.03)
    side = draws.chance(0.5)
    towards = draws.sign()
    stride = draws.uniform(0.06, 0.15) * h if side else draws.uniform(0.01, 0.03) * h
    hip = 0.05 * h
    # The far leg and arm are darker: they stand for the shaded side.
    for sign, shade in ((-1.0, 0.75), (1.0, 1.0)):
        foot = sign * (stride + (0 if side else hip))
        start = sign * (0.01 * h if side else hip)
        _limb(scene, key, (start, 0.50 * h), (foot, 0.03 * h), (0.105 * h, 0.075 * h), scaled(trousers, shade))
        toe = foot + (towards * 0.03 * h if side else 0.0)
        scene.panel((toe - 0.05 * h, toe + 0.05 * h), (0, 0.035 * h), key, (0.10, 0.08, 0.08))
    shoulder = (0.10 if side else 0.135) * h
    waist = (0.085 if side else 0.10) * h
    swing = draws.uniform(0.08, 0.16) * h if side else 0.03 * h
    arm = scaled(top, 0.8)
    if side:
        _limb(scene, key, (0, 0.79 * h), (-swing, 0.47 * h), (0.07 * h, 0.055 * h), scaled(top, 0.65))
    coat = draws.chance(0.3)
    hem = 0.34 * h if coat else 0.46 * h
    flare = 1.25 if coat else 1.0
    scene.polygon(
        [(-waist * flare, hem, 0), (waist * flare, hem, 0), (shoulder, 0.78 * h, 0),
         (shoulder * 0.5, 0.835 * h, 0), (-shoulder * 0.5, 0.835 * h, 0), (-shoulder, 0.78 * h, 0)],
        key, top, two_sided=True,
    )  # fmt: skip
    if not side:
        _limb(scene, key, (-shoulder, 0.80 * h), (-shoulder - swing, 0.46 * h), (0.065 * h, 0.05 * h), arm)
        _limb(scene, key, (shoulder, 0.80 * h), (shoulder + swing, 0.46 * h), (0.065 * h, 0.05 * h), arm)
        if draws.chance(0.3):
            bag = draws.tint((0.30, 0.22, 0.20), 0.06)
            scene.panel((-0.075 * h, 0.075 * h), (0.56 * h, 0.78 * h), key, bag)
    else:
        _limb(scene, key, (0, 0.79 * h), (swing, 0.47 * h), (0.07 * h, 0.055 * h), arm)
    back = not side and draws.chance(0.5)
    scene.ellipse(0, 0.905 * h, 0.058 * h, 0.078 * h, key, hair if back else skin)
    lean = -towards * 0.015 * h if side else 0.0
    scene.ellipse(lean, 0.925 * h, 0.062 * h, 0.072 * h, key, hair, arc=(0.0, 0.545))


def _bicycle(scene: Scene, draws: Draws, key: int) -> None:
    """Spoked wheels and a thin frame; the wheels count as filled so that the mask survives small sizes."""
    frame = draws.tint(draws.pick(FRAMES), 0.04)
    radius, reach = 0.37, 0.56
    gap: Colour = (0.62, 0.66, 0.68)
    for end in (-reach, reach):
        scene.box((-0.05, 0.05), (0, 2 * radius), (end - 0.05, end + 0.05), key, RUBBER)
        scene.disc(0, radius, end, radius, key, RUBBER, Surface.SPOKES, gap, (radius, 0, 0, 0, 0, 0))
    tubes = (
        ((-reach, radius), (-0.14, 0.82)), ((-reach, radius), (0.0, 0.33)), ((0.0, 0.33), (-0.2, 0.95)),
        ((0.0, 0.33), (0.40, 0.80)), ((-0.14, 0.82), (0.40, 0.84)), ((reach, radius), (0.36, 1.02)),
    )  # fmt: skip
    for (z0, y0), (z1, y1) in tubes:
        dz, dy = z1 - z0, y1 - y0
        norm = math.hypot(dz, dy)
        nz, ny = -dy / norm * 0.045, dz / norm * 0.045
        scene.polygon(
            [(0, y0 - ny, z0 - nz), (0, y1 - ny, z1 - nz), (0, y1 + ny, z1 + nz), (0, y0 + ny, z0 + nz)],
            key, frame, two_sided=True,
        )  # fmt: skip
    scene.box((-0.04, 0.04), (0.34, 0.86), (-0.14, -0.08), key, frame)
    scene.box((-0.10, 0.10), (0.92, 1.0), (-0.32, -0.08), key, (0.10, 0.09, 0.09))
    scene.box((-0.29, 0.29), (1.0, 1.07), (0.32, 0.40), key, STEEL)
    scene.box((-0.05, 0.05), (0.60, 0.72), (-reach - 0.06, -reach - 0.03), key, (0.9, 0.1, 0.1))


def _motorcycle(scene: Scene, draws: Draws, key: int, lamps: bool) -> None:
    """A dark chunky machine with a coloured tank."""
    tank = draws.tint(draws.pick(TANKS), 0.04)
    radius, reach = 0.33, 0.70
    dark: Colour = (0.11, 0.11, 0.12)
    for end in (-reach, reach):
        scene.box((-0.10, 0.10), (0, 2 * radius), (end - 0.06, end + 0.06), key, RUBBER)
        for side in (-0.08, 0.08):
            scene.disc(side, radius, end, radius, key, RUBBER)
            scene.disc(side * 1.1, radius, end, radius * 0.5, key, STEEL)
    scene.box((-0.20, 0.20), (0.26, 0.72), (-0.42, 0.42), key, dark, taper=(0.03, 0.05, 0.05))
    scene.box((0.16, 0.27), (0.26, 0.40), (-0.85, 0.1), key, (0.66, 0.66, 0.68))
    scene.box((-0.17, 0.17), (0.66, 0.86), (-0.80, 0.0), key, (0.08, 0.07, 0.08), taper=(0.02, 0.0, 0.0))
    scene.box((-0.20, 0.20), (0.68, 1.0), (-0.05, 0.50), key, tank, Surface.PAINT, taper=(0.05, 0.05, 0.1))
    scene.box((-0.13, 0.13), (0.62, 0.80), (-0.92, -0.70), key, tank, Surface.PAINT)
    scene.box((-0.07, 0.07), (0.4, 1.0), (0.50, 0.64), key, STEEL)
    scene.box((-0.38, 0.38), (1.02, 1.10), (0.38, 0.46), key, dark)
    scene.box((-0.14, 0.14), (0.80, 1.06), (0.56, 0.72), key, dark)
    lamp = Surface.LAMP if lamps else Surface.FLAT
    scene.polygon([(0.1, 0.84, 0.73), (-0.1, 0.84, 0.73), (-0.1, 1.02, 0.73), (0.1, 1.02, 0.73)],
                  key, (1.0, 0.97, 0.8), lamp)  # fmt: skip
    scene.polygon([(-0.1, 0.68, -0.93), (0.1, 0.68, -0.93), (0.1, 0.77, -0.93), (-0.1, 0.77, -0.93)],
                  key, (0.95, 0.1, 0.08), lamp)  # fmt: skip


def _rider(scene: Scene, draws: Draws, seat: float, grip: tuple[float, float], turn: float, motor: bool) -> None:
    """A leaning rider in the billboard plane.

    seat: saddle height; grip: (forward, up) of the handlebar from the saddle; turn: heading of the machine
    relative to the line of sight, so that sin(turn) is how much of its length is seen.
    """
    key = scene.instance(RIDER)
    across, end_on = math.sin(turn), abs(math.cos(turn))
    jacket = draws.tint(draws.pick(JACKETS), 0.03)
    trousers = draws.tint((0.16, 0.16, 0.20), 0.03)
    helmet = draws.pick(HELMETS)
    forward = grip[0] * 0.55 * across
    neck = (forward, seat + 0.58)
    wide = 0.13 + 0.11 * end_on
    for sign, shade, phase in ((-1.0, 0.75, 0.0), (1.0, 1.0, 0.22)):
        hip = (sign * 0.11 * end_on, seat + 0.02)
        knee = (hip[0] + sign * 0.06 * end_on + 0.36 * across, seat - 0.10 + phase * 0.5)
        foot = (hip[0] + sign * 0.04 * end_on + 0.16 * across, seat - 0.62 + phase)
        _limb(scene, key, hip, knee, (0.19, 0.15), scaled(trousers, shade))
        _limb(scene, key, knee, foot, (0.15, 0.11), scaled(trousers, shade))
    hand_height = seat + grip[1]
    for sign, shade in ((-1.0, 0.75), (1.0, 0.88)):
        hand = (grip[0] * across + sign * 0.28 * end_on, hand_height)
        _limb(
            scene,
            key,
            (neck[0] + sign * wide * end_on, neck[1] - 0.06),
            hand,
            (0.14, 0.10),
            scaled(jacket, shade),
        )
    waist = 0.11 + 0.05 * end_on
    scene.polygon(
        [(-waist, seat, 0), (waist, seat, 0), (neck[0] + wide, neck[1] - 0.05, 0),
         (neck[0] + wide * 0.4, neck[1] + 0.02, 0), (neck[0] - wide * 0.4, neck[1] + 0.02, 0),
         (neck[0] - wide, neck[1] - 0.05, 0)],
        key, jacket, two_sided=True,
    )  # fmt: skip
    head = (neck[0] + 0.10 * across, neck[1] + 0.13)
    scene.ellipse(head[0], head[1], 0.12, 0.145, key, draws.pick(SKIN))
    if motor:
        scene.ellipse(head[0], head[1] + 0.01, 0.145, 0.165, key, helmet)
        visor = head[0] + 0.06 * across
        scene.panel((visor - 0.09, visor + 0.09), (head[1] - 0.05, head[1] + 0.05), key, (0.10, 0.12, 0.16))
    else:
        scene.ellipse(head[0], head[1] + 0.03, 0.15, 0.145, key, helmet, arc=(0.0, 0.5))


def add_bicycle(scene: Scene, draws: Draws, x: float, z: float, heading: float, ridden: bool, facing: float) -> None:
    """A bicycle at world (x, z), with a rider on it or parked; `facing` is the bearing from the camera."""
    key = scene.instance(BICYCLE)
    scene.begin(x, z, heading, shadow=(0.08, 0.85, 1.5 if ridden else 0.9))
    _bicycle(scene, draws, key)
    if ridden:
        # A rider sits just on the camera's side of the frame in the painter's order.
        scene.begin(x - 0.02 * math.sin(facing), z - 0.02 * math.cos(facing), facing)
        _rider(scene, draws, 0.97, (0.55, 0.12), heading - facing, False)


def add_motorcycle(
    scene: Scene, draws: Draws, x: float, z: float, heading: float, ridden: bool, facing: float, lamps: bool
) -> None:
    """A motorcycle at world (x, z), with a rider on it or parked; `facing` is the bearing from the camera."""
    key = scene.instance(MOTORCYCLE)
    scene.begin(x, z, heading, shadow=(0.25, 0.95, 1.5 if ridden else 1.0))
    _motorcycle(scene, draws, key, lamps)
    if ridden:
        scene.begin(x - 0.02 * math.sin(facing), z - 0.02 * math.cos(facing), facing)
        _rider(scene, draws, 0.84, (0.60, 0.25), heading - facing, True)
