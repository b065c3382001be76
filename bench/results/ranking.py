"""Ranks: 1 + the number of methods that are shown to be better.

Every pair of a column is tested (metrics/stats/significance.py), and all pairs of all columns that are ranked
together, a table's or a view's, are one family under Holm's correction: a reader looks at the whole table, and with
methods that are all alike the chance that any of its ranks is another one than 1 is at most 5 %. Equal ranks are no
finding that methods are equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics.stats.significance import (
    ALPHA,
    ROUNDING,
    fewest_scenes,
    half_width,
    holm,
    smallest_p,
    standard_error,
    t_p,
)

if TYPE_CHECKING:
    from bench.results.scores import Score


@dataclass(frozen=True)
class Ranking:
    """Ranks by column (None: nothing to compare) of a family of `pairs` over at least `scenes` scenes, 0 without pairs.

    `paired` and `independent` say how pairs were compared.
    """

    ranks: tuple[tuple[int | None, ...], ...]
    pairs: int
    scenes: int
    paired: bool
    independent: bool

    @property
    def too_few(self) -> bool:
        """Whether so few scenes cannot show anything among so many pairs, so that no ranks are claimed."""
        return self.pairs > 0 and self.scenes < fewest_scenes(self.pairs)


@dataclass(frozen=True)
class Pairs:
    """The pairs of one column that can be compared: positions, how much more the second score has, its standard error.

    `by_scene` says whether a pair is compared scene by scene, over so many `scenes`.
    """

    first: np.ndarray
    second: np.ndarray
    difference: np.ndarray
    error: np.ndarray
    scenes: np.ndarray
    by_scene: np.ndarray

    @property
    def p(self) -> np.ndarray:
        """Two-sided p of the differences."""
        p = np.ones(len(self.scenes))
        for n in np.unique(self.scenes):
            here = self.scenes == n
            p[here] = t_p(self.difference[here], self.error[here], int(n))
        return p

    @property
    def half_widths(self) -> np.ndarray:
        """Half of the differences' 95 % intervals, each for itself."""
        factors = {n: half_width(1.0, int(n)) for n in np.unique(self.scenes)}
        return np.array([factors[n] * error for n, error in zip(self.scenes, self.error, strict=True)])


def rank(columns: Sequence[Sequence[Score | None]], higher_is_better: Sequence[bool]) -> Ranking:
    """Ranks in all columns, as one family; None in a column stands for what takes no part."""
    tests = [pairs(column) for column in columns]
    p = np.concatenate([np.zeros(0), *(t.p for t in tests)])
    scenes = np.concatenate([np.zeros(0, dtype=int), *(t.scenes for t in tests)])
    by_scene = np.concatenate([np.zeros(0, dtype=bool), *(t.by_scene for t in tests)])
    enough = np.array([smallest_p(int(n)) <= ALPHA / len(p) * (1 + ROUNDING) for n in scenes], dtype=bool)
    shown, start = holm(p) <= ALPHA, 0
    ranks = []
    for column, test, higher in zip(columns, tests, higher_is_better, strict=True):
        part = slice(start, start := start + len(test.first))
        ranks.append(_ranks(column, test, shown[part], enough[part], higher))
    least = int(scenes.min()) if len(scenes) else 0
    return Ranking(tuple(ranks), len(p), least, bool(by_scene.any()), bool((~by_scene).any()))


def _ranks(
    column: Sequence[Score | None], test: Pairs, shown: np.ndarray, enough: np.ndarray, higher: bool
) -> tuple[int | None, ...]:
    values = np.array([math.nan if one is None else one.value for one in column])
    worse = np.zeros(len(column), dtype=int)
    known = np.zeros(len(column), dtype=bool)
    for positions in (test.first, test.second):
        known[positions[enough]] = True
    for a, b in zip(test.first[shown], test.second[shown], strict=True):
        worse[b if (values[a] > values[b]) == higher else a] += 1
    return tuple(1 + int(n) if k else None for n, k in zip(worse, known, strict=True))


def pairs(column: Sequence[Score | None]) -> Pairs:
    """All pairs of a column of which both have a standard error."""
    some = [(k, one) for k, one in enumerate(column) if one is not None and one.testable and not one.noise]
    found: dict[tuple[int, int], tuple[float, float, int, bool]] = {}
    groups: dict[tuple[object, int], list[tuple[int, Score]]] = {}
    for k, one in some:
        if one.contributions is not None:
            groups.setdefault((one.order, len(one.contributions)), []).append((k, one))
    for (_, n), members in groups.items():
        stacked = np.stack([one.contributions for _, one in members if one.contributions is not None])
        values = np.array([one.value for _, one in members])
        for position, (k, own) in enumerate(members[:-1]):
            rest = slice(position + 1, None)
            errors = (stacked[rest] - stacked[position]).std(axis=1, ddof=1) / math.sqrt(n)
            differences = _difference(values[rest], own.value)
            tests = zip(members[rest], differences, errors, strict=True)
            found |= {(k, other): (float(d), float(e), n, True) for (other, _), d, e in tests}
    for position, (k, one) in enumerate(some):
        for other, two in some[position + 1 :]:
            if (k, other) not in found and (other, k) not in found:
                difference, error, n, by_scene = difference_of(two, one)
                found[k, other] = difference, error or 0.0, n, by_scene
    first, second = (np.array([pair[k] for pair in found], dtype=int) for k in (0, 1))
    told = list(found.values())
    return Pairs(
        first,
        second,
        np.array([difference for difference, *_ in told], dtype=float),
        np.array([error for _, error, *_ in told], dtype=float),
        np.array([n for _, _, n, _ in told], dtype=int),
        np.array([by_scene for *_, by_scene in told], dtype=bool),
    )


def difference_of(one: Score, two: Score) -> tuple[float, float | None, int, bool]:
    """The first score less the second: value, standard error, over how many scenes, and whether paired by scene.

    The error is None where nothing tells it.
    """
    value = float(_difference(np.array(one.value), two.value))
    ours, theirs = one.contributions, two.contributions
    if not (one.testable and two.testable):
        return value, None, min(one.scenes, two.scenes), False
    if ours is not None and theirs is not None and one.order == two.order and len(ours) == len(theirs):
        return value, standard_error(ours - theirs), len(ours), True
    return value, math.hypot(one.stderr or 0.0, two.stderr or 0.0), min(one.scenes, two.scenes), False


def _difference(values: np.ndarray, own: float) -> np.ndarray:
    """Differences of scores, 0 where they are rounding."""
    return np.where(np.abs(values - own) <= ROUNDING * np.maximum(np.abs(values), abs(own)), 0.0, values - own)


def explained(ranking: Ranking, marks: str = " (in parentheses)") -> str:
    """What the ranks rest on or why there are none, in words; `marks` says where they stand."""
    if not ranking.pairs:
        return "No ranks: nothing in these results tells differences from chance."
    family = f"{ranking.pairs} pair{'s' * (ranking.pairs != 1)}"
    if ranking.too_few:
        return (
            f"No ranks: {ranking.scenes} scenes cannot show any difference among {family}, however large; "
            f"{fewest_scenes(ranking.pairs)} can."
        )
    ways = [
        *(["paired differences over scenes"] if ranking.paired else []),
        *(["standard errors as if independent, where scenes cannot be paired"] if ranking.independent else []),
    ]
    return (
        f"Rank{marks}: 1 + the number of methods shown to be better, at {1 - ALPHA:.0%} for all {family} together "
        f"(Holm), by Student's t of {' and of '.join(ways)}. Equal ranks do not mean equal methods."
    )
