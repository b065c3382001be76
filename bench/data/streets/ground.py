"""The street's cross-section: labels and colours of the ground plane."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .classes import ROAD, SIDEWALK, TERRAIN
from .textures import cell_hash

if TYPE_CHECKING:
    from .draws import Colour, Draws

Floats = NDArray[np.floating]
KERB_M = 0.22


@dataclass(frozen=True)
class Side:
    """One side of the street, outwards from the kerb."""

    kind: str
    """"city" (houses at the pavement), "suburb" (front gardens), "park" or "works" (long wall or fence)."""
    verge_m: float
    """Grass strip between kerb and pavement, 0 for none."""
    walk_m: float
    garden: bool
    """Ground beyond the pavement is grass rather than paving."""

    @property
    def edge_m(self) -> float:
        """Distance from the kerb to the far edge of the pavement."""
        return self.verge_m + self.walk_m


@dataclass(frozen=True)
class Street:
    """The street's plan: how wide it is, how it bends, and what lies beside and across it."""

    half_width_m: float
    bend: float
    """Curvature in 1/m: the centre line is X = bend * Z**2 / 2."""
    left: Side
    right: Side
    crossing: tuple[float, float] | None
    """Z range of a street crossing this one."""
    zebra: bool
    tracks: float | None
    """Lateral position of the tram track's middle."""
    lanes: str
    """Centre line: "dashed", "solid" or "none"."""
    parking: bool
    asphalt: Colour
    paving: Colour
    grass: Colour
    slab_m: float
    seed: float

    def place(self, lateral: float, along: float) -> tuple[float, float, float]:
        """World X, Z and heading at `lateral` metres right of the centre line, `along` metres ahead."""
        return lateral + 0.5 * self.bend * along * along, along, math.atan(self.bend * along)

    def side(self, sign: float) -> Side:
        """What lies right of the centre line (sign 1) or left of it."""
        return self.right if sign > 0 else self.left


def sample_side(draws: Draws) -> Side:
    """Draw one side of a street."""
    kind = draws.weighted({"city": 0.40, "suburb": 0.27, "park": 0.16, "works": 0.17})
    verge = draws.uniform(1.2, 2.6) if draws.chance(0.3 if kind == "city" else 0.5) else 0.0
    walk = draws.uniform(2.2, 4.2) if kind == "city" else draws.uniform(1.8, 3.2)
    return Side(kind, verge, walk, kind != "city")


def sample_street(draws: Draws) -> Street:
    """Draw a street."""
    tracks = draws.chance(0.32)
    crossing = None
    if draws.chance(0.38):
        start = draws.uniform(16, 34)
        crossing = (start, start + draws.uniform(7, 11))
    half = draws.uniform(4.6, 6.6) if tracks else draws.uniform(3.4, 6.2)
    grey = draws.uniform(0.30, 0.42)
    return Street(
        half_width_m=half,
        bend=draws.uniform(-0.0022, 0.0022) if draws.chance(0.6) else 0.0,
        left=sample_side(draws),
        right=sample_side(draws),
        crossing=crossing,
        zebra=(crossing is not None and draws.chance(0.7)) or draws.chance(0.2),
        tracks=-draws.uniform(1.6, 2.0) if tracks else None,
        lanes=draws.pick(("dashed", "dashed", "solid", "none")),
        parking=half > 4.8 and not tracks and draws.chance(0.7),
        asphalt=draws.tint((grey, grey, grey * 1.05), 0.02),
        paving=draws.tint((0.66, 0.56, 0.52), 0.05),
        grass=draws.tint((0.52, 0.64, 0.24), 0.05),
        slab_m=draws.uniform(0.4, 0.9),
        seed=float(draws.integer(0, 999)),
    )


def _line(distance: Floats, half_width: float, footprint: Floats) -> Floats:
    """Coverage 0..1 of a painted line, box-filtered over the pixel's footprint on the ground (m)."""
    return np.clip((half_width - np.abs(distance)) / np.maximum(footprint, 1e-3) + 0.5, 0, 1)


def _fade(footprint: Floats, period: float) -> Floats:
    """1 where a texture of `period` metres is resolved, falling to 0 where it would only alias."""
    result: Floats = np.clip(1.6 - 2.2 * footprint / period, 0, 1)
    return result


def shade_ground(
    street: Street, x: Floats, z: Floats, pixel: Floats, slant: Floats, noise: Floats
) -> tuple[NDArray[np.uint8], Floats]:
    """Label ids (N,) and albedo (N, 3) of ground points.

    x, z: world position; pixel: sub-pixel size across the view in metres; slant: the same along the view;
    noise: fractal noise -1..1.
    """
    lateral = x - (0.5 * street.bend) * z * z
    out = np.abs(lateral) - street.half_width_m
    right = lateral > 0
    verge = np.where(right, street.right.verge_m, street.left.verge_m).astype(np.float32)
    edge = np.where(right, street.right.edge_m, street.left.edge_m).astype(np.float32)
    garden = np.where(right, street.right.garden, street.left.garden)

    walk = (out >= verge) & (out < edge) | (out >= edge) & ~garden
    road = out < 0
    if street.crossing is not None:
        start, end = street.crossing
        road |= (z > start) & (z < end)
        walk |= ((z > start - 2.2) & (z <= start) | (z >= end) & (z < end + 2.2)) & ~road
    walk &= ~road

    labels = np.where(road, ROAD, np.where(walk, SIDEWALK, TERRAIN)).astype(np.uint8)
    base = np.array([street.asphalt, street.paving, street.grass], np.float32)
    albedo = base[np.where(road, 0, np.where(walk, 1, 2))]
    grain = np.where(road, 0.10, np.where(walk, 0.06, 0.22)).astype(np.float32) * noise
    albedo *= (1 + grain)[:, None]

    pick = np.flatnonzero(walk)
    _pave(albedo, pick, street, lateral[pick], out[pick], z[pick], pixel[pick], slant[pick])
    pick = np.flatnonzero(road)
    _mark(albedo, pick, street, lateral[pick], z[pick], pixel[pick], slant[pick])
    return labels, albedo


def _pave(
    albedo: Floats, pick: NDArray[np.int64], street: Street, lateral: Floats, out: Floats, z: Floats,
    pixel: Floats, slant: Floats,
) -> None:  # fmt: skip
    """Slabs with joints, each of its own tone, and a pale kerb stone."""
    i, j = lateral / street.slab_m, z / street.slab_m
    tone = (cell_hash(np.floor(i), np.floor(j), street.seed) - 0.5) * 0.16
    di, dj = (i - np.rint(i)) * street.slab_m, (j - np.rint(j)) * street.slab_m
    fade = _fade(slant, street.slab_m)
    joint = np.maximum(_line(di, 0.012, pixel) * _fade(pixel, street.slab_m), _line(dj, 0.012, slant) * fade)
    gain = (1 + tone * fade) * (1 - 0.4 * joint)
    kerb = (out >= 0) & (out < KERB_M)
    albedo[pick] *= np.where(kerb, np.float32(1.18), gain)[:, None]


def _mark(
    albedo: Floats, pick: NDArray[np.int64], street: Street, lateral: Floats, z: Floats, pixel: Floats,
    slant: Floats,
) -> None:  # fmt: skip
    """Lane lines, zebra and stop lines, gutters and tram rails."""
    half = street.half_width_m
    paint = np.zeros_like(z)
    clear = np.ones_like(z)
    if street.crossing is not None:
        start, end = street.crossing
        clear = ((z < start - 4.5) | (z > end + 3)).astype(np.float32)
        paint = _line(z - (start - 4.6), 0.2, slant) * ((lateral > 0) & (lateral < half))
    if street.lanes != "none" and street.tracks is None:
        line = _line(lateral, 0.08, pixel)
        if street.lanes == "dashed":
            line = line * (np.mod(z + street.seed, 7.0) < 3.2)
        paint = np.maximum(paint, line * clear)
    if street.parking:
        for position in (half - 2.1, -(half - 2.1)):
            paint = np.maximum(paint, _line(lateral - position, 0.06, pixel) * clear)
    if street.zebra:
        middle = street.crossing[0] - 2.0 if street.crossing is not None else 13.0 + street.seed * 0.01
        stripes = (np.mod(lateral + street.seed, 1.1) < 0.55) & (np.abs(lateral) < half - 0.2)
        paint = np.maximum(paint, _line(z - middle, 1.5, slant) * stripes)
    ground = albedo[pick]
    # Wheels polish two bands a lane and dirt gathers at the kerb.
    wear = 1 + 0.05 * np.cos(lateral * (2 * math.pi / 1.75)) - 0.22 * np.clip(1 - (half - np.abs(lateral)) / 0.4, 0, 1)
    ground *= wear[:, None]
    if street.tracks is not None:
        for rail in (
            street.tracks - 0.72,
            street.tracks + 0.72,
            -street.tracks - 0.72,
            -street.tracks + 0.72,
        ):
            cover = _line(lateral - rail, 0.07, pixel)[:, None]
            ground += cover * (np.array([0.56, 0.52, 0.50], np.float32) - ground)
    paint = (paint * 0.85)[:, None]
    albedo[pick] = ground + paint * (np.array([0.86, 0.86, 0.84], np.float32) - ground)
