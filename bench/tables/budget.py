"""Quality beside what was spent on it: channel uses, bandwidth ratio and energy of every method, then its scores."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.api.errors import UsageError
from bench.api.scores import shown_always
from bench.results.schema import SCENE_SET
from bench.results.scores import Score, measured, of_methods, of_scenes
from bench.tables.build import metric_tables
from bench.tables.model import Column, Table, TableRow, decimals_for

if TYPE_CHECKING:
    import pandas as pd

COSTS_NOTE = (
    "Uses: real symbols a scene, two of which are one complex symbol; CBR: complex symbols over the picture's values "
    "(3HW); energy: sum of squares a scene, at a peak power of 1. Uses and energy are those at PSNR {psnr:g} (of an "
    "adaptive link they depend on it). What travels beside the symbols is free of error and counted in bits."
)


def budget(frame: pd.DataFrame, psnr: float) -> list[Table]:
    """For each of the main scores, set of scenes and channel, methods from the fewest channel uses to the most."""
    whole = of_methods(frame)
    if whole[whole["metric"] == "channel_uses"].empty:
        raise UsageError("these results have no channel_uses; `bench run` writes them for every cell")
    names = set(whole["metric"])
    tables = []
    for scenes, rows in whole.groupby(SCENE_SET, sort=False):
        own = of_scenes(frame, scenes)
        for channel in rows["channel"].drop_duplicates():
            of_channel = own[(own["channel"] == channel) | (own["channel"] == "none")]
            for metric in shown_always(names):
                if (of_methods(of_channel)["metric"] == metric).any():
                    tables += [
                        _priced(table, of_channel, str(channel), psnr) for table in metric_tables(of_channel, metric)
                    ]
    return tables


def _priced(table: Table, frame: pd.DataFrame, channel: str, psnr: float) -> Table:
    """A metric's table with what each row costs in front, cheapest first."""
    height, width = (int(side) for side in table.scenes.size.split("x"))
    uses = measured(frame, "channel_uses").scores
    energies = measured(frame, "energy").scores if (of_methods(frame)["metric"] == "energy").any() else {}
    levels = sorted({level for _, _, level in uses}, key=lambda level: abs(level - psnr))

    def cost(scores: object, method: str) -> Score | None:
        assert isinstance(scores, dict)
        found = (scores.get((channel, method, level)) for level in levels)
        return next((Score(score.value) for score in found if score is not None), None)

    rows = []
    for row in table.rows:
        spent, energy = cost(dict(uses), row.method), cost(dict(energies), row.method)
        ratio = None if spent is None else Score(spent.value / 2 / (3 * height * width))
        rows.append(TableRow(row.method, row.labels, (spent, ratio, energy, *row.scores)))
    rows.sort(key=lambda row: math.inf if row.scores[0] is None else row.scores[0].value)
    columns = (
        Column("uses", "channel_uses", False, None, 0),
        Column("CBR", "bandwidth_ratio", False, None, 4),
        Column("energy", "energy", False, None, decimals_for([r.scores[2].value for r in rows if r.scores[2]])),
    )
    return replace(
        table,
        columns=(*columns, *table.columns),
        rows=tuple(rows),
        key=f"{table.key}-budget",
        notes=(*table.notes, COSTS_NOTE.format(psnr=levels[0])),
        paper_tables=(),
    )
