"""The measured numbers of one metric on one set of scenes: value, spread and standard error of every cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from bench.api.errors import UsageError
from bench.api.names import PURE_NOISE
from bench.api.scores import score_info
from bench.results.ranking import Sampled
from bench.results.rows import CONTRIBUTIONS, WHOLE_SET
from bench.run.summary import is_mean
from bench.tables.model import Entry
from metrics.stats.significance import contributions_of_mean, standard_error

if TYPE_CHECKING:
    import pandas as pd

#: In a score's name: it is about the original pictures, not the methods'.
OF_ORIGINALS = "[original"
#: Columns that one set of scenes is told from another by.
SCENE_SET = ["dataset", "split", "size", "scene_count"]
CELL = ["channel", "method", "psnr"]

#: One cell: channel convention, method, PSNR.
Key = tuple[str, str, float]


@dataclass(frozen=True)
class Measured:
    """One metric on one set of scenes. `reference` is what it says of pure noise, None where that was not measured.
    `samples` are the values with what tells their differences from chance, for ranks and intervals."""

    metric: str
    higher_is_better: bool
    protocol: str
    reference: float | None
    entries: Mapping[Key, Entry]
    samples: Mapping[Key, Sampled] = field(repr=False)

    def beyond(self, value: float) -> bool:
        """Whether a value is at least as bad as pure noise."""
        if self.reference is None or OF_ORIGINALS in self.metric or not math.isfinite(value):
            return False
        return value <= self.reference if self.higher_is_better else value >= self.reference

    def ranked(self, key: Key | None) -> Sampled | None:
        """What takes part in a ranking: nothing where there is no cell, or one that is undefined or beyond measure."""
        entry = None if key is None else self.entries.get(key)
        if key is None or entry is None or entry.noise or not math.isfinite(entry.value):
            return None
        return self.samples[key]

    def interval(self, key: Key) -> tuple[float, float] | None:
        """A cell's 95 % interval, within the metric's bounds; None where nothing tells it."""
        info = score_info(self.metric)
        return self.samples[key].interval(info.low, info.high)


def of_methods(frame: pd.DataFrame) -> pd.DataFrame:
    """The set-level rows about methods, references of pure noise left out."""
    return frame[(frame["scene"] == WHOLE_SET) & (frame["method"] != PURE_NOISE)]


def of_scenes(frame: pd.DataFrame, scenes: Sequence[object]) -> pd.DataFrame:
    """The rows of one set of scenes, given by its values of `SCENE_SET`."""
    for column, value in zip(SCENE_SET, scenes, strict=True):
        frame = frame[frame[column] == value]
    return frame


def measured(frame: pd.DataFrame, metric: str) -> Measured:
    """`metric` in the rows of one set of scenes; UsageError where they have no set-level row of it."""
    rows = frame[frame["metric"] == metric]
    whole = of_methods(rows)
    if whole.empty:
        raise UsageError(f"these results have no {metric}; `bench run` writes it for every cell")
    reference = rows[(rows["scene"] == WHOLE_SET) & (rows["method"] == PURE_NOISE)]["value"].dropna()
    scenes = _by_scene(rows)
    spreads = _by_scene(frame[frame["metric"] == _of_a_scene(metric)]) if not scenes else {}
    entries, samples = {}, {}
    for cell, group in whole.groupby(CELL, sort=False):
        key = _key(cell)
        entries[key], samples[key] = _cell(group, scenes.get(key), spreads.get(key))
    found = Measured(
        metric,
        bool(whole["higher_is_better"].iloc[0]),
        ", ".join(str(p) for p in whole["protocol"].drop_duplicates()),
        float(reference.iloc[0]) if len(reference) else None,
        entries,
        samples,
    )
    return replace(found, entries={key: replace(e, noise=found.beyond(e.value)) for key, e in entries.items()})


def _key(cell: object) -> Key:
    channel, method, psnr = cast(tuple[str, str, float], cell)
    return str(channel), str(method), float(psnr)


def _of_a_scene(metric: str) -> str:
    """The name of the scenes' own values of a score that is no mean of them: `mIoU[scene]`, `recall[judge:scene]`."""
    base, _, inside = metric.rstrip("]").partition("[")
    return f"{base}[{inside}:scene]" if inside else f"{base}[scene]"


def _cell(rows: pd.DataFrame, own: pd.Series | None, spread: pd.Series | None) -> tuple[Entry, Sampled]:
    """One cell of its set-level rows, one a seed, and the scenes' own values averaged over seeds: those of which the
    score is the mean (`own`), or others (`spread`).

    What several seeds say of a scene is averaged first, so `std` and `stderr` are over scenes whatever the number of
    seeds. Where a standard error is known of each seed alone, their mean is on the safe side: seeds share the scenes.
    """
    value = float(rows["value"].mean(skipna=False))
    scenes = int(rows["scenes"].min())
    contributions, order = _kept(rows, scenes), None
    if contributions is None and own is not None and is_mean(value, own.to_numpy()):
        contributions, order = contributions_of_mean(own.to_numpy()), tuple(own.index)
    one, errors = len(rows) == 1, rows["stderr"].to_numpy(dtype=np.float64)
    stderr: float | None = float(errors.mean()) if np.isfinite(errors).all() else None
    if contributions is not None and (stderr is None or not one):
        stderr = standard_error(contributions)
    std = float(rows["std"].iloc[0]) if one else _deviation(own if own is not None else spread)
    scenes = scenes if contributions is None else len(contributions)
    sample = Sampled(value, stderr, scenes, contributions, order)
    return Entry(value, std if math.isfinite(std) else None, stderr), sample


def _deviation(values: pd.Series | None) -> float:
    """Standard deviation of the defined ones of the scenes' own values, NaN for fewer than two."""
    return math.nan if values is None else float(values[np.isfinite(values)].std(ddof=1))


def _kept(rows: pd.DataFrame, scenes: int) -> np.ndarray | None:
    """Contributions that were kept with the rows of a cell, averaged over seeds; None where a seed has none."""
    kept = list(rows[CONTRIBUTIONS]) if CONTRIBUTIONS in rows else []
    if scenes < 2 or not kept or not all(isinstance(c, np.ndarray) and c.shape == (scenes,) for c in kept):
        return None
    mean: np.ndarray = np.stack(kept).astype(np.float64).mean(axis=0)
    return mean if np.isfinite(mean).all() else None


def _by_scene(rows: pd.DataFrame) -> dict[Key, pd.Series]:
    """Per-scene values by cell, averaged over seeds, ordered by the scenes' names."""
    single = rows[rows["scene"] != WHOLE_SET]
    if single.empty:
        return {}
    means = single.groupby([*CELL, "scene"])["value"].mean()
    return {_key(cell): values.droplevel([0, 1, 2]) for cell, values in means.groupby(level=CELL, sort=False)}
