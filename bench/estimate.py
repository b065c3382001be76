"""How long cells will take: from cells of the same method computed before, else from a rough constant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cache import MANIFEST
from bench.plan import Cell

#: Seconds a scene where no cell of the method has been computed yet: of the order of an embedded network on one core.
GUESS_SECONDS_A_SCENE = 1.0


@dataclass(frozen=True)
class Estimate:
    """Seconds for one cell on one worker, and whether they are measured or the constant."""

    seconds: float
    measured: bool


class History:
    """Seconds a scene of the cells below OUT/cells, looked up by data set, method, size and kind of device."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._means: dict[tuple[str, str, tuple[int, int], str], float | None] = {}

    def estimate(self, cell: Cell) -> Estimate:
        """Seconds that `cell` will take."""
        key = (cell.scenes.dataset, cell.method.spec, cell.scenes.size, cell.device_kind)
        if key not in self._means:
            self._means[key] = self._mean(cell)
        mean = self._means[key]
        count = len(cell.scenes.ids)
        return Estimate(count * (GUESS_SECONDS_A_SCENE if mean is None else mean), mean is not None)

    def _mean(self, cell: Cell) -> float | None:
        seconds, scenes = 0.0, 0
        for file in (self.out / "cells" / cell.name).parent.glob(f"*/{MANIFEST}"):
            try:
                manifest = json.loads(file.read_bytes())
                key = manifest["key"]
                if key["size"] == list(cell.scenes.size) and key["device"] == cell.device_kind:
                    seconds += float(manifest["seconds"])
                    scenes += len(manifest["scenes"])
            except (OSError, ValueError, KeyError, TypeError):  # only an estimate: a damaged file tells nothing
                continue
        return seconds / scenes if scenes else None


def in_words(seconds: float) -> str:
    """A duration for people: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def total(estimates: Sequence[Estimate], workers: int) -> tuple[float, int]:
    """Seconds for all on `workers` workers, and how many of them are guesses."""
    longest = max((e.seconds for e in estimates), default=0.0)
    seconds = max(longest, sum(e.seconds for e in estimates) / max(workers, 1))
    return seconds, sum(not e.measured for e in estimates)
