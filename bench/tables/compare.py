"""Two methods side by side as a table: scores, their difference with its interval, and which is shown to be better."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.errors import UsageError
from bench.results.compare import Difference, differences
from bench.results.dataset import Only
from bench.results.files import read_results
from bench.results.request import code_notes, scene_set_title, side_words
from bench.results.scores import of_methods, of_scenes
from bench.tables.build import scene_set_name, scenes_note, seed_notes
from bench.tables.model import Printed, Sheet, arrow, decimals_for
from bench.tables.named import chosen_scores

if TYPE_CHECKING:
    import pandas as pd

    from bench.results.merge import Results

#: What stands where nothing tells a difference from chance.
UNKNOWN = "unknown"
HEADER = ("metric", "psnr", "first", "second", "difference", "low", "high", "p", "scenes", "paired", "better")


def comparison(
    results: Results, first: str, second: str, metrics: Sequence[str] = (), psnrs: Sequence[float] = ()
) -> list[Sheet]:
    """A sheet for each list of scenes and channel; raises as `differences` does."""
    frame, facts = results
    found = differences(frame, first, second, metrics, psnrs)
    told, count = code_notes(facts, found[0].methods), len(found)
    return [
        _sheet(of_scenes(frame, scenes), channel, list(group), count, told)
        for (scenes, channel), group in groupby(found, key=lambda one: (one.scene_set, one.channel))
    ]


def read_comparison(
    folder: Path, first: str, second: str, metrics: Sequence[str] = (), psnrs: Sequence[float] = ()
) -> list[Sheet]:
    """`comparison` of the results in `folder`, of which the two methods and what is compared of them are read."""
    with suppress(UsageError):  # which is told of all rows
        only = Only(partial(chosen_scores, metrics), lambda known: [first, second], psnrs or None)
        return comparison(read_results(folder, only=only), first, second, metrics, psnrs)
    return comparison(read_results(folder), first, second, metrics, psnrs)


def _sheet(frame: pd.DataFrame, channel: str, found: Sequence[Difference], count: int, told: Sequence[str]) -> Sheet:
    names = found[0].methods
    rows = of_methods(frame)
    rows = rows[rows["method"].isin(names) & rows["channel"].eq(channel)]
    place = vars(scene_set_name(rows))
    lines, records = [], []
    for metric, group in groupby(found, key=lambda one: one.metric):
        same = list(group)
        decimals = decimals_for([score.value for one in same for score in (one.first, one.second)])
        for one in same:
            lines.append(_line(one, decimals))
            better = None if one.better is None else names[one.better]
            low, high = one.interval or (None, None)
            scores = (one.first.value, one.second.value, one.value)
            records.append(
                (*place.values(), metric, one.psnr, *scores, low, high, one.p, one.scenes, one.paired, better)
            )
    family = f"all {count} differences together (Holm)" if count > 1 else "this difference"
    notes = [
        scenes_note(rows, f"{names[0]} less {names[1]} on {scene_set_title(rows)}."),
        side_words(rows),
        *seed_notes(rows),
        _ways(found),
        f"p: two-sided, for {family}.",
        *told,
    ]
    return Sheet(
        2,
        ("metric", "PSNR", *names, "difference", "95 % interval", "p"),
        tuple(lines),
        tuple(notes),
        "shown to be better, at 95 % for " + family if any(one.better is not None for one in found) else None,
        (*place, *HEADER),
        records,
    )


def _line(one: Difference, decimals: int) -> tuple[Printed, ...]:
    def number(value: float, sign: str = "") -> str:
        return f"{value:{sign},.{decimals}f}"

    scores = [
        Printed("noise" if score.noise else number(score.value), best=one.better == place)
        for place, score in enumerate((one.first, one.second))
    ]
    interval = UNKNOWN if one.interval is None else "{} to {}".format(*(number(end, "+") for end in one.interval))
    p = "" if one.p is None else "<0.001" if one.p < 0.001 else f"{one.p:.3f}"
    texts = (number(one.value, "+"), interval, p)
    label = Printed(f"{one.metric} {arrow(one.higher_is_better)}"), Printed(f"{one.psnr:g}")
    return (*label, *scores, *(Printed(text) for text in texts))


def _ways(found: Sequence[Difference]) -> str:
    """How the differences were told from chance."""
    known = [one for one in found if one.interval is not None]
    if not known:
        return "Nothing in these results tells the differences from chance."
    alone = list(dict.fromkeys(one.metric for one in known if not one.paired))
    but = "" if not alone else f"; {', '.join(alone)}: standard errors as if independent"
    paired = "Paired by scene" if len(alone) < len({one.metric for one in known}) else "Not paired"
    return f"{paired}, Student's t over {min(one.scenes for one in known)} scenes{but}."
