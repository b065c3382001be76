"""What is known of each metric's values without measuring: limits, and which direction is better.

A submission's numbers are checked against it. The results of a run carry their own direction; that the two agree is
tested over the committed results.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Bounds:
    """Inclusive limits of a metric's values, and whether larger ones are better."""

    higher_is_better: bool
    low: float
    high: float = math.inf

    def hold(self, value: float) -> bool:
        """Whether a value is finite and inside."""
        return math.isfinite(value) and self.low <= value <= self.high

    def __str__(self) -> str:
        if math.isinf(self.low):
            return "any number"
        return f"{self.low:g} or more" if math.isinf(self.high) else f"between {self.low:g} and {self.high:g}"


SHARE = Bounds(True, 0.0, 1.0)
DISTANCE = COST = Bounds(False, 0.0)
#: Pattern of a metric's name -> its bounds; the first pattern that fits counts.
BOUNDS: dict[str, Bounds] = {
    "mIoU*": SHARE,
    "LPIPS*": DISTANCE,
    "FID*": DISTANCE,
    "KID*": Bounds(False, -math.inf),  # the unbiased estimate of a squared distance is below 0 where the sets are alike
    "AP50*": SHARE,
    "recall*": SHARE,
    "delta1*": SHARE,
    "AbsRel*": DISTANCE,
    "RMSE*": DISTANCE,
    "bits": COST,
    "channel_uses": COST,
    "seconds": COST,
    "memory": COST,
}


def bounds_of(metric: str) -> Bounds | None:
    """The bounds of a metric by its full name, None for one that this benchmark does not have."""
    return next((bounds for pattern, bounds in BOUNDS.items() if fnmatchcase(metric, pattern)), None)
