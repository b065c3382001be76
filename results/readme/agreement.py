"""How far two columns of scores agree on the order of methods: Kendall's tau, with its interval over scenes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import kendalltau

from metrics.stats.significance import standard_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.results.scores import Score

#: Sets of scenes that are drawn anew for an interval.
DRAWN = 1000


@dataclass(frozen=True)
class Agreement:
    """`tau` of two columns of scores, its 95 % `interval`, and the pairs of methods that they order the other way.

    `swapped` names the better one by the first column first; `shown` are those that differ by more than 1.96 standard
    errors of the paired difference under both.
    """

    tau: float
    interval: tuple[float, float]
    swapped: tuple[tuple[str, str], ...]
    shown: tuple[tuple[str, str], ...]


def agreement(one: Mapping[str, Score], two: Mapping[str, Score], paired: bool = True) -> Agreement:
    """The agreement of two columns on the methods that both have.

    Scenes are drawn anew with their contributions to each score, which move it to first order: once for both columns
    where they are `paired`, of the same scenes in the same order, else for each of its own.
    """
    names = [name for name in one if name in two]
    first, second = (np.array([scores[name].value for name in names]) for scores in (one, two))
    parts = [np.stack([_contributions(scores[name]) for name in names]) for scores in (one, two)]
    rng = np.random.default_rng(0)
    taus = []
    for _ in range(DRAWN):
        shares = [_redrawn(rng, part.shape[1]) for part in (parts[:1] if paired else parts)]
        taus.append(kendalltau(first + parts[0] @ shares[0], second + parts[1] @ shares[-1]).statistic)
    low, high = np.quantile(taus, (0.025, 0.975))
    swapped = [
        (a, b) if first[a] > first[b] else (b, a)
        for a, b in combinations(range(len(names)), 2)
        if (first[a] - first[b]) * (second[a] - second[b]) < 0
    ]
    shown = [(a, b) for a, b in swapped if _told_apart(first, parts[0], a, b) and _told_apart(second, parts[1], a, b)]

    def named(pairs: list[tuple[int, int]]) -> tuple[tuple[str, str], ...]:
        return tuple((names[a], names[b]) for a, b in pairs)

    return Agreement(kendalltau(first, second).statistic, (float(low), float(high)), named(swapped), named(shown))


def _redrawn(rng: np.random.Generator, count: int) -> np.ndarray:
    """By how much each scene's share of a mean changes where as many are drawn with replacement."""
    return rng.multinomial(count, np.full(count, 1 / count)) / count - 1 / count


def _contributions(score: Score) -> np.ndarray:
    if score.contributions is None:
        raise ValueError("a score without contributions has no interval")
    return score.contributions


def _told_apart(values: np.ndarray, parts: np.ndarray, a: int, b: int) -> bool:
    return abs(values[a] - values[b]) > 1.96 * standard_error(parts[a] - parts[b])
