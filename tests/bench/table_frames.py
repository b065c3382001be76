"""Fabricated results for the tests of tables: set-level rows, per-scene rows, contributions, pure noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.api.names import PURE_NOISE
from bench.results.files import read_results, whole_results
from bench.results.schema import COLUMNS, CONTRIBUTIONS
from bench.results.tidy import unfolded

BASE = {
    "dataset": "streets", "split": "test", "size": "64x128", "scale": "embedded", "channel": "awgn-paper-peak",
    "sigma": 0.36, "peak_snr_db": 8.9, "mean_snr_db": math.nan, "cell": "unknown", "scene_count": 32, "scene": "all",
    "metric": "mIoU", "scenes": 32, "higher_is_better": True, "protocol": "gt|judge=x",
}  # fmt: skip


def method_rows(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The tidy rows of methods, without those of pure noise, and the provenance of the results in a folder."""
    rows, facts = read_results(folder)
    return unfolded(rows[rows["method"] != PURE_NOISE]), facts


def all_rows(folder: Path | str) -> pd.DataFrame:
    """All tidy rows of the results in a folder."""
    return unfolded(whole_results(Path(folder))[0])


def frame(values: Mapping[tuple[str, float, int], tuple[float, float | None]], **other: object) -> pd.DataFrame:
    """Set-level rows: (method, psnr, seed) -> (value, stderr)."""
    rows = [
        {
            **BASE,
            **other,
            "method": m,
            "psnr": p,
            "seed": s,
            "value": v,
            "std": math.nan,
            "stderr": math.nan if d is None else d,
        }
        for (m, p, s), (v, d) in values.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def at10(values: Mapping[str, float], stderr: float | None = None, **other: object) -> pd.DataFrame:
    """Set-level rows at PSNR 10, seed 0: method -> value."""
    return frame({(method, 10.0, 0): (value, stderr) for method, value in values.items()}, **other)


def per_scene(values: Mapping[str, Sequence[float]], seed: int = 0, **other: object) -> pd.DataFrame:
    """Set-level rows at PSNR 10 that are means, and the per-scene rows behind them: method -> values."""
    means = at10({m: float(np.mean(v)) for m, v in values.items()}, **other).assign(seed=seed)
    rows = [
        {
            **BASE,
            **other,
            "method": m,
            "psnr": 10.0,
            "seed": seed,
            "scene": f"s{k:02d}",
            "value": v,
            "std": math.nan,
            "stderr": math.nan,
        }
        for m, scenes in values.items()
        for k, v in enumerate(scenes)
    ]
    return pd.concat([means, pd.DataFrame(rows, columns=list(COLUMNS))], ignore_index=True)


def with_contributions(rows: pd.DataFrame, kept: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The rows with kept contributions by method, and as many scenes."""
    found = [kept.get(m) if s == "all" else None for m, s in zip(rows["method"], rows["scene"], strict=True)]
    scenes = [n if c is None else len(c) for n, c in zip(rows["scenes"], found, strict=True)]
    return rows.assign(**{CONTRIBUTIONS: found, "scenes": scenes})


def noise(value: float, **other: object) -> pd.DataFrame:
    """What a metric says of pure noise."""
    row = {**BASE, **other, "method": PURE_NOISE, "channel": "none", "psnr": math.nan, "seed": 0, "value": value}
    return pd.DataFrame([row], columns=list(COLUMNS))
