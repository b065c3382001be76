"""Quality beside what was spent on it: channel uses, bandwidth ratio and energy of every method, then its scores."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.api.errors import UsageError
from bench.api.scores import shown_always
from bench.results.schema import NO_CHANNEL, SCENE_SET
from bench.results.scores import Score, measured, of_methods, of_scenes
from bench.tables.build import metric_tables
from bench.tables.model import Column, Table, TableRow, decimals_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

USES, ENERGY = "channel_uses", "energy"
COSTS_NOTE = (
    "Uses: real symbols a scene, two of which are one complex symbol; CBR: complex symbols over the picture's values "
    "(3HW); energy: sum of squares a scene, at a peak power of 1. Uses and energy are those at PSNR {psnr:g} (of an "
    "adaptive link they depend on it). What travels beside the symbols is free of error and counted in bits."
)


def budget(frame: pd.DataFrame, psnr: float) -> list[Table]:
    """For each of the main scores, set of scenes and channel, methods from the fewest channel uses to the most."""
    whole = of_methods(frame)
    if whole[whole["metric"] == USES].empty:
        raise UsageError(f"these results have no {USES}; `bench run` writes them for every cell")
    tables = []
    for scenes, rows in whole.groupby(SCENE_SET, sort=False):
        for channel, sent in rows.groupby("channel", sort=False):
            own = of_scenes(frame, scenes)
            own = own[own["channel"].isin([channel, NO_CHANNEL])]
            uses, energy = (_spent(own, sent, cost, psnr) for cost in (USES, ENERGY))
            note = COSTS_NOTE.format(psnr=min(sent["psnr"], key=lambda level: abs(level - psnr)))
            for metric in shown_always(set(sent["metric"])):
                tables += [_priced(table, uses, energy, note) for table in metric_tables(own, metric)]
    return tables


def _spent(own: pd.DataFrame, sent: pd.DataFrame, cost: str, psnr: float) -> dict[str, Score]:
    """What each method spends of a cost at the PSNR nearest to the one asked for; empty where nothing says it."""
    if not (sent["metric"] == cost).any():
        return {}
    found: dict[str, Score] = {}
    for (_, method, _), score in sorted(measured(own, cost).scores.items(), key=lambda item: abs(item[0][2] - psnr)):
        found.setdefault(method, Score(score.value))
    return found


def _priced(table: Table, uses: Mapping[str, Score], energies: Mapping[str, Score], note: str) -> Table:
    """A metric's table with what each row costs in front, cheapest first."""
    height, width = (int(side) for side in table.scenes.size.split("x"))
    rows = []
    for row in table.rows:
        spent, energy = uses.get(row.method), energies.get(row.method)
        ratio = None if spent is None else Score(spent.value / 2 / (3 * height * width))
        rows.append(TableRow(row.method, row.labels, (spent, ratio, energy, *row.scores)))
    rows.sort(key=lambda row: math.inf if row.scores[0] is None else row.scores[0].value)
    columns = (
        Column("uses", USES, False, None, 0),
        Column("CBR", "bandwidth_ratio", False, None, 4),
        Column("energy", ENERGY, False, None, decimals_for([r.scores[2].value for r in rows if r.scores[2]])),
    )
    return replace(
        table,
        columns=(*columns, *table.columns),
        rows=tuple(rows),
        key=f"{table.key}-budget",
        notes=(*table.notes, note),
        paper_tables=(),
    )
