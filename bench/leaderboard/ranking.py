"""One number of a column of the leaderboard: what the site shows of it, and what it is ranked by
(bench/results/ranking.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bench.results.ranking import Sampled
from bench.tables.measured import Key, Measured


@dataclass(frozen=True)
class Score:
    """One number in a column, with spread and standard error over scenes (bench/results/rows.py). `low`, `high`: its
    95 % interval, where there is one. `noise`: at least as bad as pure noise. `sample` is what it is ranked by."""

    value: float
    std: float | None = None
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    noise: bool = False
    sample: Sampled | None = field(default=None, repr=False, compare=False)

    @property
    def ranked(self) -> Sampled | None:
        """What takes part in the ranking: nothing for a number that is undefined or no better than pure noise."""
        return self.sample if math.isfinite(self.value) and not self.noise else None


def score(data: Measured, key: Key, noise: bool) -> Score:
    """One cell of a metric."""
    entry = data.entries[key]
    low, high = data.interval(key) or (None, None)
    return Score(entry.value, entry.std, entry.stderr, low, high, noise, data.samples[key])
