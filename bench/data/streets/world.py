"""Sampling a world: the street, what lines it and who is on it. Nothing here depends on the image size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import buildings, furniture, people, plants, vehicles
from .camera import Camera
from .classes import TRAM
from .draws import Draws
from .ground import KERB_M, Street, sample_street
from .light import Light, sample_light
from .scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

LEADING = {"car": 0.58, "truck": 0.19, "bus": 0.23}
FOLLOWING = {"car": 0.76, "truck": 0.12, "bus": 0.12}
PARKED = {"car": 0.88, "truck": 0.12}
"""Weights of the nearest vehicle of a lane, of those behind it, and of parked ones. Rare kinds lead more
often than on real streets, so that they are seen large."""

MIN_HEIGHT = 0.0625
"""Things lower than this share of the image height are left out: 4 rows of 64."""


@dataclass(frozen=True)
class World:
    """Everything that a picture is drawn from."""

    scene: Scene
    street: Street
    light: Light
    camera: Camera


def sample_world(rng: np.random.Generator, widened: float = 1.0) -> World:
    """Draw a world; `widened` as in `Draws`."""
    draws = Draws(rng, widened)
    street = sample_street(draws)
    light = sample_light(draws)
    camera = Camera(
        height_m=draws.uniform(1.35, 2.1),
        lateral_m=draws.uniform(0.25, 0.6) * street.half_width_m,
        yaw=draws.uniform(-0.07, 0.07),
        focal=draws.uniform(1.35, 1.8),
        horizon=draws.uniform(0.40, 0.50),
    )
    scene = Scene()
    builder = _Builder(scene, draws, street, light, camera)
    buildings.add_skyline(scene, draws, street)
    for sign in (-1.0, 1.0):
        builder.line_side(sign)
    builder.furnish()
    builder.traffic()
    builder.walkers()
    return World(scene, street, light, camera)


class _Builder:
    """Fills one scene; positions are (metres right of the centre line, metres ahead)."""

    def __init__(self, scene: Scene, draws: Draws, street: Street, light: Light, camera: Camera) -> None:
        self.scene, self.draws, self.street, self.light, self.camera = scene, draws, street, light, camera
        self._taken: list[tuple[float, float, float, float]] = []

    def _facing(self, x: float, z: float) -> float:
        """Bearing of a place from the camera: the heading that turns a billboard across the view."""
        return math.atan2(x - self.camera.lateral_m, z)

    def _free(self, lateral: float, along: float, wide: float, long: float) -> bool:
        """Claim a place, `wide` and `long` metres each way, unless something stands there already."""
        if any(abs(a - lateral) < wide + w and abs(s - along) < long + h for a, s, w, h in self._taken):
            return False
        self._taken.append((lateral, along, wide, long))
        return True

    def _resolved(self, height: float, along: float) -> bool:
        """Whether something `height` metres tall is worth drawing so far away."""
        return self.camera.focal * height >= MIN_HEIGHT * along

    def _at_crossing(self, along: float, margin: float = 1.0) -> bool:
        crossing = self.street.crossing
        return crossing is not None and crossing[0] - margin < along < crossing[1] + margin

    def line_side(self, sign: float) -> None:
        """Houses, gardens, walls, fences, hedges and trees from the pavement's edge outwards."""
        draws, street = self.draws, self.street
        side = street.side(sign)
        edge = street.half_width_m + side.edge_m
        setback = {"city": 0.0, "suburb": draws.uniform(4, 8), "park": 18.0, "works": draws.uniform(5, 12)}[side.kind]
        along = draws.uniform(-4, 4)
        while along < 95:
            length = draws.uniform(7, 14)
            gap = 0.0 if side.kind == "city" else draws.uniform(1, 6)
            clear = street.crossing is None or along + length < street.crossing[0] - 2 or along > street.crossing[1] + 2
            if clear and draws.chance({"city": 0.96, "suburb": 0.85, "park": 0.25, "works": 0.6}[side.kind]):
                buildings.add_house(self.scene, draws, street, sign, edge + setback, along, length)
            along += length + gap
        if side.kind == "works" or (side.kind == "suburb" and draws.chance(0.75)):
            weights = {"wall": 0.5, "fence": 0.5} if side.kind == "works" else {"wall": 0.3, "fence": 0.5, "hedge": 0.2}
            kind = draws.weighted(weights)
            if kind == "hedge":
                self._hedge(sign, edge + 0.5)
            else:
                span = (2.0, draws.uniform(30, 60))
                buildings.add_barrier(self.scene, draws, street, sign, edge + 0.08, span, kind)
        elif side.kind == "park" and draws.chance(0.45):
            buildings.add_barrier(self.scene, draws, street, sign, edge + 0.08, (2.0, 45.0), "fence")
        self._plant(sign, edge)

    def _hedge(self, sign: float, offset: float) -> None:
        height = self.draws.uniform(0.9, 1.7)
        for i in range(14):
            x, z, heading = self.street.place(sign * offset, 3 + 3.0 * i)
            if not self._at_crossing(z, 3.5):
                plants.add_hedge(self.scene, self.draws, x, z, heading, 1.52, height)

    def _plant(self, sign: float, edge: float) -> None:
        draws, street = self.draws, self.street
        side = street.side(sign)
        spacing = draws.uniform(7, 13)
        if (side.verge_m > 0 and draws.chance(0.8)) or (side.kind == "city" and draws.chance(0.3)):
            offset = street.half_width_m + max(side.verge_m / 2, 0.6)
            along = draws.uniform(7, 14)
            while along < 75:
                if not self._at_crossing(along, 3):
                    self._plant_at(plants.add_tree, sign * offset, along)
                along += spacing * draws.uniform(0.9, 1.2)
        if side.kind != "city":
            for _ in range({"suburb": 4, "park": 12, "works": 4}[side.kind]):
                lateral, along = sign * (edge + draws.uniform(1.8, 12)), draws.uniform(8, 70)
                if not self._at_crossing(along, 3):
                    self._plant_at(plants.add_tree if draws.chance(0.65) else plants.add_bush, lateral, along)

    def _plant_at(self, add: Callable[[Scene, Draws, float, float, float], None], lateral: float, along: float) -> None:
        if self._free(lateral, along, 0.6, 0.8):
            x, z, _ = self.street.place(lateral, along)
            add(self.scene, self.draws, x, z, self._facing(x, z))

    def furnish(self) -> None:
        """Lamp posts, signs and traffic lights at the kerb."""
        draws, street = self.draws, self.street
        lamp_side = draws.sign()
        along = draws.uniform(7, 15)
        spacing = draws.uniform(14, 24)
        while along < 70:
            x, z, _ = street.place(lamp_side * (street.half_width_m + 0.45), along)
            furniture.add_lamp_post(self.scene, draws, x, z, self._facing(x, z), -lamp_side * draws.uniform(0.8, 1.8))
            self._taken.append((lamp_side * (street.half_width_m + 0.45), along, 0.4, 0.4))
            along += spacing
        for sign, chance in ((1.0, 0.45), (-1.0, 0.25)):
            if draws.chance(chance):
                self._post(furniture.add_sign, sign * (street.half_width_m + 0.5), draws.uniform(7, 14))
            if draws.chance(chance * 0.5):
                self._post(furniture.add_sign, sign * (street.half_width_m + 0.5), draws.uniform(13, 20))
        if (street.crossing is not None and draws.chance(0.75)) or (street.zebra and draws.chance(0.4)):
            stop = street.crossing[0] - 4.6 if street.crossing is not None else 12.0
            stop = min(max(stop, 11.0), 19.0)
            for sign in (1.0, -1.0):
                if sign > 0 or draws.chance(0.7):
                    lateral = sign * (street.half_width_m + 0.6)
                    x, z, _ = street.place(lateral, stop)
                    reach = -sign * draws.uniform(1.6, 2.6)
                    furniture.add_traffic_light(self.scene, draws, x, z, self._facing(x, z), reach)
                    self._taken.append((lateral, stop, 0.4, 0.4))

    def _post(self, add: Callable[[Scene, Draws, float, float, float], None], lateral: float, along: float) -> None:
        if self._free(lateral, along, 0.45, 0.6):
            x, z, _ = self.street.place(lateral, along)
            add(self.scene, self.draws, x, z, self._facing(x, z))

    def traffic(self) -> None:
        """Vehicles moving and parked: right of the centre line away from the camera, left towards it."""
        draws, street = self.draws, self.street
        half = street.half_width_m
        drive = half - 2.2 if street.parking else half
        if street.tracks is not None and draws.chance(0.85):
            self._tram(street.tracks if draws.chance(0.7) else -street.tracks)
        for sign in (1.0, -1.0):
            lane = sign * drive / 2
            along = draws.uniform(8, 15) if sign > 0 else draws.uniform(8, 17)
            for i in range(draws.integer(0, 3)):
                turn = 0.0 if sign > 0 else math.pi
                self._vehicle(lane + draws.uniform(-0.2, 0.2), along, turn, follows=i > 0)
                along += draws.uniform(10, 24)
            if draws.chance(0.38):
                self._cycle(sign * (drive - draws.uniform(0.7, 1.1)), draws.uniform(6, 11.5), sign, True)
        if street.parking or draws.chance(0.3):
            self._parked(half - 1.05)
        if street.crossing is not None:
            self._crossing(*street.crossing)
        for _ in range(draws.integer(0, 2) if draws.chance(0.5) else 0):
            sign = 1.0 if draws.chance(0.65) else -1.0
            lateral = sign * (half + draws.uniform(0.6, 1.5))
            self._cycle(lateral, draws.uniform(6, 12), sign, False, across=draws.chance(0.6))

    def _parked(self, lateral: float) -> None:
        draws = self.draws
        for sign in (1.0, -1.0):
            along = draws.uniform(6, 12)
            while along < 50:
                if draws.chance(0.55) and not self._at_crossing(along, 5):
                    self._vehicle(sign * lateral, along, 0.0 if sign > 0 else math.pi, True)
                along += draws.uniform(5.6, 7.0)

    def _crossing(self, start: float, end: float) -> None:
        draws = self.draws
        if draws.chance(0.5):
            along = (start + end) / 2 + draws.sign() * 1.9
            turn = math.pi / 2 * draws.sign()
            self._vehicle(draws.uniform(-7, 7), along, turn)
        if draws.chance(0.3):
            self._cycle(draws.uniform(-3, 4), start + 0.5, draws.sign(), True, across=True)

    def _tram(self, lateral: float) -> None:
        draws = self.draws
        start = draws.uniform(9, 22)
        away = 0.0 if lateral > 0 else math.pi
        key = self.scene.instance(TRAM)
        livery = vehicles.tram_livery(draws)
        for i in range(draws.integer(2, 3)):
            along = start + vehicles.TRAM_CAR_M * (i + 0.5)
            if not self._free(lateral, along, 1.4, vehicles.TRAM_CAR_M / 2 + 0.3) and i == 0:
                return
            x, z, heading = self.street.place(lateral, along)
            vehicles.add_tram_car(self.scene, key, livery, x, z, heading + away, self.light.lamps)

    def _vehicle(self, lateral: float, along: float, turn: float, parked: bool = False, follows: bool = False) -> None:
        draws = self.draws
        kind = draws.weighted(PARKED if parked else FOLLOWING if follows else LEADING)
        long = {"car": 2.5, "truck": 4.9, "bus": 6.2}[kind]
        if not parked:
            along += long - 2.5
        tall = 1.5 if kind == "car" else 3.0
        claim = (long, 1.2) if abs(math.cos(turn)) < 0.5 else (1.2, long)
        if not self._resolved(tall, along) or not self._free(lateral, along, *claim):
            return
        x, z, heading = self.street.place(lateral, along)
        add = {"car": vehicles.add_car, "truck": vehicles.add_truck, "bus": vehicles.add_bus}[kind]
        add(self.scene, draws, x, z, heading + turn, self.light.lamps and not parked)

    def _cycle(self, lateral: float, along: float, sign: float, ridden: bool, across: bool = False) -> None:
        draws = self.draws
        if not self._free(lateral, along, *((1.0, 0.5) if across else (0.45, 1.0))):
            return
        x, z, heading = self.street.place(lateral, along)
        if across:
            heading += sign * math.pi / 2 + draws.uniform(-0.4, 0.4)
        else:
            heading += (0.0 if sign > 0 else math.pi) + draws.uniform(-0.45, 0.45)
        facing = self._facing(x, z)
        if draws.chance(0.5):
            people.add_bicycle(self.scene, draws, x, z, heading, ridden, facing)
        else:
            lamps = self.light.lamps and ridden
            people.add_motorcycle(self.scene, draws, x, z, heading, ridden, facing, lamps)

    def walkers(self) -> None:
        """Pedestrians on both pavements, most of them near, and some crossing."""
        draws, street = self.draws, self.street
        for sign in (1.0, -1.0):
            side = street.side(sign)
            inner = street.half_width_m + max(side.verge_m, KERB_M) + 0.3
            outer = street.half_width_m + side.edge_m - 0.3
            for _ in range(draws.integer(0, 3)):
                lateral = sign * draws.uniform(inner, outer)
                # From about where a 2:1 image begins to show this part of the pavement.
                nearest = max(4.5, 1.1 * self.camera.focal * abs(lateral - self.camera.lateral_m))
                self._walker(lateral, nearest + draws.uniform(0, 4 if draws.chance(0.7) else 14))
        if street.zebra and draws.chance(0.6):
            middle = street.crossing[0] - 2.0 if street.crossing is not None else 13.0 + street.seed * 0.01
            for _ in range(draws.integer(1, 3)):
                lateral = draws.uniform(-1, 1) * street.half_width_m
                self._walker(lateral, middle + draws.uniform(-0.8, 0.8))

    def _walker(self, lateral: float, along: float) -> None:
        if self._resolved(1.7, along) and self._free(lateral, along, 0.35, 0.35):
            x, z, _ = self.street.place(lateral, along)
            people.add_person(self.scene, self.draws, x, z, self._facing(x, z))
