"""Fabricated results that are hard to print or draw: one scene, one PSNR, one method, undefined and infinite values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from table_frames import BASE

from bench.api.names import PURE_NOISE
from bench.results.schema import COLUMNS, CONTRIBUTIONS

METHODS = ("full_image", "gesco", "gesco-nofds")
#: So many that figures give each family a panel of its own.
MANY = (*METHODS, "sdm", "gesco:steps=5")
PSNRS = (100.0, 10.0, 1.0)
#: metric -> (higher is better, a plain value, has per-scene values, has contributions)
METRICS = {
    "mIoU": (True, 0.6, False, True),
    "mIoU[original]": (True, 0.8, False, False),
    "mIoU[scene]": (True, 0.5, True, False),
    "LPIPS": (False, 0.4, True, False),
    "FID[lite0]": (False, 90.0, False, False),
    "KID[lite0]": (False, 0.1, False, False),
    "AP50[judge]": (True, 0.3, False, True),
    "AP50[judge:car]": (True, 0.3, False, False),
    "recall[judge]": (True, 0.4, False, True),
    "AbsRel[judge]": (False, 0.2, True, False),
    "delta1[judge]": (True, 0.7, True, False),
    "bits": (False, 20_000.0, True, False),
    "channel_uses": (False, 10_000.0, True, False),
    "block_lost": (False, 0.25, True, False),
    "seconds": (False, 0.3, False, False),
    "memory": (False, 700.0, False, False),
}
#: (method's number, PSNR's number) -> factor of the plain value
Factor = Callable[[int, int], float]


def results(
    methods: Sequence[str] = METHODS, psnrs: Sequence[float] = PSNRS, scenes: int = 14, factor: Factor | None = None,
    error: float | None = None, contributed: float | None = None, noise: float = 1.5,
) -> pd.DataFrame:  # fmt: skip
    """Rows of a run on `streets`. Every value is the plain one times `factor`, every spread and standard error is
    `error` and half of the contributions are `contributed` where given; `noise` is what pure noise has, in multiples of
    the plain value."""
    rows = []
    for metric, (higher, plain, by_scene, drawn) in METRICS.items():
        kind = {**BASE, "metric": metric, "higher_is_better": higher, "protocol": f"of {metric}", "seed": 0}
        for m, method in enumerate(methods):
            for p, psnr in enumerate(psnrs):
                value = plain * (factor(m, p) if factor else 1 + 0.1 * m - 0.01 * p)
                cell = {**kind, "method": method, "psnr": psnr, "scenes": scenes, CONTRIBUTIONS: None}
                std = error if error is not None else math.nan if scenes == 1 else abs(value) / 10
                kept = None
                if drawn and scenes >= 2:
                    waves = np.where(np.arange(scenes) % 2, 1.0, -1.0) * value
                    kept = waves if contributed is None else np.where(waves > 0, waves, contributed)
                rows.append({**cell, "value": value, "std": std, "stderr": std, CONTRIBUTIONS: kept})
                if by_scene:
                    rows += [{**cell, "scene": f"s{k:02d}", "value": value, "scenes": 1}
                             for k in range(scenes)]  # fmt: skip
        nothing = {"channel": "none", "psnr": math.nan, "sigma": math.nan, "peak_snr_db": math.nan}
        rows.append(
            {**kind, **nothing, "method": PURE_NOISE, "value": noise * plain, "scenes": scenes, CONTRIBUTIONS: None}
        )
    return pd.DataFrame(rows, columns=[*COLUMNS, CONTRIBUTIONS])


def _without_distances(rows: pd.DataFrame) -> pd.DataFrame:
    """The distances between sets undefined, which they are of one picture, of pure noise too."""
    distances = rows["metric"].str.startswith(("FID", "KID"))
    return rows.assign(value=rows["value"].mask(distances))


def _mixed(method: int, psnr: int) -> float:
    return (math.nan, math.inf, 1.0, 0.0, 2.0)[(method + psnr) % 5]


def _seeds(*factors: float) -> pd.DataFrame:
    """A run over as many seeds, whose values have these factors."""
    runs = [results(factor=lambda m, p, by=by: by).assign(seed=k) for k, by in enumerate(factors)]
    return pd.concat(runs, ignore_index=True)


#: What the tests of figures, tables, reports and the site take: name -> rows of a run.
ODD: dict[str, Callable[[], pd.DataFrame]] = {
    "one scene": lambda: results(scenes=1),
    "one scene, as a run has it": lambda: _without_distances(results(scenes=1)),
    "one PSNR": lambda: results(psnrs=(10.0,)),
    "one method": lambda: results(methods=("gesco",)),
    "one scene, one PSNR, one method": lambda: results(("gesco",), (10.0,), 1),
    "one scene, all undefined": lambda: results(scenes=1, factor=lambda m, p: math.nan, noise=math.nan),
    "one method, all undefined": lambda: results(("gesco",), (10.0,), 1, lambda m, p: math.nan, noise=math.nan),
    "undefined": lambda: results(factor=lambda m, p: math.nan),
    "undefined, noise too": lambda: results(factor=lambda m, p: math.nan, noise=math.nan),
    "undefined, noise infinite": lambda: results(factor=lambda m, p: math.nan, noise=math.inf),
    "infinite": lambda: results(factor=lambda m, p: math.inf),
    "infinite, noise too": lambda: results(factor=lambda m, p: math.inf, noise=math.inf),
    "minus infinite": lambda: results(factor=lambda m, p: -math.inf),
    "undefined, infinite, zero and finite": lambda: results(factor=_mixed),
    "undefined and infinite, many methods": lambda: results(MANY, factor=_mixed),
    "undefined in one of many methods": lambda: results(MANY, factor=lambda m, p: math.nan if m == 3 else 1.0),
    "undefined, many methods": lambda: results(MANY, factor=lambda m, p: math.nan, noise=math.nan),
    "undefined in a method": lambda: results(factor=lambda m, p: math.nan if m == 1 else 1.0),
    "infinite in a method": lambda: results(factor=lambda m, p: math.inf if m == 1 else 1.0),
    "undefined at a PSNR": lambda: results(factor=lambda m, p: math.nan if p == 1 else 1.0),
    "zero": lambda: results(factor=lambda m, p: 0.0),
    "huge": lambda: results(factor=lambda m, p: 1e12),
    "undefined with a seed": lambda: _seeds(1.0, math.nan),
    "infinite with a seed": lambda: _seeds(1.0, math.inf),
    "standard errors undefined": lambda: results(error=math.nan),
    "standard errors infinite": lambda: results(error=math.inf),
    "contributions undefined": lambda: results(contributed=math.nan),
    "contributions infinite": lambda: results(contributed=math.inf),
    "noise undefined": lambda: results(noise=math.nan),
    "noise infinite": lambda: results(noise=math.inf),
    "noise better than all": lambda: results(factor=lambda m, p: 1.0, noise=1.0),
}
