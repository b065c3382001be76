"""Quality beside what was spent on it: channel uses, bandwidth ratio, energy and power of every method, then scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.api.errors import UsageError, some
from bench.api.scores import shown_always
from bench.api.specs import DEFAULT_LINK, DIGITAL
from bench.channels.registry import power_convention
from bench.results.schema import NO_CHANNEL, SCENE_SET
from bench.results.scores import Score, measured, of_methods, of_scenes
from bench.tables.build import metric_tables
from bench.tables.model import Column, Note, Table, TableRow, decimals_for

if TYPE_CHECKING:
    import pandas as pd

USES = "channel_uses"
#: What stands before the scores: heading -> cost, and its decimals (None: what the largest value leaves room for).
SPENT: dict[str, tuple[str, int | None]] = {
    "uses": (USES, 0),
    "CBR": ("cbr", 4),
    "energy": ("energy", None),
    "power": ("mean_power", None),
}
#: What P, the unit of energy and power, is under each power convention.
UNITS = {
    "peak": "1 is the peak of a real symbol",
    "average": "1 is a scene's mean, to which its symbols are scaled",
}
COSTS_NOTE = (
    "Uses: real symbols a scene, two of which are one complex symbol; CBR: complex symbols over the picture's values "
    "(3HW); energy: sum of squares a scene; power: mean square of a real symbol, {unit} ({power} power). All are those "
    "at PSNR {psnr:g} (of an adaptive link they depend on it)."
)
#: The same where there is little room.
SHORT_COSTS_NOTE = (
    "uses: real symbols a scene; CBR: complex ones over the picture's values; energy and power in units of P, {unit} "
    "({power} power); all at PSNR {psnr:g}."
)
LINK_NOTE = f"{DIGITAL} without a link is {DEFAULT_LINK}."


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
            spent = {cost: _spent(own, sent, cost, psnr) for cost, _ in SPENT.values()}
            power, level = power_convention(str(channel)), min(sent["psnr"], key=lambda level: abs(level - psnr))
            about = {"unit": UNITS[power], "power": power, "psnr": level}
            notes: list[str] = [Note(COSTS_NOTE.format(**about), SHORT_COSTS_NOTE.format(**about))]
            if sent["method"].str.endswith(DIGITAL).any():
                notes.append(LINK_NOTE)
            unknown = [m for m in sent["method"].unique() if m in spent[USES] and m not in spent["mean_power"]]
            if unknown:
                lacking = "Not told by these results: energy and power of {}."
                notes.append(Note(lacking.format(", ".join(unknown)), lacking.format(some(unknown, 3))))
            for metric in shown_always(set(sent["metric"])):
                tables += [_priced(table, spent, notes) for table in metric_tables(own, metric)]
    return tables


def _spent(own: pd.DataFrame, sent: pd.DataFrame, cost: str, psnr: float) -> dict[str, Score]:
    """What each method spends of a cost at the PSNR nearest to the one asked for; empty where nothing says it."""
    if not (sent["metric"] == cost).any():
        return {}
    found: dict[str, Score] = {}
    for (_, method, _), score in sorted(measured(own, cost).scores.items(), key=lambda item: abs(item[0][2] - psnr)):
        found.setdefault(method, Score(score.value))
    return found


def _priced(table: Table, spent: Mapping[str, Mapping[str, Score]], notes: list[str]) -> Table:
    """A metric's table with what each row costs in front, cheapest first."""
    rows = [
        TableRow(row.method, row.labels, (*(costs.get(row.method) for costs in spent.values()), *row.scores))
        for row in table.rows
    ]
    rows.sort(key=lambda row: math.inf if row.scores[0] is None else row.scores[0].value)
    columns = []
    for position, (heading, (cost, decimals)) in enumerate(SPENT.items()):
        if decimals is None:
            decimals = decimals_for([score.value for row in rows if (score := row.scores[position])])
        columns.append(Column(heading, cost, False, None, decimals))
    return replace(
        table,
        columns=(*columns, *table.columns),
        rows=tuple(rows),
        key=f"{table.key}-budget",
        notes=(*table.notes, *notes),
        paper_tables=(),
    )
