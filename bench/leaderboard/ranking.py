"""Intervals and ranks where numbers of several origins stand in one column.

Two scores whose draws come from the same resampled scenes are told apart by their paired difference, as in the tables
(bench/tables/ranks.py). A submission may bring no draws; it is then compared by its stated interval, as if both were
independent and normal, which asks for a larger difference. Without an interval only the printed values are left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from bench.bootstrap import LEVEL
from bench.tables.measured import Basis, Key, Measured

_CRITICAL = NormalDist().inv_cdf((1 + LEVEL) / 2)
_QUANTILES = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


@dataclass(frozen=True)
class Score:
    """One number in a column. `low`, `high`: its 95 % interval, where there is one. `noise`: at least as bad as pure
    noise. `draws` (DRAWS,): what ranks rest on, of the kind `basis`."""

    value: float
    std: float | None = None
    low: float | None = None
    high: float | None = None
    noise: bool = False
    basis: Basis = Basis.NONE
    draws: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def comparable(self) -> bool:
        """Whether the score takes part in the ranking."""
        return math.isfinite(self.value) and not self.noise


def score(data: Measured, key: Key, stated: tuple[float, float] | None, noise: bool) -> Score:
    """One cell of a metric; `stated` is the interval that a submission gives, used where nothing better is known."""
    entry, draws = data.entries[key], data.draws.get(key)
    interval = stated
    if draws is not None and data.basis is not Basis.PROXY:
        finite = draws[np.isfinite(draws)]
        interval = tuple(float(q) for q in np.quantile(finite, _QUANTILES)) if len(finite) else stated  # type: ignore[assignment]
    elif data.basis is Basis.SPREAD and entry.std is not None:
        interval = (entry.value - _CRITICAL * entry.std, entry.value + _CRITICAL * entry.std)
    low, high = interval or (None, None)
    return Score(entry.value, entry.std, low, high, noise, data.basis, draws)


def ranks(scores: Sequence[Score | None], higher_is_better: bool, decimals: int) -> list[int | None]:
    """1 + the number of scores that are better, for each; None where there is nothing to compare, or only one score."""
    compared = [k for k, s in enumerate(scores) if s is not None and s.comparable]
    if len(compared) < 2:
        return [None] * len(scores)
    sign = 1 if higher_is_better else -1
    shown = [s for k in compared if (s := scores[k]) is not None]
    paired = _paired(shown)
    found: list[int | None] = [None] * len(scores)
    for own, position in enumerate(compared):
        better = sum(
            (paired[other, own] if _pairable(shown[other], shown[own]) else _apart(shown[other], shown[own], decimals))
            == sign
            for other in range(len(shown))
            if other != own
        )
        found[position] = 1 + int(better)
    return found


def _pairable(first: Score, second: Score) -> bool:
    """Whether two scores' draws are about the same thing: the score itself, or the same stand-in for it."""
    proxies = (first.basis is Basis.PROXY, second.basis is Basis.PROXY)
    return first.draws is not None and second.draws is not None and proxies[0] == proxies[1]


def _paired(scores: Sequence[Score]) -> np.ndarray:
    """`tell_apart` (bench/bootstrap.py) of all pairs at once, (n, n): 1 where the row is larger; 0 without draws."""
    told = np.zeros((len(scores), len(scores)), dtype=int)
    with_draws = [k for k, s in enumerate(scores) if s.draws is not None]
    if not with_draws:
        return told
    draws = np.stack([d for k in with_draws if (d := scores[k].draws) is not None])
    quantiles = np.quantile if np.isfinite(draws).all() else np.nanquantile
    for k, own in zip(with_draws, draws, strict=True):
        low, high = quantiles(draws - own, _QUANTILES, axis=1)  # type: ignore[operator]
        told[with_draws, k] = (low > 0).astype(int) - (high < 0)
    return told


def _apart(first: Score, second: Score, decimals: int) -> int:
    """1 where the first value is larger, -1 where it is smaller, 0 where nothing tells them apart."""
    difference = first.value - second.value
    if first.low is not None and first.high is not None and second.low is not None and second.high is not None:
        half = math.hypot(first.high - first.low, second.high - second.low) / 2
        return int(difference > half) - int(difference < -half)
    printed = round(first.value, decimals) - round(second.value, decimals)
    return int(printed > 0) - int(printed < 0)
