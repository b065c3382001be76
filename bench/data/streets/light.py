"""Weather and time of day."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .draws import Colour, Draws, scaled

KIND_WEIGHTS = {"sun": 0.40, "overcast": 0.22, "dusk": 0.12, "night": 0.09, "fog": 0.08, "rain": 0.09}


@dataclass(frozen=True)
class Light:
    """Sun, sky and weather of a scene."""

    kind: str
    sun_direction: tuple[float, float, float]
    """Unit vector towards the sun, world frame."""
    sun: Colour
    ambient: Colour
    zenith: Colour
    horizon: Colour
    cloud: Colour
    cloud_cover: float
    """0 clear to 1 closed."""
    haze_per_m: float
    wetness: float
    """0 dry to 1: share of mirror reflection on the ground."""
    lamps: bool
    """Street lamps, windows and vehicle lights are on."""
    noise: float
    """Sensor noise, standard deviation in 0..1 image units."""


def sample_light(draws: Draws) -> Light:
    """Draw the light of a scene."""
    kind = draws.weighted(KIND_WEIGHTS)
    azimuth = draws.uniform(0, 2 * math.pi)
    elevation = math.radians(draws.uniform(9, 20) if kind == "dusk" else draws.uniform(25, 60))
    direction = (
        math.cos(elevation) * math.sin(azimuth),
        math.sin(elevation),
        math.cos(elevation) * math.cos(azimuth),
    )
    gain = draws.uniform(0.92, 1.08)
    warm = draws.uniform(-0.03, 0.03)
    balance = (1 + warm, 1.0, 1 - warm)

    def toned(colour: Colour, level: float = gain) -> Colour:
        return (
            colour[0] * balance[0] * level,
            colour[1] * balance[1] * level,
            colour[2] * balance[2] * level,
        )

    noise = draws.uniform(0.004, 0.014)
    clear_air = draws.uniform(0.0005, 0.002)
    if kind == "sun":
        blue = draws.uniform(0.0, 0.12)
        return Light(
            kind, direction, toned((0.66, 0.62, 0.54)), toned((0.60, 0.62, 0.67)),
            (0.25 + blue, 0.50 + blue, 0.88), (0.70, 0.83, 0.96), (0.98, 0.98, 0.98),
            draws.uniform(0.0, 0.6),
            haze_per_m=clear_air, wetness=0.0, lamps=False, noise=noise,
        )  # fmt: skip
    if kind == "overcast":
        level = draws.uniform(0.72, 0.9)
        grey = (level, level * 1.01, level * 1.04)
        return Light(
            kind, direction, toned((0.10, 0.10, 0.10)), toned((0.90, 0.91, 0.93)),
            scaled(grey, 0.88), grey, scaled(grey, 1.06), draws.uniform(0.5, 1.0),
            haze_per_m=clear_air, wetness=0.0, lamps=False, noise=noise,
        )  # fmt: skip
    if kind == "dusk":
        return Light(
            kind, direction, toned((0.62, 0.42, 0.24)), toned((0.64, 0.60, 0.64)),
            (0.42, 0.48, 0.72), (0.98, 0.74, 0.52), (0.96, 0.70, 0.62), draws.uniform(0.2, 0.7),
            haze_per_m=0.002, wetness=0.0, lamps=draws.chance(0.6), noise=noise,
        )  # fmt: skip
    if kind == "night":
        return Light(
            kind, direction, toned((0.03, 0.04, 0.06)), toned((0.38, 0.42, 0.54)),
            (0.05, 0.07, 0.17), (0.13, 0.15, 0.27), (0.15, 0.16, 0.24), draws.uniform(0.2, 0.6),
            haze_per_m=0.001, wetness=draws.pick((0.0, 0.0, 0.25)), lamps=True, noise=noise * 1.5,
        )  # fmt: skip
    if kind == "fog":
        level = draws.uniform(0.72, 0.84)
        grey = (level, level, level * 1.02)
        return Light(
            kind, direction, toned((0.05, 0.05, 0.05)), toned((0.82, 0.82, 0.84)), grey, grey, grey, 1.0,
            haze_per_m=draws.uniform(0.010, 0.022), wetness=0.0, lamps=draws.chance(0.5), noise=noise,
        )  # fmt: skip
    level = draws.uniform(0.56, 0.72)
    grey = (level * 0.97, level, level * 1.05)
    return Light(
        kind, direction, toned((0.05, 0.05, 0.05)), toned((0.80, 0.82, 0.86)),
        scaled(grey, 0.85), grey, scaled(grey, 1.05), draws.uniform(0.5, 1.0),
        haze_per_m=draws.uniform(0.004, 0.007), wetness=draws.uniform(0.25, 0.45),
        lamps=draws.chance(0.4), noise=noise,
    )  # fmt: skip
