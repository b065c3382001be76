"""Rows of houses, walls, fences and the skyline that closes the street."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .classes import BUILDING, FENCE, VEGETATION, WALL
from .draws import Colour, Draws, scaled
from .scene import BACKDROP, Scene, Surface

if TYPE_CHECKING:
    from .ground import Street

PLASTER: tuple[Colour, ...] = (
    (0.83, 0.74, 0.58), (0.86, 0.82, 0.74), (0.72, 0.60, 0.45), (0.62, 0.40, 0.32), (0.80, 0.66, 0.60),
    (0.58, 0.46, 0.38), (0.88, 0.78, 0.50), (0.70, 0.66, 0.62),
)  # fmt: skip
ROOFS: tuple[Colour, ...] = ((0.50, 0.24, 0.18), (0.36, 0.25, 0.22), (0.30, 0.28, 0.30))
END_M = 105.0
"""Where the street is closed by a skyline."""


def add_house(
    scene: Scene, draws: Draws, street: Street, sign: float, front: float, start: float, length: float
) -> None:
    """A house between `start` and `start + length` along the street, its front `front` m off the centre."""
    suburb = street.side(sign).kind != "city"
    storey = draws.uniform(2.7, 3.4)
    storeys = draws.integer(1, 2) if suburb else draws.integer(2, 6)
    height = storeys * storey + 0.6
    depth = draws.uniform(8, 12)
    x, z, heading = street.place(sign * (front + depth / 2), start + length / 2)
    scene.begin(x, z, heading, BACKDROP, (depth / 2, length / 2, height))
    colour = draws.tint(draws.pick(PLASTER), 0.06)
    accent = draws.pick(((0.55, 0.12, 0.12), (0.12, 0.25, 0.42), (0.16, 0.34, 0.22), (0.30, 0.20, 0.14)))
    shop = 0.0 if suburb else float(draws.chance(0.55))
    bay = length / max(2, round(length / draws.uniform(2.2, 3.4)))
    parameters = (bay, storey, float(draws.integer(0, 900)), shop, height, draws.uniform(0.36, 0.56))
    half, long = depth / 2, length / 2
    pitched = suburb or draws.chance(0.5)
    scene.box((-half, half), (0, height), (-long, long), BUILDING, colour, Surface.FACADE, accent, parameters,
              top=False)  # fmt: skip
    roof = draws.tint(draws.pick(ROOFS), 0.04)
    if pitched:
        ridge = height + draws.uniform(1.8, 3.4)
        eave = half + 0.3
        for edge in (-1.0, 1.0):
            near, far = (-long, long) if edge > 0 else (long, -long)
            scene.polygon(
                [(edge * eave, height - 0.1, near), (edge * eave, height - 0.1, far), (0, ridge, far),
                 (0, ridge, near)],
                BUILDING, roof, Surface.ROOF,
            )  # fmt: skip
        gable = scaled(colour, 0.95)
        scene.polygon([(-half, height, -long), (half, height, -long), (0, ridge, -long)], BUILDING, gable)
        scene.polygon([(half, height, long), (-half, height, long), (0, ridge, long)], BUILDING, gable)
        scene.box(
            (-0.4, 0.4),
            (ridge - 0.6, ridge + 0.7),
            (-long * 0.5, -long * 0.5 + 0.7),
            BUILDING,
            scaled(roof, 0.8),
        )
    else:
        scene.box((-half - 0.2, half + 0.2), (height, height + 0.4), (-long, long), BUILDING, scaled(colour, 0.75))


def add_barrier(
    scene: Scene,
    draws: Draws,
    street: Street,
    sign: float,
    offset: float,
    span: tuple[float, float],
    kind: str,
) -> None:
    """A wall or fence along the street, cut into short pieces so that each sorts by its own distance."""
    piece = 3.0
    height = draws.uniform(1.3, 2.4) if kind == "wall" else draws.uniform(1.1, 1.9)
    brick = float(draws.chance(0.45))
    if kind == "wall":
        colour = draws.tint((0.50, 0.34, 0.30) if brick else (0.52, 0.53, 0.55), 0.05)
    else:
        colour = draws.tint(draws.pick(((0.12, 0.20, 0.20), (0.42, 0.28, 0.14), (0.80, 0.82, 0.84))), 0.03)
    along = span[0]
    while along < span[1]:
        middle = along + piece / 2
        along += piece
        if street.crossing is not None and street.crossing[0] - 4 < middle < street.crossing[1] + 4:
            continue
        x, z, heading = street.place(sign * offset, middle)
        half = piece / 2 + 0.02
        if kind == "wall":
            scene.begin(x, z, heading, shadow=(0.15, half, height))
            parameters = (brick, height, 0.0, 0.0, 0.0, 0.0)
            scene.box(
                (-0.14, 0.14),
                (0, height),
                (-half, half),
                WALL,
                colour,
                Surface.MASONRY,
                (0, 0, 0),
                parameters,
            )
            scene.box((-0.2, 0.2), (height - 0.02, height + 0.14), (-half, half), WALL, scaled(colour, 1.25))
        else:
            scene.begin(x, z, heading, shadow=(0.05, half, height * 0.6))
            parameters = (0.30, height, 0.0, 0.0, 0.0, 0.0)
            for face in (-half, half):
                scene.polygon(
                    [(0.0, 0.0, -face), (0.0, 0.0, face), (0.0, height, face), (0.0, height, -face)],
                    FENCE, colour, Surface.FENCE, (0.33, 0.36, 0.30), parameters,
                )  # fmt: skip
            scene.box((-0.06, 0.06), (0, height + 0.1), (-half, -half + 0.12), FENCE, scaled(colour, 0.9))


def add_skyline(scene: Scene, draws: Draws, street: Street) -> None:
    """Distant houses and woods across the end of the street."""
    across = -110.0
    while across < 110.0:
        width = draws.uniform(9, 20)
        x, z, _ = street.place(across + width / 2, END_M + draws.uniform(0, 12))
        across += width
        scene.begin(x, z, 0.0, BACKDROP)
        if draws.chance(0.5):
            height = draws.uniform(7, 18)
            parameters = (3.0, 3.1, float(draws.integer(0, 900)), 0.0, height, 0.45)
            scene.panel((-width / 2, width / 2), (0, height), BUILDING, draws.tint(draws.pick(PLASTER)),
                        Surface.FACADE, (0.4, 0.3, 0.3), parameters)  # fmt: skip
        else:
            height = draws.uniform(6, 11)
            scene.panel((-width / 2 - 1, width / 2 + 1), (0, height * 0.7), VEGETATION, (0.12, 0.27, 0.12),
                        Surface.FOLIAGE)  # fmt: skip
            scene.ellipse(0, height * 0.65, width * 0.5, height * 0.35, VEGETATION, (0.13, 0.30, 0.12),
                          Surface.FOLIAGE)  # fmt: skip
