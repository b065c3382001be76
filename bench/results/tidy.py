"""Rows as they are kept in memory, and as they are on disk.

On disk results are tidy: one row is one number, of a scene or of a whole set. In memory the scenes' own values of a
metric in a cell are one row (`EACH_SCENE`) with a series (`BY_SCENE`): millions of numbers are thousands of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.results.schema import BY_SCENE, CELL_OF_SEED, CONTRIBUTIONS, EACH_SCENE, WHOLE_SET

if TYPE_CHECKING:
    import pandas as pd


def as_objects(values: Iterable[Any]) -> np.ndarray:
    """A column of values, each of them one whatever it holds."""
    found = list(values)
    column = np.empty(len(found), dtype=object)
    for number, value in enumerate(found):  # at once, numpy would make values of equal lengths a matrix
        column[number] = value
    return column


def folded(frame: pd.DataFrame) -> pd.DataFrame:
    """Tidy rows as in memory: rows of single scenes become one a cell and metric, where the first of them stood."""
    import pandas as pd

    frame = frame.assign(**{name: None for name in (CONTRIBUTIONS, BY_SCENE) if name not in frame})
    single = np.flatnonzero(~frame["scene"].isin([WHOLE_SET, EACH_SCENE]))
    if not len(single):
        return frame
    rows = frame.iloc[single]
    keys = [name for name in (*CELL_OF_SEED, "metric") if name in rows]
    group = rows.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    order = group.argsort(kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    values, scenes = rows["value"].to_numpy(np.float64)[order], rows["scene"].to_numpy(object)[order]
    first = single[order[starts]]
    made = frame.iloc[first].assign(scene=EACH_SCENE, value=math.nan, scenes=1)
    made[BY_SCENE] = as_objects(
        pd.Series(v, index=pd.Index(s))
        for v, s in zip(np.split(values, starts[1:]), np.split(scenes, starts[1:]), strict=True)
    )
    whole = np.setdiff1d(np.arange(len(frame)), single)
    places = np.concatenate([whole, first]).argsort(kind="stable")
    return pd.concat([frame.iloc[whole], made], ignore_index=True).iloc[places].reset_index(drop=True)


def unfolded(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows as in memory as tidy ones: a scene a row, where the row of its cell and metric stood."""
    frame = frame.reset_index(drop=True)
    series = [values for values in frame[BY_SCENE] if values is not None]
    if not series:
        return frame.drop(columns=BY_SCENE)
    each = frame[BY_SCENE].notna().to_numpy()
    counts = np.ones(len(frame), dtype=int)
    counts[each] = [len(values) for values in series]
    tidy = frame.drop(columns=BY_SCENE).loc[frame.index.repeat(counts)].reset_index(drop=True)
    single = np.repeat(each, counts)
    scenes, values = tidy["scene"].to_numpy(object).copy(), tidy["value"].to_numpy(np.float64).copy()
    scenes[single] = np.concatenate([one.index.to_numpy(object) for one in series])
    values[single] = np.concatenate([one.to_numpy(np.float64) for one in series])
    return tidy.assign(scene=scenes, value=values)


def scenes_of(frame: pd.DataFrame) -> list[str]:
    """The names of all scenes that rows in memory have values of, in their order."""
    indices = {id(values.index): values.index for values in frame[BY_SCENE] if values is not None}
    return list(dict.fromkeys(str(scene) for index in indices.values() for scene in index))


def count_rows(frame: pd.DataFrame) -> int:
    """How many tidy rows the rows in memory are."""
    return sum(1 if values is None else len(values) for values in frame[BY_SCENE])
