"""Two methods side by side: the difference of their scores on the same scenes, with its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bench.api.errors import UsageError, known_name
from bench.api.names import PURE_NOISE
from bench.api.scores import shown_always
from bench.results.ranking import difference_of
from bench.results.request import choose_metrics
from bench.results.schema import SCENE_SET
from bench.results.scores import Key, Measured, Score, measured, of_methods, of_scenes
from metrics.stats.significance import ALPHA, half_width, holm, t_p

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Difference:
    """One score of two methods at one PSNR of one channel, over one list of scenes.

    `value` is the first one's less the second one's and `interval` its 95 % interval by Student's t. It is `paired`
    where what each scene adds to the scores is known of both; else the two standard errors are taken as independent,
    which makes the interval wider. `p` is two-sided and corrected for all differences that were asked for together
    (Holm). Interval and p are None where nothing tells the difference from chance; p also where one of the two is at
    least as bad as pure noise.
    """

    methods: tuple[str, str]
    scene_set: tuple[object, ...]
    channel: str
    psnr: float
    metric: str
    higher_is_better: bool
    first: Score
    second: Score
    value: float
    interval: tuple[float, float] | None
    p: float | None
    scenes: int
    paired: bool

    @property
    def better(self) -> int | None:
        """0 or 1 where the first or the second one is shown to be better (95 % for all together), else None."""
        if self.p is None or self.p > ALPHA or self.value == 0:
            return None
        return 0 if (self.value > 0) == self.higher_is_better else 1


def differences(
    frame: pd.DataFrame, first: str, second: str, metrics: Sequence[str] = (), psnrs: Sequence[float] = ()
) -> list[Difference]:
    """What tells two methods apart, for each list of scenes, channel, score and PSNR that both were measured at.

    Without `metrics` the main scores. Ordered by list of scenes, channel, score and PSNR, the best channel first.
    UsageError for a method, score or PSNR that the rows lack, and where the two have nothing in common.
    """
    whole = of_methods(frame)
    names = [str(m) for m in whole["method"].drop_duplicates()]
    first, second = (known_name(name, names, "method", " of these results") for name in (first, second))
    if first == second:
        raise UsageError(f"'{first}' cannot be compared with itself: name two methods, of {', '.join(names)}")
    whole = whole[whole["method"].isin([first, second])]
    asked = list(metrics) or shown_always(whole["metric"].unique())
    chosen = list(dict.fromkeys(name for typed in asked for name in choose_metrics(whole, typed)))
    there = sorted({float(p) for p in whole["psnr"]}, reverse=True)
    for psnr in psnrs:
        if psnr not in there:
            raise UsageError(f"PSNR {psnr:g} was not run of these, only {', '.join(f'{p:g}' for p in there)}")
    found: list[Difference] = []
    for scenes, rows in whole.groupby(SCENE_SET, sort=False):
        own = of_scenes(frame, scenes)
        own = own[own["method"].isin([first, second, PURE_NOISE])]
        for channel in rows["channel"].drop_duplicates():
            for metric in (name for name in chosen if name in set(rows["metric"])):
                data = measured(own, metric)
                for psnr in (p for p in there if not psnrs or p in psnrs):
                    keys = [(str(channel), method, psnr) for method in (first, second)]
                    if all(key in data.scores for key in keys):
                        found.append(_compared(data, keys[0], keys[1], scenes))
    if not found:
        raise UsageError(f"{first} and {second} have no score in common on the same scenes, channel and PSNR")
    return _corrected(found)


def _compared(data: Measured, one: Key, two: Key, scenes: tuple[object, ...]) -> Difference:
    (channel, first, psnr), (_, second, _) = one, two
    ours, theirs = data.scores[one], data.scores[two]
    value, error, count, paired = difference_of(ours, theirs)
    interval = p = None
    if error is not None:
        half = half_width(error, count)
        interval = (value - half, value + half)
        p = None if ours.noise or theirs.noise else float(t_p(np.array(value), np.array(error), count))
    return Difference(
        (first, second), scenes, channel, psnr, data.metric, data.higher_is_better, ours, theirs, value, interval, p,
        count, paired,
    )  # fmt: skip


def _corrected(found: Sequence[Difference]) -> list[Difference]:
    """The same with each p corrected for all of them."""
    tested = [number for number, one in enumerate(found) if one.p is not None]
    p = dict(zip(tested, holm(np.array([found[number].p for number in tested], dtype=float)), strict=True))
    return [replace(one, p=float(p[number])) if number in p else one for number, one in enumerate(found)]
