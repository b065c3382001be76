"""From which size on a change matters.

A floor keeps differences that are real but of no consequence (another processor rounds otherwise) from being called
changes. Defaults, for `[regress]` in bench.toml to replace:

- mIoU and LPIPS 0.01, KID 0.01: neighbouring ranks of the measured tables (results/README.md) are 0.01 to 0.03 apart,
  and other noise alone moves a cell of 50 scenes by 0.002 to 0.006 (standard deviations over 20 seeds).
- FID 3 % of the baseline's value: its scale depends on the features, so an absolute floor would not carry over.
- any other metric 2 % of the baseline's value.
- costs: bits and channel uses are exact, so 2 % more is worth a warning; memory 25 %; time, the least certain, half as
  much again. Costs only ever warn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.api.errors import UsageError, nearest
from bench.api.scores import COSTS
from bench.config import RegressSection

FLOORS = {"mIoU": 0.01, "LPIPS": 0.01, "KID": 0.01}
RELATIVE_FLOORS = {"FID": 0.03}
OTHER_METRICS = 0.02
WARN = {"bits": 1.02, "channel_uses": 1.02, "memory": 1.25, "seconds": 1.5}


@dataclass(frozen=True)
class Thresholds:
    """Level of the whole report, floors as (amount, whether a share of the baseline's value), and warning factors."""

    alpha: float
    floors: Mapping[str, tuple[float, bool]]
    warn: Mapping[str, float]

    def floor(self, metric: str, baseline: float) -> float:
        """The smallest change of a metric that counts, in its unit: by its full name, else by what stands before its
        bracket (`mIoU` for `mIoU[judge]`), else `OTHER_METRICS`."""
        default = (OTHER_METRICS, True)
        amount, relative = self.floors.get(metric, self.floors.get(metric.partition("[")[0], default))
        return amount * abs(baseline) if relative else amount


def thresholds(section: RegressSection) -> Thresholds:
    """The defaults with what `[regress]` says over them; UsageError for a floor given twice or an unknown cost."""
    twice = sorted(section.floors.keys() & section.relative_floors.keys())
    if twice:
        raise UsageError(f"{twice[0]} has a floor and a relative floor in [regress]; keep one of them")
    for name in section.warn:
        if name not in COSTS:
            raise UsageError(f"unknown cost '{name}' in [regress.warn]{nearest(name, COSTS)}")
    floors = {
        **{name: (amount, False) for name, amount in FLOORS.items()},
        **{name: (amount, True) for name, amount in RELATIVE_FLOORS.items()},
        **{name: (amount, False) for name, amount in section.floors.items()},
        **{name: (amount, True) for name, amount in section.relative_floors.items()},
    }
    return Thresholds(section.alpha, floors, {**WARN, **section.warn})
