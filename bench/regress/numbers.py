"""One metric of one cell as numbers that can be paired: averaged over seeds, in the order of given scenes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from bench.regress.model import CellName
from bench.results.rows import CONTRIBUTIONS, WHOLE_SET
from bench.run.summary import is_mean

if TYPE_CHECKING:
    import pandas as pd

CELL = ["dataset", "channel", "method", "psnr"]
Key = tuple[CellName, str]


@dataclass(frozen=True)
class Numbers:
    """`scenes` are the values (n,) of the scenes compared, None where the score is no mean of such values; `whole` the
    score of all `count` scenes of the run, with its `stderr` and `contributions` (count,) where there are any."""

    higher_is_better: bool
    seeds: tuple[int, ...]
    scenes: np.ndarray | None
    whole: float | None
    stderr: float | None
    count: int
    contributions: np.ndarray | None
    protocol: str

    def value(self, scenes: int) -> float | None:
        """The score over the scenes compared (so many), None where it is not known for just these."""
        if self.scenes is not None:
            return float(np.nanmean(self.scenes)) if np.isfinite(self.scenes).any() else math.nan
        return self.whole if self.count == scenes else None


def numbers(frame: pd.DataFrame, ids: Mapping[str, tuple[str, ...]]) -> dict[Key, Numbers]:
    """Every metric of every cell of a frame, over the scenes `ids` by data set; other data sets are left out."""
    frame = frame[frame["dataset"].isin(list(ids))]
    single = frame[frame["scene"] != WHOLE_SET]
    by_scene = single.groupby([*CELL, "metric", "scene"], sort=False)["value"].mean().reset_index()
    scenes = {_key(cell): rows.set_index("scene")["value"] for cell, rows in by_scene.groupby([*CELL, "metric"])}
    whole = frame[frame["scene"] == WHOLE_SET]
    found = {}
    for cell, rows in whole.groupby([*CELL, "metric"], sort=False):
        key = _key(cell)
        found[key] = _numbers(rows, scenes.pop(key, None), ids[key[0].dataset])
    for cell, rows in single.groupby([*CELL, "metric"], sort=False):
        key = _key(cell)
        if key in scenes:  # per-scene values without a score of the whole set, such as mIoU[scene]
            found[key] = _numbers(rows, scenes[key], ids[key[0].dataset], alone=True)
    return found


def _key(cell: object) -> Key:
    dataset, channel, method, psnr, metric = cast(tuple[str, str, str, float, str], cell)
    return CellName(str(dataset), str(channel), str(method), float(psnr)), str(metric)


def _numbers(rows: pd.DataFrame, values: pd.Series | None, ids: tuple[str, ...], alone: bool = False) -> Numbers:
    mean = None if alone else float(rows["value"].mean(skipna=False))
    errors, count = rows["stderr"], len(ids) if mean is None else int(rows["scenes"].iloc[0])
    scenes = None
    if values is not None and set(ids) <= set(values.index) and (mean is None or is_mean(mean, values.to_numpy())):
        scenes = values.reindex(list(ids)).to_numpy(dtype=np.float64)
    return Numbers(
        bool(rows["higher_is_better"].iloc[0]),
        tuple(sorted({int(seed) for seed in rows["seed"]})),
        scenes,
        mean,
        float(errors.mean()) if np.isfinite(errors).all() else None,
        count,
        _contributions(rows, count),
        str(rows["protocol"].iloc[0]),
    )


def _contributions(rows: pd.DataFrame, count: int) -> np.ndarray | None:
    """Kept contributions averaged over seeds (the scenes are the same in each), None where a seed has none."""
    kept = list(rows[CONTRIBUTIONS]) if CONTRIBUTIONS in rows else []
    if not kept or not all(isinstance(c, np.ndarray) and c.shape == (count,) for c in kept):
        return None
    mean: np.ndarray = np.stack(kept).astype(np.float64).mean(axis=0)
    return mean if np.isfinite(mean).all() else None
