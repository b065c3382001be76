"""Cityscapes label ids used by the renderer."""

from __future__ import annotations

ROAD, SIDEWALK = 7, 8
BUILDING, WALL, FENCE = 11, 12, 13
POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN = 17, 19, 20
VEGETATION, TERRAIN, SKY = 21, 22, 23
PERSON, RIDER, CAR, TRUCK, BUS = 24, 25, 26, 27, 28
TRAM, MOTORCYCLE, BICYCLE = 31, 32, 33

FIRST_THING = 24
"""Label ids from here on are things: each of their pixels carries an instance id."""

EVALUATION_IDS: tuple[int, ...] = (
    ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN, VEGETATION, TERRAIN, SKY,
    PERSON, RIDER, CAR, TRUCK, BUS, TRAM, MOTORCYCLE, BICYCLE,
)  # fmt: skip
"""The 19 classes the Cityscapes benchmark scores, in train-id order."""
