"""Learning rates as functions of the step alone, so that a resumed training equals an uninterrupted one."""

from __future__ import annotations


def linear_fall(step: int, steps: int, constant: float) -> float:
    """The share of the full rate at `step` of `steps`: 1 for the first `constant` of them, then falling to zero."""
    return min(1.0, max(0.0, (steps - step) / max(1.0, steps - constant * steps)))
