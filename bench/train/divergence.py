"""Noticing that a training diverges, before it has overwritten its last good checkpoint."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A log entry is out of bounds above FACTOR times the median of the last HISTORY entries within bounds; this many of
#: them in a row mean divergence. In the trainings of the shipped weights no loss or gradient norm came above 2 medians.
FACTOR = 10.0
PATIENCE = 3
HISTORY = 20
#: Nothing is judged before there are so many entries: in the beginning losses move by themselves.
LEAST = 5


class DivergenceMonitor:
    """Watches the logged means of some scalars.

    `observe` takes one log entry after the other; `suspicious` says that the latest one was out of bounds, and that the
    state of the training should therefore not replace a good one; `diverged` gives the sentence for people.
    """

    def __init__(self, watched: tuple[str, ...]) -> None:
        """Watch the scalars of these names, as far as they are logged."""
        self.watched = watched
        self.history: dict[str, list[float]] = {}
        self.out_of_bounds: dict[str, int] = {}
        self.latest: dict[str, float] = {}

    def observe(self, means: Mapping[str, float]) -> None:
        """Take the means of one log window."""
        for name in self.watched:
            if name not in means:
                continue
            value = self.latest[name] = abs(means[name])
            history = self.history.setdefault(name, [])
            if len(history) >= LEAST and value > FACTOR * median(history) > 0:
                self.out_of_bounds[name] = self.out_of_bounds.get(name, 0) + 1
            else:
                self.out_of_bounds[name] = 0
                self.history[name] = [*history, value][-HISTORY:]

    @property
    def suspicious(self) -> bool:
        """Whether a scalar was out of bounds in the latest log window."""
        return any(self.out_of_bounds.values())

    def diverged(self) -> str | None:
        """What diverged, in words; None as long as nothing has been out of bounds PATIENCE times in a row."""
        for name, count in self.out_of_bounds.items():
            if count >= PATIENCE:
                usual = median(self.history[name])
                return (
                    f"{name} is {self.latest[name]:.3g}, {self.latest[name] / usual:.0f} times its usual {usual:.3g}, "
                    f"and was out of bounds {count} log lines in a row"
                )
        return None

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"history": self.history, "out_of_bounds": self.out_of_bounds}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state()` of a checkpoint."""
        self.history = {k: list(v) for k, v in state["history"].items()}
        self.out_of_bounds = dict(state["out_of_bounds"])
