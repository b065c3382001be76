"""Sampling a scene: which stuff, which things, where, and in what light. Nothing here knows of pixels."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.data.coco_stuff import COCO_STUFF
from bench.data.streets.draws import Draws

from . import animals, food, household, vehicles
from .grounds import GROUNDS, UNLABELLED, Ground
from .outlines import Points, below, between, blob, ridge, slab
from .places import PLACES, RIDGES, Place
from .sketch import Design, Rgb, parts_of, rgb

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LABELS: dict[str, int] = {name: label for label, name in enumerate(COCO_STUFF.names)}
UNKNOWN = LABELS["unknown"]
THINGS: dict[str, Design] = {**vehicles.DESIGNS, **animals.DESIGNS, **food.DESIGNS, **household.DESIGNS}
"""The 80 classes of things that COCO annotates, by name."""

_PERSON_WEIGHT = 8
_TRIES = 8  # places that are looked at before a thing is left out
_MOST_HIDDEN = 0.3  # overlap of two things' boxes as a share of the smaller one
SHADES = 32  # steps of a ground's colours from one tone to the next

Names = tuple[str, ...]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in the unit square."""


@dataclass(frozen=True)
class Region:
    """Stuff inside a polygon (n, 2) of the unit square; None is the whole picture.

    `pattern` names the texture; `colours` (2 * SHADES + 1, 3) uint8 are its tones 0..2; `angle` in radians, `period`
    in picture heights, `origin` where the texture's coordinates begin.
    """

    label: int
    outline: Points | None
    pattern: str
    colours: NDArray[np.uint8]
    period: float
    angle: float
    origin: tuple[float, float]
    seed: int


@dataclass(frozen=True)
class Thing:
    """A pictogram in the unit square: parts back to front, each a polygon (n, 2) and its colour."""

    label: int
    parts: tuple[tuple[Points, Rgb], ...]
    outline: Rgb
    box: Box
    shadow: bool


@dataclass(frozen=True)
class Light:
    """What happens to colours: a gain per channel, its relative change across and down the picture, sensor noise."""

    gain: tuple[float, float, float]
    slope: tuple[float, float]
    noise: float


@dataclass(frozen=True)
class World:
    """Regions back to front, then things back to front."""

    regions: tuple[Region, ...]
    things: tuple[Thing, ...]
    light: Light


def sample_world(rng: np.random.Generator) -> World:
    """One scene."""
    draws = Draws(rng)
    name = draws.weighted({name: place.share for name, place in PLACES.items()})
    place = PLACES[name]
    horizon = draws.uniform(*place.horizon)
    return World(tuple(_regions(draws, place, horizon)), tuple(_things(draws, name, horizon)), _light(draws))


def _light(draws: Draws) -> Light:
    brightness, warmth = draws.uniform(0.86, 1.1), draws.uniform(-0.05, 0.05)
    slope = (draws.uniform(-0.16, 0.16), draws.uniform(-0.16, 0.16))
    return Light((brightness * (1 + warmth), brightness, brightness * (1 - warmth)), slope, draws.uniform(0.004, 0.018))


def _regions(draws: Draws, place: Place, horizon: float) -> list[Region]:
    """Back, middle, ground, then patches: two to four classes of stuff, and at times something without a label."""
    used: set[str] = set()

    def pick(names: Names) -> str:
        left = [name for name in names if name not in used]
        chosen = draws.pick(left or names)
        used.add(chosen)
        return chosen

    def add(name: str, outline: Points | None) -> None:
        regions.append(_region(draws, LABELS[name], GROUNDS[name], outline))

    regions: list[Region] = []
    add(pick(place.back), None)
    if draws.chance(place.middle_chance):
        name = pick(place.middle)
        add(name, below(ridge(draws, horizon - draws.uniform(0.16, 0.34), RIDGES.get(name, "rolling"))))
    if draws.chance(place.top_chance):
        add(pick(place.top), between(ridge(draws, -0.1, "level"), draws.uniform(0.24, 0.34)))
    name = pick(place.ground)
    edge = ridge(draws, horizon, RIDGES.get(name, "rolling"))
    add(name, below(edge))
    if draws.chance(0.12):
        regions.append(_region(draws, UNKNOWN, draws.pick(UNLABELLED), between(edge, draws.uniform(0.04, 0.08))))
    for _ in range(max(1, draws.integer(2, 4) - len(used)) if draws.chance(0.8) else 0):
        _add_patch(draws, place, horizon, pick, add)
    if draws.chance(0.22):
        lump = blob(draws, draws.unit(), draws.unit(), draws.uniform(0.08, 0.2), draws.uniform(0.08, 0.16))
        regions.append(_region(draws, UNKNOWN, draws.pick(UNLABELLED), lump))
    return regions


def _add_patch(
    draws: Draws, place: Place, horizon: float, pick: Callable[[Names], str], add: Callable[[str, Points], None]
) -> None:
    """One more ground: a slab on its foot, a slab on the wall, or a lump on the ground."""
    kind = draws.weighted({"standing": 1.0, "lying": 1.2, "hanging": 1.0 if place.hanging else 0.0})
    x, wide = draws.uniform(0.08, 0.92), draws.uniform(0.16, 0.32)
    if kind == "standing":
        foot, high = horizon + draws.uniform(0.02, 0.2), draws.uniform(0.3, 0.5)
        add(pick(place.standing), slab(draws, x - wide, foot - high, x + wide, foot))
    elif kind == "hanging":
        y = draws.uniform(0.16, max(0.2, horizon - 0.2))
        add(pick(place.hanging), slab(draws, x - wide, y - 0.17, x + wide, y + draws.uniform(0.12, 0.22)))
    else:
        y = draws.uniform(horizon + 0.14, 0.95)
        add(pick(place.lying), blob(draws, x, y, wide + 0.04, draws.uniform(0.11, 0.2)))


def _region(draws: Draws, label: int, ground: Ground, outline: Points | None) -> Region:
    """A ground with the variation that all have: hue, saturation and brightness, period, angle and place."""
    hue, saturation, value = draws.uniform(-0.02, 0.02), draws.uniform(0.86, 1.12), draws.uniform(0.86, 1.1)
    tones = [_vary(rgb(colour), hue, saturation, value) for colour in ground.colours]
    tones += [tones[-1]] * (3 - len(tones))
    steps = np.linspace(0, 2, 2 * SHADES + 1)
    table = np.stack([np.interp(steps, (0, 1, 2), [tone[c] for tone in tones]) for c in range(3)], axis=1)
    angle = np.radians(ground.tilt + draws.uniform(-ground.swing, ground.swing))
    fixed = ground.pattern == "gradient"
    return Region(
        label,
        outline,
        ground.pattern,
        (table + 0.5).astype(np.uint8),
        ground.period * (1 if fixed else draws.uniform(0.85, 1.2)),
        float(angle),
        (0.0, 0.0) if fixed else (draws.uniform(0, 4), draws.uniform(0, 4)),
        draws.integer(0, 4095),
    )


def _vary(colour: Rgb, hue: float, saturation: float, value: float) -> Rgb:
    h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
    r, g, b = colorsys.hsv_to_rgb((h + hue) % 1.0, min(1.0, s * saturation), min(1.0, v * value))
    return round(r * 255), round(g * 255), round(b * 255)


def _things(draws: Draws, place: str, horizon: float) -> list[Thing]:
    """One to five things that do not hide each other, those that stand farther away first."""
    weights = {
        name: (_PERSON_WEIGHT if name == "person" else 1) / len(what.places)
        for name, what in THINGS.items()
        if place in what.places
    }
    names = [draws.weighted(weights) for _ in range(draws.pick((1, 2, 2, 3, 3, 4, 4, 5)))]
    names.sort(key=lambda name: -THINGS[name].size[1])  # what is large finds no room later
    boxes: list[Box] = []
    things: list[Thing] = []
    for name in names:
        for _ in range(_TRIES):
            box = _box(draws, THINGS[name], horizon)
            if all(_hidden(box, other) <= _MOST_HIDDEN for other in boxes):
                things.append(_thing(draws, name, box))
                boxes.append(box)
                break
    return sorted(things, key=lambda thing: thing.box[3])


def _box(draws: Draws, what: Design, horizon: float) -> Box:
    """Where a thing may be: x0, y0, x1, y1. What stands has its foot on the ground; the nearer, the larger."""
    near = draws.unit()
    low, high = what.size
    side = low + (high - low) * (0.7 * near + 0.3 * draws.unit())
    aspect = what.aspect * draws.uniform(0.9, 1.12)
    wide, tall = (side, side / aspect) if aspect > 1 else (side * aspect, side)
    x = draws.uniform(wide * 0.35, 1 - wide * 0.35)
    if what.stands == "ground":
        bottom = min(0.99, horizon + 0.05 + near * (0.93 - horizon))
        bottom = max(bottom, min(0.99, tall + 0.01))
    elif what.stands == "up":
        bottom = tall + draws.uniform(0.0, max(0.05, 0.7 - tall))
    else:
        highest = max(tall + 0.02, horizon + 0.1) if what.stands == "flat" else tall + 0.02
        bottom = draws.uniform(highest, max(highest, 0.98))
    return x - wide / 2, bottom - tall, x + wide / 2, bottom


def _hidden(a: Box, b: Box) -> float:
    """Overlap of two boxes as a share of the smaller one."""
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or tall <= 0:
        return 0.0
    return wide * tall / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def _thing(draws: Draws, name: str, box: Box) -> Thing:
    what = THINGS[name]
    turn = np.radians(draws.uniform(-what.turn, what.turn))
    wide, tall = box[2] - box[0], box[3] - box[1]
    scale = np.array([wide / what.aspect * draws.sign(), tall], np.float32)
    # In a square picture a turn is rigid; the stretch to other shapes comes last, in the renderer.
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]], np.float32)
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], np.float32)
    hue, saturation, value = draws.uniform(-0.012, 0.012), draws.uniform(0.9, 1.08), draws.uniform(0.9, 1.08)
    parts = tuple(
        (np.asarray((points * scale) @ matrix + centre, np.float32), _vary(colour, hue, saturation, value))
        for points, colour in parts_of(what, draws.pick(what.paints))
    )
    return Thing(LABELS[name], parts, what.outline, box, what.stands == "ground")
