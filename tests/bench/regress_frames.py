"""Fabricated pairs of runs for the tests of `bench regress`: known effects, known noise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from table_frames import BASE

from bench.api.scores import COSTS
from bench.regress.compare import Sides, compare
from bench.regress.model import CellName, ScoreChange, Thresholds
from bench.results.schema import COLUMNS, CONTRIBUTIONS

CHANNEL = "awgn-paper-peak"
NO_SPREAD = {"std": np.nan, "stderr": np.nan}
ANY_FLOOR = {"X": (0.0, False), "mIoU": (0.0, False)}


def cell(method: str, psnr: float = 10.0) -> CellName:
    return CellName("streets", CHANNEL, method, psnr)


def scene_ids(count: int) -> tuple[str, ...]:
    return tuple(f"s{k:03d}" for k in range(count))


def run_frame(
    values: Mapping[str, np.ndarray], metric: str = "X", seed: int = 0, alone: bool = False, **other: object
) -> pd.DataFrame:
    """Rows of a run at PSNR 10: per-scene values by method, and (unless `alone`) the score that is their mean."""
    rows = []
    for method, scenes in values.items():
        base = {**BASE, "scenes": len(scenes), "metric": metric, **other, "method": method, "psnr": 10.0, "seed": seed}
        if not alone:
            rows.append({**base, "scene": "all", "value": float(np.nanmean(scenes)), **NO_SPREAD})
        for name, value in zip(scene_ids(len(scenes)), scenes, strict=True):
            rows.append({**base, "scene": name, "value": value, **NO_SPREAD, "scenes": 1})
    return pd.DataFrame(rows, columns=[*COLUMNS, CONTRIBUTIONS])


def set_frame(
    values: Mapping[str, float], scenes: int, kept: Mapping[str, np.ndarray] | None = None, **other: object
) -> pd.DataFrame:
    """Rows of scores of the whole set only, with contributions by method."""
    rows = [
        {**BASE, "scenes": scenes, **NO_SPREAD, "seed": 0, **other, "method": m, "psnr": 10.0, "value": v,
         CONTRIBUTIONS: None if kept is None else kept[m]}
        for m, v in values.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[*COLUMNS, CONTRIBUTIONS])


def sides(old: pd.DataFrame, new: pd.DataFrame, scenes: int, missing: Mapping[CellName, str] | None = None) -> Sides:
    """Both frames over the first so many scenes; the rerun's cells are those in its frame."""
    cells = frozenset(cell(m) for m in new["method"].unique())
    return Sides(old, new, {"streets": scene_ids(scenes)}, cells, missing or {}, True)


def limits(alpha: float = 0.05, **floors: float) -> Thresholds:
    """No floors but those given (by metric, in its unit)."""
    table = {**ANY_FLOOR, **{name: (amount, False) for name, amount in floors.items()}}
    return Thresholds(alpha, table, {name: 1 + cost.floor for name, cost in COSTS.items()})


def verdicts(found: tuple[list[ScoreChange], int]) -> dict[tuple[str, str], str]:
    """(method, metric) -> verdict."""
    return {(c.cell.method, c.metric): str(c.verdict) for c in found[0]}


def compared(old: pd.DataFrame, new: pd.DataFrame, scenes: int, limit: Thresholds | None = None) -> list[ScoreChange]:
    return compare(sides(old, new, scenes), limit or limits())[0]


def workflow(name: str) -> Path:
    return Path(__file__).parents[2] / ".github" / "workflows" / name
