"""Scores: the measured numbers of one metric on one set of scenes, averaged over seeds.

The one place for what the tables, figures, leaderboard and reports of regressions show of a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from bench.api.errors import UsageError
from bench.api.names import PURE_NOISE
from bench.api.scores import score_info
from bench.results.ranking import explained, rank
from bench.results.schema import BY_SCENE, CONTRIBUTIONS, EACH_SCENE, SCENE_SET, WHOLE_SET
from bench.results.tidy import folded
from metrics.stats.significance import contributions_of_mean, half_width, is_mean, standard_error

if TYPE_CHECKING:
    import pandas as pd

CELL = ["channel", "method", "psnr"]

#: One cell: channel convention, method, PSNR.
Key = tuple[str, str, float]


@dataclass(frozen=True)
class Score:
    """One number over a sample of scenes, averaged over seeds.

    `value` is NaN where it is undefined. `std` is its spread over scenes and `stderr` its standard error
    (bench/results/rows.py), None where nothing tells them. It rests on `scenes` scenes, of which each adds one of the
    `contributions` (n,); `order` says whose may be paired by position: equal ones are of the same scenes in the same
    order. `limits` are those of the metric's values. `noise`: it is at least as bad as pure noise
    (bench/run/worker.py). `rank` is 1 more than the number of methods that are shown to be better, None where there
    is nothing to compare with (bench/results/ranking.py).
    """

    value: float
    std: float | None = None
    stderr: float | None = None
    scenes: int = 0
    contributions: np.ndarray | None = field(default=None, repr=False, compare=False)
    order: object = field(default=None, repr=False, compare=False)
    limits: tuple[float, float] = field(default=(-math.inf, math.inf), repr=False, compare=False)
    noise: bool = False
    rank: int | None = None

    @property
    def testable(self) -> bool:
        """Whether anything tells its differences from chance."""
        return math.isfinite(self.value) and self.stderr is not None and self.scenes >= 2

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval within `limits`, None where nothing tells it."""
        if self.stderr is None or not self.testable:
            return None
        half = half_width(self.stderr, self.scenes)
        return max(self.limits[0], self.value - half), min(self.limits[1], self.value + half)


@dataclass(frozen=True)
class Measured:
    """One metric on one set of scenes; `reference` is what it says of pure noise, None where not measured.

    `by_scene` are the scenes' own values, averaged over seeds, where a score is their mean or there is no score.
    """

    metric: str
    higher_is_better: bool
    protocol: str
    reference: float | None
    scores: Mapping[Key, Score]
    by_scene: Mapping[Key, pd.Series] = field(repr=False)

    def beyond(self, value: float) -> bool:
        """Whether a value is at least as bad as pure noise."""
        if self.reference is None or score_info(self.metric).of_originals or not math.isfinite(value):
            return False
        return value <= self.reference if self.higher_is_better else value >= self.reference


def ranked(columns: Sequence[tuple[Measured, Sequence[Key | None]]]) -> tuple[list[list[Score | None]], str]:
    """The scores behind the keys of a table's columns with ranks, and what these rest on (empty for one method).

    All pairs of a table are one family.
    """
    scores = [[None if key is None else data.scores.get(key) for key in keys] for data, keys in columns]
    found = rank(scores, [data.higher_is_better for data, _ in columns])
    placed = [
        [one and replace(one, rank=place) for one, place in zip(column, places, strict=True)]
        for column, places in zip(scores, found.ranks, strict=True)
    ]
    several = any(len({key for key in keys if key in data.scores}) > 1 for data, keys in columns)
    return placed, explained(found) if several else ""


def of_methods(frame: pd.DataFrame) -> pd.DataFrame:
    """The set-level rows about methods, references of pure noise left out."""
    return frame[(frame["scene"] == WHOLE_SET) & (frame["method"] != PURE_NOISE)]


def of_scenes(frame: pd.DataFrame, scenes: Sequence[object]) -> pd.DataFrame:
    """The rows of one set of scenes, given by its values of `SCENE_SET`."""
    for column, value in zip(SCENE_SET, scenes, strict=True):
        frame = frame[frame[column] == value]
    return frame


def of_originals(frame: pd.DataFrame, metric: str) -> float | None:
    """What a score against the truth is of the originals themselves, where the rows of one set of scenes say so."""
    whole = of_methods(frame)
    values = whole[whole["metric"] == score_info(metric).originals]["value"].dropna()
    return float(values.mean()) if len(values) else None


def measured(frame: pd.DataFrame, metric: str) -> Measured:
    """`metric` in the rows of one set of scenes; UsageError where they have no set-level row of it."""
    if of_methods(frame[frame["metric"] == metric]).empty:
        raise UsageError(f"these results have no {metric}; `bench run` writes it for every cell")
    return read_metric(frame, metric)


def read_metric(frame: pd.DataFrame, metric: str) -> Measured:
    """`metric` in the rows of one set of scenes, which hold at least one row of it, be it of a single scene."""
    frame = folded(frame)
    rows = frame[frame["metric"] == metric]
    whole = of_methods(rows)
    reference = rows[(rows["scene"] == WHOLE_SET) & (rows["method"] == PURE_NOISE)]["value"].dropna()
    info, scenes = score_info(metric), _by_scene(rows)
    limits = (info.low, info.high)
    spreads = _by_scene(frame[frame["metric"] == info.scenes]) if not scenes else {}
    groups = {_key(cell): group for cell, group in whole.groupby(CELL, sort=False)}
    indices = {id(values.index): values.index for values in scenes.values()}
    names = {number: tuple(map(str, index)) for number, index in indices.items()}
    scores: dict[Key, Score] = {}
    for key, group in groups.items():
        own = scenes.get(key)
        order = () if own is None else names[id(own.index)]
        scores[key] = _score(group, own, spreads.get(key), limits, order)
    found = Measured(
        metric,
        bool(rows["higher_is_better"].iloc[0]),
        ", ".join(str(p) for p in (rows if whole.empty else whole)["protocol"].drop_duplicates()),
        float(reference.iloc[0]) if len(reference) else None,
        scores,
        {key: v for key, v in scenes.items() if key not in scores or is_mean(scores[key].value, v.to_numpy())},
    )
    return replace(found, scores={key: replace(s, noise=found.beyond(s.value)) for key, s in scores.items()})


def _key(cell: object) -> Key:
    channel, method, psnr = cast("tuple[str, str, float]", cell)
    return str(channel), str(method), float(psnr)


def _score(
    rows: pd.DataFrame, own: pd.Series | None, spread: pd.Series | None, limits: tuple[float, float],
    names: tuple[str, ...],
) -> Score:  # fmt: skip
    """One cell of its rows, one a seed, and scenes' values over seeds: of which it is the mean (`own`), or others.

    `names` are those of the scenes of `own`.

    What several seeds say of a scene is averaged first, so `std` and `stderr` are over scenes whatever the number of
    seeds. Where a standard error is known of each seed alone, their mean is on the safe side: seeds share the scenes.
    """
    value = float(rows["value"].mean(skipna=False))
    scenes = int(rows["scenes"].min())
    contributions, order = _kept(rows, scenes), None
    if contributions is None and own is not None and is_mean(value, own.to_numpy()):
        contributions, order = contributions_of_mean(own.to_numpy()), names
    one, errors = len(rows) == 1, rows["stderr"].to_numpy(dtype=np.float64)
    stderr: float | None = float(errors.mean()) if np.isfinite(errors).all() else None
    if contributions is not None and (stderr is None or not one):
        stderr = standard_error(contributions)
    values = own if own is not None else spread
    if one:
        std = float(rows["std"].iloc[0])
    else:  # of the defined ones, NaN for fewer than two
        std = math.nan if values is None else float(values[np.isfinite(values)].std(ddof=1))
    scenes = scenes if contributions is None else len(contributions)
    return Score(value, std if math.isfinite(std) else None, stderr, scenes, contributions, order, limits)


def _kept(rows: pd.DataFrame, scenes: int) -> np.ndarray | None:
    """Contributions that were kept with the rows of a cell, averaged over seeds; None where a seed has none."""
    kept = list(rows[CONTRIBUTIONS]) if CONTRIBUTIONS in rows else []
    if scenes < 2 or not kept or not all(isinstance(c, np.ndarray) and c.shape == (scenes,) for c in kept):
        return None
    mean: np.ndarray = np.stack(kept).astype(np.float64).mean(axis=0)
    return mean if np.isfinite(mean).all() else None


def _by_scene(rows: pd.DataFrame) -> dict[Key, pd.Series]:
    """Per-scene values by cell, averaged over seeds, ordered by the scenes' names."""
    import pandas as pd

    seeds: dict[Key, list[pd.Series]] = {}
    single = rows[rows["scene"] == EACH_SCENE]
    for channel, method, psnr, values in zip(*(single[name] for name in (*CELL, BY_SCENE)), strict=True):
        seeds.setdefault(_key((channel, method, psnr)), []).append(values)
    orders: dict[int, tuple[pd.Index, np.ndarray, pd.Index]] = {}  # cells of a run share the index of their scenes
    found = {}
    for key, several in seeds.items():
        index, values = _mean_over_seeds(several)
        if id(index) not in orders:
            order = index.argsort()
            orders[id(index)] = index, order, index[order]
        _, order, ordered = orders[id(index)]
        found[key] = pd.Series(values[order], index=ordered)
    return found


def _mean_over_seeds(found: Sequence[pd.Series]) -> tuple[pd.Index, np.ndarray]:
    """The mean of the defined ones of a scene's values, summed with compensation as pandas does it."""
    import pandas as pd

    index = found[0].index
    if len(found) == 1:
        return index, found[0].to_numpy(np.float64)
    if not all(one.index is index or one.index.equals(index) for one in found[1:]):
        index = pd.Index(dict.fromkeys(scene for one in found for scene in one.index))
        found = [one.reindex(index) for one in found]
    total, lost, count = (np.zeros(len(index)) for _ in range(3))
    for one in found:
        values = one.to_numpy(np.float64)
        defined = ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            term = np.where(defined, values, 0.0) - lost
            summed = total + term
            lost = np.where(np.isfinite(summed), summed - total - term, 0.0)
        total, count = summed, count + defined
    with np.errstate(invalid="ignore"):
        return index, total / count
