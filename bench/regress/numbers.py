"""One metric of one cell as numbers that can be paired: averaged over seeds, in the order of given scenes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from bench.bootstrap import DRAWS as DRAW_COUNT
from bench.regress.model import CellName
from bench.rows import DRAWS, WHOLE_SET

if TYPE_CHECKING:
    import pandas as pd

CELL = ["dataset", "channel", "method", "psnr"]
Key = tuple[CellName, str]


@dataclass(frozen=True)
class Numbers:
    """`scenes` are the values (n,) of the scenes compared, None where the score is no mean of such values; `whole` the
    score of all `count` scenes of the run, with its `std` and `draws` (DRAWS,) where there are any."""

    higher_is_better: bool
    seeds: tuple[int, ...]
    scenes: np.ndarray | None
    whole: float | None
    std: float | None
    count: int
    draws: np.ndarray | None

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
    spread = rows["std"].dropna()
    scenes = None
    if values is not None and set(ids) <= set(values.index) and (mean is None or _is_mean(mean, values)):
        scenes = values.reindex(list(ids)).to_numpy(dtype=np.float64)
    return Numbers(
        bool(rows["higher_is_better"].iloc[0]),
        tuple(sorted({int(seed) for seed in rows["seed"]})),
        scenes,
        mean,
        float(spread.mean()) if len(spread) else None,
        len(ids) if mean is None else int(rows["scenes"].iloc[0]),
        _draws(rows),
    )


def _is_mean(score: float, values: pd.Series) -> bool:
    """Whether a score is the mean of the per-scene values of its name (or there are none to contradict it)."""
    defined = values.dropna()
    return math.isclose(float(defined.mean()), score, rel_tol=1e-5, abs_tol=1e-9) if len(defined) else math.isnan(score)


def _draws(rows: pd.DataFrame) -> np.ndarray | None:
    """Kept draws averaged over seeds (the same scenes are drawn in each), None where a seed has none."""
    kept = list(rows[DRAWS]) if DRAWS in rows else []
    if not kept or not all(isinstance(d, np.ndarray) and d.shape == (DRAW_COUNT,) for d in kept):
        return None
    return np.stack(kept).astype(np.float64).mean(axis=0)
