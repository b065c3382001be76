"""Irregular borders of regions, as polygons in the unit square (y points down)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.data.streets.draws import Draws

Points = NDArray[np.float32]
_STEPS = 24
_OUTSIDE = 0.05  # regions reach beyond the picture, so that their ends are not seen


def ridge(draws: Draws, height: float, style: str) -> list[tuple[float, float]]:
    """A line from left to right about `height`: "level", "rolling", "skyline" (steps) or "peaks"."""
    line: list[tuple[float, float]] = []
    left, right = -_OUTSIDE, 1 + _OUTSIDE
    if style == "level":
        slope = draws.uniform(-0.03, 0.03)
        return [(left, height - slope), (right, height + slope)]
    if style == "rolling":
        waves = [(k, draws.uniform(0.2, 1) * 0.06 / k, draws.uniform(0, 2 * math.pi)) for k in (1, 2, 5, 9)]
        for n in range(_STEPS + 1):
            x = left + (right - left) * n / _STEPS
            line.append((x, height + sum(a * math.sin(k * x * 4.5 + phase) for k, a, phase in waves)))
        return line
    x = left
    while x < right:
        wide, up = draws.uniform(0.12, 0.28), draws.uniform(-0.1, 0.1)
        if style == "skyline":
            line += [(x, height + up), (x + wide, height + up)]
        else:
            line += [(x, height + 0.07), (x + wide / 2, height + up - 0.07)]
        x += wide
    return [*line, (right, height)]


def below(line: Sequence[tuple[float, float]]) -> Points:
    """Everything below a ridge."""
    low = 1 + _OUTSIDE
    return np.array([*line, (line[-1][0], low), (line[0][0], low)], np.float32)


def between(line: Sequence[tuple[float, float]], width: float) -> Points:
    """A strip of that width along a ridge."""
    lower = [(x, y + width) for x, y in reversed(line)]
    return np.array([*line, *lower], np.float32)


def blob(draws: Draws, x: float, y: float, rx: float, ry: float) -> Points:
    """A lump round (x, y) with half axes of about rx and ry."""
    waves = [(k, draws.uniform(0.05, 0.16) / math.sqrt(k), draws.uniform(0, 2 * math.pi)) for k in (2, 3, 5, 8)]
    angle = np.linspace(0, 2 * math.pi, 30, endpoint=False)
    radius = 1 + sum(a * np.sin(k * angle + phase) for k, a, phase in waves)
    return np.stack([x + rx * radius * np.cos(angle), y + ry * radius * np.sin(angle)], axis=1).astype(np.float32)


def slab(draws: Draws, x0: float, y0: float, x1: float, y1: float) -> Points:
    """A rectangle with its corners moved a little."""
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return np.array([(x + draws.uniform(-0.02, 0.02), y + draws.uniform(-0.02, 0.02)) for x, y in corners], np.float32)
