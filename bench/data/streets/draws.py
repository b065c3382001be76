"""Cheap scalar random draws for sampling a world."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

T = TypeVar("T")
Colour = tuple[float, float, float]
"""Albedo or light, RGB, nominally 0..1."""


class Draws:
    """A stream of uniform draws from one Generator.

    With `widened` above 1 every range is wider by that factor about its middle (none that begins at 0 or above goes
    below 0), and uneven choices are more even: other scenes of the same kind.

    Blocks of uniforms are drawn at once: a scene needs around a thousand scalars, and a Generator call per
    scalar would cost as much as the rendering.
    """

    _BLOCK = 1024

    def __init__(self, rng: np.random.Generator, widened: float = 1.0) -> None:
        self._rng = rng
        self._widened = widened
        self._values: list[float] = []

    def unit(self) -> float:
        """Uniform in [0, 1)."""
        if not self._values:
            self._values = self._rng.random(self._BLOCK).tolist()
        return self._values.pop()

    def uniform(self, low: float, high: float) -> float:
        """Uniform in [low, high), or in the widened range."""
        if self._widened != 1:
            more = (self._widened - 1) * (high - low) / 2
            low, high = (max(0.0, low - more) if low >= 0 else low - more), high + more
        return low + (high - low) * self.unit()

    def integer(self, low: int, high: int) -> int:
        """Uniform integer in [low, high], both ends included."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def sign(self) -> float:
        """-1 or 1, equally likely."""
        return 1.0 if self.unit() < 0.5 else -1.0

    def pick(self, items: Sequence[T]) -> T:
        """One of the items, all equally likely."""
        return items[int(self.unit() * len(items))]

    def weighted(self, weights: dict[str, float]) -> str:
        """A key of `weights`, drawn in proportion to its weight."""
        if self._widened != 1:
            weights = {name: weight ** (1 / self._widened) for name, weight in weights.items()}
        left = self.unit() * sum(weights.values())
        for name, weight in weights.items():
            left -= weight
            if left < 0:
                return name
        return next(reversed(weights))

    def tint(self, colour: Colour, spread: float = 0.05) -> Colour:
        """`colour` with its brightness and each channel changed by up to `spread`."""
        gain = 1 + self.uniform(-spread, spread) * 1.5
        r, g, b = colour
        return (
            max(0.0, r * gain + self.uniform(-spread, spread) * 0.5),
            max(0.0, g * gain + self.uniform(-spread, spread) * 0.5),
            max(0.0, b * gain + self.uniform(-spread, spread) * 0.5),
        )


def scaled(colour: Colour, gain: float) -> Colour:
    """A colour, brighter or darker by a gain."""
    return (colour[0] * gain, colour[1] * gain, colour[2] * gain)
