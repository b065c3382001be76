"""Values with their 95 % intervals, on the same grounds as the ranks of the tables (bench/results/ranking.py)."""

import math
from collections.abc import Sequence
from typing import Any

from bench.api.errors import UsageError
from bench.api.names import metric_variants
from bench.results.request import Part, Request, choose_metrics, computed_by
from bench.results.scores import Key, Measured, Score, measured
from bench.tables.model import arrow
from metrics.stats.significance import LEVEL


def point(data: Measured, key: Key) -> Score | None:
    """The cell's score, None where it was not run or is undefined."""
    score = data.scores.get(key)
    return score if score is not None and math.isfinite(score.value) else None


def interval_notes(found: Sequence[Measured]) -> list[str]:
    """What the intervals of the metrics are, and which metrics have none."""
    known = [d.metric for d in found if any(s.testable for s in d.scores.values())]
    lacking = [d.metric for d in found if d.metric not in known]
    told = {
        f"{LEVEL:.0%} intervals over scenes, Student's t with the standard error": known,
        "No interval (these results hold no standard error)": lacking,
    }
    return [f"{words}: {', '.join(metrics)}." for words, metrics in told.items() if metrics]


def undrawn_notes(part: Part, found: Sequence[Measured]) -> list[str]:
    """Which metrics have values that are undefined or infinite, and so are not drawn; empty where all are numbers."""
    words = []
    for data in found:
        values = [e.value for (channel, _, _), e in data.scores.items() if channel == part.channel]
        lacking = sum(not math.isfinite(value) for value in values)
        if lacking:
            words.append(f"{data.metric} ({'all' if lacking == len(values) else f'{lacking} of {len(values)} values'})")
    return [f"Undefined or infinite, so not drawn: {', '.join(words)}."] if words else []


def say_nothing(axis: Any) -> None:
    """Words in the place of curves or points, in axes without any."""
    axis.text(
        0.5, 0.5, "undefined", transform=axis.transAxes, ha="center", va="center", color="0.45", gid="undefined"
    )  # fmt: skip


def axis_label(data: Measured) -> str:
    """`mIoU ↑`."""
    return f"{data.metric} {arrow(data.higher_is_better)}"


def measured_metrics(request: Request, part: Part, default: Sequence[str]) -> list[Measured]:
    """The metrics asked for, else those of `default` (`FID`: its variants) that the results hold, measured on `part`.

    UsageError, with the command that computes it, for a named one that they lack, and where they hold none.
    """
    if request.metrics:
        here = [m for m in request.metrics if metric_variants(m, part.rows["metric"].unique())] or request.metrics
        names = list(dict.fromkeys(name for typed in here for name in choose_metrics(part.rows, typed)))
    else:
        known = sorted(part.rows["metric"].unique())
        names = [name for metric in default for name in metric_variants(metric, known)]
    if not names:
        raise UsageError(f"the results hold none of {', '.join(default)}{computed_by(default[0])}; or choose --metrics")
    return [measured(part.frame, name) for name in names]
