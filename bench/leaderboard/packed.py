"""Many numbers for the pages that ask for them, packed into 16 bits each: differences, resampled scores, scenes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bench.results.ranking import pairs

if TYPE_CHECKING:
    from bench.results.scores import Score

#: Times that scenes are drawn anew, the same for every score, so that draws of several scores belong together.
DRAWS = 200
SEED = 0
#: The packed number that stands for none.
NONE = 65535


def packed(numbers: np.ndarray) -> list[object]:
    """Least number, step, and steps above it as base64 of little-endian 16 bits, `NONE` for what is not finite.

    Off by at most a half of 1/65534 of the range.
    """
    known = np.isfinite(numbers)
    low, high = (float(numbers[known].min()), float(numbers[known].max())) if known.any() else (0.0, 0.0)
    step = (high - low) / (NONE - 1) or 1.0
    words = np.full(numbers.shape, NONE, dtype="<u2")
    words[known] = np.round((numbers[known] - low) / step).astype("<u2")
    return [low, step, base64.b64encode(words.tobytes()).decode()]


def half_widths(column: Sequence[Score | None]) -> np.ndarray:
    """Half of the 95 % interval of the difference of each two scores: the upper triangle, row by row, without its edge.

    NaN where nothing tells it.
    """
    count, found = len(column), pairs(column)
    matrix = np.full((count, count), np.nan)
    matrix[found.first, found.second] = matrix[found.second, found.first] = found.half_widths
    wide: np.ndarray = matrix[np.triu_indices(count, 1)]
    return wide


def resampled(column: Sequence[Score | None]) -> np.ndarray:
    """How far each score is from its value where scenes are drawn with replacement: (scores, `DRAWS`), row by row.

    To first order, from what each scene contributes (metrics/stats/significance.py). A score that tells its standard
    error alone is drawn for itself; one that tells nothing, or is no better than noise, stands still.
    """
    made = np.zeros((len(column), DRAWS))
    for k, one in enumerate(column):
        if one is None or one.noise or not one.testable:
            continue
        if one.contributions is not None:
            made[k] = _weights(len(one.contributions)) @ one.contributions
        else:
            made[k] = np.random.default_rng([SEED, k]).normal(0.0, one.stderr or 0.0, DRAWS)
    return made


@lru_cache(maxsize=8)
def _weights(scenes: int) -> np.ndarray:
    """How much more than once over n each scene counts in each draw, (DRAWS, n)."""
    drawn = np.random.default_rng([SEED, scenes]).multinomial(scenes, np.full(scenes, 1 / scenes), DRAWS)
    weights: np.ndarray = (drawn - 1) / scenes
    return weights
