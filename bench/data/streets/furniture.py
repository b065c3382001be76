"""Street lamps, traffic signs and traffic lights."""

from __future__ import annotations

import math

from .classes import POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN
from .draws import Colour, Draws, scaled
from .scene import Scene, Surface

RED: Colour = (0.90, 0.05, 0.08)
BLUE: Colour = (0.03, 0.22, 0.85)
YELLOW: Colour = (1.00, 0.82, 0.02)
WHITE: Colour = (0.97, 0.97, 0.97)
HOUSING: Colour = (0.05, 0.05, 0.06)


def _post(scene: Scene, x: float, height: float, half: float, colour: Colour) -> None:
    """A round post: a lit half, a darker half."""
    scene.panel((x - half, x + half), (0, height), POLE, colour)
    scene.panel((x + half * 0.2, x + half), (0, height), POLE, scaled(colour, 0.72))


def add_lamp_post(scene: Scene, draws: Draws, x: float, z: float, facing: float, reach: float) -> None:
    """A street lamp, `reach` metres of arm towards the road (signed in the view)."""
    height = draws.uniform(5.0, 7.5)
    grey = draws.tint((0.47, 0.48, 0.50), 0.04)
    half = draws.uniform(0.10, 0.14)
    scene.begin(x, z, facing, shadow=(0.1, 0.1, height))
    _post(scene, 0, height, half, grey)
    scene.panel((-half * 1.5, half * 1.5), (0, 0.7), POLE, scaled(grey, 0.8))
    low, high = (min(0.0, reach), max(0.0, reach))
    scene.panel((low - half, high + half), (height - 0.14, height), POLE, grey)
    lamp: Colour = (0.95, 0.86, 0.62)
    scene.panel((reach - 0.35, reach + 0.35), (height - 0.24, height - 0.1), POLE, lamp, Surface.LAMP,
                parameters=(1.0, 0, 0, 0, 0, 0))  # fmt: skip
    scene.lamps.append((x + reach * math.cos(facing), z))


def _plate(scene: Scene, draws: Draws, y: float, size: float) -> None:
    """One sign plate centred `y` metres up, `size` metres across."""
    kind = draws.pick(("ban", "limit", "danger", "order", "square", "yield", "priority", "stop", "direction"))
    r = size / 2
    if kind in ("ban", "limit"):
        scene.ellipse(0, y, r, r, TRAFFIC_SIGN, RED)
        scene.ellipse(0, y, r * 0.66, r * 0.66, TRAFFIC_SIGN, WHITE)
        if kind == "limit":
            scene.panel((-r * 0.34, -r * 0.06), (y - r * 0.3, y + r * 0.3), TRAFFIC_SIGN, HOUSING)
            scene.panel((r * 0.06, r * 0.34), (y - r * 0.3, y + r * 0.3), TRAFFIC_SIGN, HOUSING)
    elif kind in ("danger", "yield"):
        up = 1.0 if kind == "danger" else -1.0
        for k, colour in ((1.12, RED), (0.62, WHITE)):
            base = y - up * r * 0.1 * (1 - k)
            scene.polygon(
                [(-r * k, base - up * r * 0.8 * k, 0), (r * k, base - up * r * 0.8 * k, 0),
                 (0, base + up * r * k, 0)],
                TRAFFIC_SIGN, colour, two_sided=True,
            )  # fmt: skip
    elif kind == "order":
        scene.ellipse(0, y, r, r, TRAFFIC_SIGN, BLUE)
        scene.panel((-r * 0.14, r * 0.14), (y - r * 0.6, y + r * 0.2), TRAFFIC_SIGN, WHITE)
        scene.polygon([(-r * 0.45, y + r * 0.1, 0), (r * 0.45, y + r * 0.1, 0), (0, y + r * 0.65, 0)],
                      TRAFFIC_SIGN, WHITE, two_sided=True)  # fmt: skip
    elif kind == "square":
        scene.panel((-r, r), (y - r, y + r), TRAFFIC_SIGN, BLUE)
        scene.polygon([(-r * 0.7, y - r * 0.6, 0), (r * 0.7, y - r * 0.6, 0), (0, y + r * 0.7, 0)],
                      TRAFFIC_SIGN, WHITE, two_sided=True)  # fmt: skip
    elif kind == "priority":
        for k, colour in ((1.15, WHITE), (0.85, YELLOW)):
            scene.ellipse(0, y, r * k, r * k, TRAFFIC_SIGN, colour, corners=4)
    elif kind == "stop":
        scene.ellipse(0, y, r, r, TRAFFIC_SIGN, RED, arc=(1 / 16, 17 / 16), corners=8)
        scene.panel((-r * 0.62, r * 0.62), (y - r * 0.16, y + r * 0.16), TRAFFIC_SIGN, WHITE)
    else:
        scene.panel((-r * 1.7, r * 1.7), (y - r * 0.8, y + r * 0.8), TRAFFIC_SIGN, draws.pick((YELLOW, BLUE)))
        scene.panel((-r * 1.4, r * 1.0), (y + r * 0.15, y + r * 0.45), TRAFFIC_SIGN, WHITE)
        scene.panel((-r * 1.4, r * 0.5), (y - r * 0.5, y - r * 0.2), TRAFFIC_SIGN, WHITE)


def add_sign(scene: Scene, draws: Draws, x: float, z: float, facing: float) -> None:
    """One or two plates on a post."""
    size = draws.uniform(0.75, 1.0)
    y = draws.uniform(2.2, 2.7)
    double = draws.chance(0.3)
    grey = draws.tint((0.55, 0.56, 0.58), 0.04)
    scene.begin(x, z, facing, shadow=(0.1, 0.1, y + size))
    _post(scene, 0, y + (size * 1.3 if double else size * 0.4), 0.085, grey)
    _plate(scene, draws, y, size)
    if double:
        _plate(scene, draws, y + size * 1.1, size)


def _head(scene: Scene, draws: Draws, x: float, y: float, state: str) -> None:
    """A three-lamp head whose middle is at (x, y)."""
    half, tall = 0.31, 0.70
    scene.panel((x - half, x + half), (y - tall, y + tall), TRAFFIC_LIGHT, HOUSING)
    for name, dy, colour in (
        ("red", 0.43, (1.0, 0.10, 0.06)), ("amber", 0.0, (1.0, 0.72, 0.05)),
        ("green", -0.43, (0.10, 1.0, 0.45)),
    ):  # fmt: skip
        lit = name == state
        scene.ellipse(x, y + dy, 0.21, 0.21, TRAFFIC_LIGHT, colour if lit else scaled(colour, 0.22),
                      Surface.LAMP if lit else Surface.FLAT)  # fmt: skip


def add_traffic_light(scene: Scene, draws: Draws, x: float, z: float, facing: float, reach: float) -> None:
    """A signal on a post, sometimes with a second head on an arm `reach` metres over the road."""
    state = draws.pick(("red", "red", "green", "green", "amber"))
    y = draws.uniform(2.5, 2.9)
    grey = draws.tint((0.42, 0.43, 0.46), 0.04)
    arm = draws.chance(0.45)
    top = draws.uniform(4.4, 5.0) if arm else y + 0.7
    scene.begin(x, z, facing, shadow=(0.15, 0.15, top))
    _post(scene, 0, top, 0.11, grey)
    _head(scene, draws, 0, y, state)
    if arm:
        low, high = min(0.0, reach), max(0.0, reach)
        scene.panel((low - 0.05, high + 0.05), (top - 0.14, top), POLE, grey)
        _head(scene, draws, reach, top - 0.2, state)
