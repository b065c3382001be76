"""The measured numbers of one metric on one set of scenes: value, spread and draws of every cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, cast

import numpy as np

from bench.bootstrap import DRAWS as DRAW_COUNT
from bench.bootstrap import FEWEST_SCENES, draws_of_mean
from bench.names import PURE_NOISE
from bench.rows import DRAWS, WHOLE_SET
from bench.tables.model import Entry

if TYPE_CHECKING:
    import pandas as pd

#: Distances between sets: they have no per-scene values, and their ± is that of the value itself.
SET_DISTANCES = ("FID", "KID")
#: Per-scene values that stand in for a set-level score where the results hold no draws of it.
PROXIES = {"mIoU": "mIoU[scene]"}
#: In a score's name: it is about the original pictures, not the methods'.
OF_ORIGINALS = "[original"
#: Columns that one set of scenes is told from another by.
SCENE_SET = ["dataset", "split", "size"]

#: One cell: channel convention, method, PSNR.
Key = tuple[str, str, float]


class Basis(Enum):
    """What the ranks of a metric rest on; the value says it in a caption."""

    SETS = "a paired bootstrap over scenes of the score itself"
    SCENES = "a paired bootstrap over scenes"
    PROXY = (
        "a paired bootstrap over scenes of the per-scene values (mIoU[scene]), because these results hold no draws of "
        "the score itself (the same `bench run` again adds them)"
    )
    SPREAD = "independent normal distributions with the ± as standard error, because it has no per-scene values"
    NONE = (
        "nothing but the printed values: no ties are known (a bootstrap takes per-scene values of "
        f"{FEWEST_SCENES} scenes or more)"
    )


@dataclass(frozen=True)
class Measured:
    """One metric on one set of scenes. `reference` is what it says of pure noise, None where that was not measured."""

    metric: str
    higher_is_better: bool
    protocol: str
    reference: float | None
    entries: Mapping[Key, Entry]
    basis: Basis
    draws: Mapping[Key, np.ndarray] = field(repr=False)

    def beyond(self, value: float) -> bool:
        """Whether a value is at least as bad as pure noise."""
        if self.reference is None or OF_ORIGINALS in self.metric or not math.isfinite(value):
            return False
        return value <= self.reference if self.higher_is_better else value >= self.reference


def of_methods(frame: pd.DataFrame) -> pd.DataFrame:
    """The set-level rows about methods, references of pure noise left out."""
    return frame[(frame["scene"] == WHOLE_SET) & (frame["method"] != PURE_NOISE)]


def of_scenes(frame: pd.DataFrame, scenes: Sequence[object]) -> pd.DataFrame:
    """The rows of one set of scenes, given by its values of `SCENE_SET`."""
    for column, value in zip(SCENE_SET, scenes, strict=True):
        frame = frame[frame[column] == value]
    return frame


def measured(frame: pd.DataFrame, metric: str) -> Measured:
    """`metric` in the rows of one set of scenes, which hold at least one set-level row of it."""
    rows = frame[frame["metric"] == metric]
    whole = of_methods(rows)
    reference = rows[(rows["scene"] == WHOLE_SET) & (rows["method"] == PURE_NOISE)]["value"].dropna()
    entries = {_key(cell): _entry(group) for cell, group in whole.groupby(["channel", "method", "psnr"], sort=False)}
    basis, draws = _draws(frame, whole, metric, entries)
    found = Measured(
        metric,
        bool(whole["higher_is_better"].iloc[0]),
        ", ".join(str(p) for p in whole["protocol"].drop_duplicates()),
        float(reference.iloc[0]) if len(reference) else None,
        entries,
        basis,
        draws,
    )
    return replace(found, entries={key: replace(e, noise=found.beyond(e.value)) for key, e in entries.items()})


def _key(cell: object) -> Key:
    channel, method, psnr = cast(tuple[str, str, float], cell)
    return str(channel), str(method), float(psnr)


def _entry(rows: pd.DataFrame) -> Entry:
    """Mean over seeds; the mean spread, or where scenes give none the spread over seeds."""
    spread = rows["std"].dropna()
    std = float(spread.mean()) if len(spread) else (float(rows["value"].std(ddof=0)) if len(rows) > 1 else None)
    return Entry(float(rows["value"].mean(skipna=False)), std)


def _draws(
    frame: pd.DataFrame, whole: pd.DataFrame, metric: str, entries: Mapping[Key, Entry]
) -> tuple[Basis, dict[Key, np.ndarray]]:
    """The best draws that the results allow of every cell, and what they are."""
    stored = _stored_draws(whole)
    if set(stored) == set(entries):
        return Basis.SETS, stored
    scenes = _scene_draws(frame, metric)
    if set(scenes) == set(entries) and all(_agrees(mean, entries[key]) for key, (mean, _) in scenes.items()):
        return Basis.SCENES, {key: draws for key, (_, draws) in scenes.items()}
    if metric in PROXIES and set(proxy := _scene_draws(frame, PROXIES[metric])) >= set(entries):
        return Basis.PROXY, {key: proxy[key][1] for key in entries}
    if metric.startswith(SET_DISTANCES) and all(e.std is not None for e in entries.values()):
        return Basis.SPREAD, {}
    return Basis.NONE, {}


def _stored_draws(whole: pd.DataFrame) -> dict[Key, np.ndarray]:
    """Kept draws by cell, averaged over seeds: the same scenes are drawn in each."""
    if DRAWS not in whole:
        return {}
    kept = whole[[isinstance(d, np.ndarray) and len(d) == DRAW_COUNT for d in whole[DRAWS]]]
    return {
        _key(cell): np.stack(list(group[DRAWS])).astype(np.float64).mean(axis=0)
        for cell, group in kept.groupby(["channel", "method", "psnr"], sort=False)
    }


def _scene_draws(frame: pd.DataFrame, metric: str) -> dict[Key, tuple[float, np.ndarray]]:
    """Mean and draws by cell from per-scene rows, averaged over seeds; cells that lack a scene are left out."""
    rows = frame[(frame["metric"] == metric) & (frame["scene"] != WHOLE_SET)]
    if rows["scene"].nunique() < FEWEST_SCENES:
        return {}
    by_scene = rows.groupby(["channel", "method", "psnr", "scene"])["value"].mean().unstack("scene")
    present = rows.groupby(["channel", "method", "psnr"])["scene"].nunique()
    return {
        _key(cell): (float(np.nanmean(values)), draws_of_mean(values))
        for cell, values in zip(by_scene.index, by_scene.to_numpy(dtype=np.float64), strict=True)
        if present.get(cell, 0) == by_scene.shape[1] and np.isfinite(values).any()
    }


def _agrees(mean: float, entry: Entry) -> bool:
    """Whether a set-level score is the mean of its per-scene values, which is what their draws take for granted."""
    return math.isclose(mean, entry.value, rel_tol=1e-5, abs_tol=1e-9)
