"""Envelopes of ways of sending over channel uses, and where one crosses another beyond what chance explains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.results.scores import Score

#: Corners (channel uses, score): the best score at so many uses or fewer.
Envelope = list[tuple[float, "Score"]]


@dataclass(frozen=True)
class Crossing:
    """`after` takes the lead from `before` at so many `uses`, where `before` has `value`.

    At `low` uses `before` is ahead, at `high` (`uses` or more) `after`, each by intervals that do not overlap.
    """

    before: str
    after: str
    uses: float
    value: float
    low: float
    high: float


def envelope(points: Iterable[tuple[float, Score]], higher_is_better: bool) -> Envelope:
    """The points that are better than all with fewer uses or as many."""
    sign = 1 if higher_is_better else -1
    corners: Envelope = []
    for spent, score in sorted(points, key=lambda point: (point[0], -sign * point[1].value)):
        if not corners or sign * score.value > sign * corners[-1][1].value:
            corners.append((spent, score))
    return corners


def crossings(envelopes: Mapping[str, Envelope], higher_is_better: bool) -> list[Crossing]:
    """Where the best of all envelopes is another one's from then on, in the order of uses; each pair once.

    A way of sending that begins above another has not crossed it: what it does with fewer uses is unknown.
    """
    sign = 1 if higher_is_better else -1
    corners = sorted({spent for line in envelopes.values() for spent, _ in line})

    def leader(spent: float) -> str:
        values = {way: score.value for way, line in envelopes.items() if (score := _at(line, spent)) is not None}
        return max(values, key=lambda way: sign * values[way])

    found: dict[tuple[str, str], Crossing] = {}
    for (_, before), (spent, after) in pairwise((corner, leader(corner)) for corner in corners):
        there = _at(envelopes[before], spent)
        if before == after or (before, after) in found or there is None:
            continue
        first, second = ({c: _at(envelopes[way], c) for c in corners} for way in (before, after))
        lows = [c for c in corners if c < spent and _parted(first[c], second[c], sign)]
        highs = [c for c in corners if c >= spent and _parted(second[c], first[c], sign)]
        if lows and highs:
            found[before, after] = Crossing(before, after, spent, there.value, lows[-1], highs[0])
    return list(found.values())


def _at(line: Envelope, spent: float) -> Score | None:
    """The envelope's score with so many uses, None where it begins later."""
    return next((score for uses, score in reversed(line) if uses <= spent), None)


def _parted(one: Score | None, other: Score | None, sign: int) -> bool:
    """Whether the intervals do not overlap, with `one` on the better side; False where there is no interval."""
    if one is None or other is None or one.interval is None or other.interval is None:
        return False
    return min(sign * end for end in one.interval) > max(sign * end for end in other.interval)
