"""The paired bootstrap over scenes: the same resampled scenes for every cell, so that differences of draws are paired.

A draw is a score over as many scenes as there are, taken with replacement. Scores that are means of per-scene values
can be drawn from the results' per-scene rows at any time; other scores (mIoU is a ratio of sums over all scenes) need
the metric's cached arrays, so their draws are made when a run gathers its results, and kept with them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: Resamples of the scenes. 1000 put the 95 % bounds of a difference between its 25th and 975th values.
DRAWS = 1000
SEED = 0
LEVEL = 0.95
#: Scenes that a bootstrap takes. Where all differences have one sign, every resample has it too and the methods count
#: as apart; two equal methods come to that by chance in 2 of 2^n cases, which is below 5 % from six scenes on.
FEWEST_SCENES = 6


@lru_cache(maxsize=8)
def scene_counts(scenes: int) -> np.ndarray:
    """How often each draw holds each scene, (DRAWS, scenes) float64 with rows summing to `scenes`; the same for equal
    `scenes`, always. Read-only."""
    rng = np.random.default_rng(SEED)
    counts = rng.multinomial(scenes, np.full(scenes, 1 / scenes), size=DRAWS).astype(np.float64)
    counts.flags.writeable = False
    return counts


def draws_of_mean(values: np.ndarray) -> np.ndarray:
    """Draws (DRAWS,) of the mean of per-scene values (n,), n >= 1. Undefined scenes (NaN) are left out of each draw's
    mean; a draw without any defined one is NaN."""
    counts, defined = scene_counts(len(values)), np.isfinite(values)
    total, number = counts @ np.where(defined, values, 0.0), counts @ defined
    return np.divide(total, number, out=np.full(len(counts), np.nan), where=number > 0)


def tell_apart(draws: np.ndarray, others: np.ndarray) -> int:
    """Whether two scores differ at 95 %: 1 where the first is larger, -1 where it is smaller, 0 where their paired
    draws (DRAWS,) leave it open. Percentile interval of the difference."""
    difference = draws - others
    difference = difference[np.isfinite(difference)]
    if not len(difference):
        return 0
    low, high = np.quantile(difference, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return int(low > 0) - int(high < 0)
