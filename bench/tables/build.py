"""Tables from tidy rows: one metric with methods against PSNR, or several metrics at one PSNR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import stdev
from typing import TYPE_CHECKING

from bench.api.channel import PAPER_PSNRS
from bench.api.errors import UsageError
from bench.api.names import by_training, metric_variants
from bench.channels.awgn import Awgn
from bench.channels.registry import channel_words
from bench.results.request import (
    choose_metrics,
    computed_by,
    listed,
    mean_levels,
    peak_levels,
    scene_set_title,
    side_words,
)
from bench.results.schema import SCENE_SET
from bench.results.scores import Key, Measured, Score, measured, of_methods, of_originals, of_scenes, ranked
from bench.run.ablations import Arm
from bench.tables.model import Column, Note, SceneSetName, Table, TableRow, arrow, decimals_for

if TYPE_CHECKING:
    import pandas as pd

ERROR_NOTE = Note("± is the standard error over scenes.", of_numbers=True)


def scene_set_name(rows: pd.DataFrame) -> SceneSetName:
    """The scenes that the rows are about."""
    return SceneSetName(*(listed(rows, column) for column in ("dataset", "split", "size", "scale", "channel")))


def seed_notes(rows: pd.DataFrame) -> list[str]:
    """Which methods are not over all of the seeds that the caption names: runs into one folder may differ in them."""
    every = set(rows["seed"])
    found = {}
    for method, own in rows.groupby("method", sort=False):
        common = set.intersection(*(set(seeds) for _, seeds in own.groupby(["channel", "psnr"])["seed"]))
        if common != every:
            found[method] = ", ".join(str(seed) for seed in sorted(common)) or "not the same at every PSNR"
    told = "; ".join(f"{method} ({seeds})" for method, seeds in found.items())
    return [f"Not over all of these seeds: {told}."] if told else []


def training_note(columns: Sequence[Column], rows: Sequence[TableRow]) -> Note:
    """How far another training moves the numbers, which neither ± nor ranks know: rows of one method by its weights."""
    trainings = by_training(row.method for row in rows)
    told = []
    for method, specs in trainings.items():
        if len(specs) < 2:
            continue
        own = [row for row in rows if row.method in specs]
        spread = []
        for k, column in enumerate(columns):
            values = [score.value for row in own if (score := row.scores[k]) is not None]
            spread.append(column.number(stdev(values)) if len(values) > 1 else "-")
        told.append(f"{method} ({len(own)} trainings) {', '.join(spread)}")
    if not told:
        return Note(
            "Another training is in neither ± nor ranks: how far it moves a number is unknown.", of_numbers=True
        )
    deviation = f"Standard deviation over trainings, by column: {'; '.join(told)}."
    unknown = "" if len(told) == len(trainings) else " Of the others it is unknown."
    return Note(f"{deviation}{unknown} It is in neither ± nor ranks.", f"{deviation}{unknown}")


def noise_notes(columns: Sequence[Measured], scores: Sequence[Score | None]) -> list[str]:
    """What `noise` means, where a table prints it."""
    if not any(e.noise for e in scores if e):
        return []
    values = ", ".join(f"{d.metric} {d.reference:.3f}" for d in columns if d.reference is not None)
    return [f"noise: at least as far from the real scenes as pictures of pure noise are ({values})."]


def ceiling_notes(frame: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """What scores against the truth are of the originals themselves, where the rows of one set of scenes say so."""
    found = [f"{metric} {value:.3f}" for metric in metrics if (value := of_originals(frame, metric)) is not None]
    return [f"The originals themselves have {', '.join(found)}."] if found else []


def protocol_notes(columns: Sequence[Measured]) -> Note:
    """The protocols of several scores, each text once; in short by their names."""
    by_protocol: dict[str, list[str]] = {}
    for data in columns:
        by_protocol.setdefault(data.protocol, []).append(data.metric)
    texts = [f"{', '.join(names)}: {text}" for text, names in by_protocol.items()]
    named = [f"{', '.join(names)}: {protocol_name(text)}" for text, names in by_protocol.items()]
    return Note(f"Protocols: {'; '.join(texts)}.", f"Protocols: {'; '.join(named)}.")


def protocol_name(protocol: str) -> str:
    """What a protocol is called in short: what it names but the truth (`judge=...`, `net=...`), else its first part."""
    parts = [part for part in protocol.split("|") if not part.startswith("truth=")]
    return ", ".join(part for part in parts if "=" in part) or (parts or [protocol])[0]


def scenes_note(rows: pd.DataFrame, text: str) -> Note:
    """The caption's sentence on the scenes and the channel, said in other words where there is little room."""
    scale = {"embedded": "embedded networks", "paper": "networks of the paper's scale"}.get(listed(rows, "scale"))
    channels = " and ".join(channel_words(str(c)) for c in rows["channel"].drop_duplicates())
    seeds = listed(rows, "seed")
    return Note(
        text,
        f"{listed(rows, 'scenes')} scenes of {listed(rows, 'dataset')} {listed(rows, 'split')} at "
        f"{listed(rows, 'size')}, {scale or listed(rows, 'scale')}, seed{'s' * (',' in seeds)} {seeds}. {channels}.",
    )


#: Which of the paper's tables hold a metric's values against PSNR.
PAPER_TABLES = ("1", "2", "3", "4")


def _of_paper(rows: pd.DataFrame, tables: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the paper's tables where the rows are about its channel, which is the default one; else none."""
    return tables if set(rows["channel"]) == {Awgn(PAPER_PSNRS[0]).convention} else ()


def metric_tables(frame: pd.DataFrame, typed: str) -> list[Table]:
    """One table for each metric meant, set of scenes and channel convention; UsageError for an unknown metric."""
    whole = of_methods(frame)
    return [table for metric in choose_metrics(whole, typed) for table in _tables_of(frame, whole, metric)]


def _tables_of(frame: pd.DataFrame, whole: pd.DataFrame, metric: str) -> list[Table]:
    whole = whole[whole["metric"] == metric]
    tables = []
    for (*scenes, channel), rows in whole.groupby([*SCENE_SET, "channel"], sort=False):
        data = measured(of_scenes(frame, scenes), metric)
        key = "-".join(str(part) for part in (*scenes, channel))
        tables.append(_psnr_table(data, rows, str(channel), key, ceiling_notes(of_scenes(frame, scenes), [metric])))
    return tables


def _psnr_table(data: Measured, rows: pd.DataFrame, channel: str, key: str, ceiling: Sequence[str]) -> Table:
    psnrs = tuple(sorted((float(p) for p in rows["psnr"].unique()), reverse=True))
    methods = [str(m) for m in rows["method"].drop_duplicates()]
    decimals = decimals_for([e.value for (c, _, _), e in data.scores.items() if c == channel])
    columns = tuple(Column(f"{p:g}", data.metric, data.higher_is_better, p, decimals) for p in psnrs)
    by_column, rank_note = ranked([(data, [(channel, m, p) for m in methods]) for p in psnrs])
    table_rows = tuple(
        TableRow(method, (method,), tuple(column[k] for column in by_column)) for k, method in enumerate(methods)
    )
    notes = [
        scenes_note(rows, f"{data.metric} on {scene_set_title(rows)}, {peak_levels(rows, psnrs)}."),
        Note(mean_levels(rows), mean_levels(rows, apart=False)),
        side_words(rows),
        *seed_notes(rows),
        Note(f"Protocol: {data.protocol}.", f"Protocol: {protocol_name(data.protocol)}."),
        ERROR_NOTE,
        training_note(columns, table_rows),
        Note("Columns: PSNR in dB.", f"Columns: PSNR in dB ({peak_levels(rows, psnrs)})."),
        *ceiling,
        *noise_notes([data], [e for column in by_column for e in column]),
    ]
    heading = f"{data.metric} {arrow(data.higher_is_better)}"
    scenes, title = scene_set_name(rows), scene_set_title(rows)
    return Table(
        (heading,), columns, table_rows, scenes, title, key, tuple(notes), rank_note, _of_paper(rows, PAPER_TABLES)
    )


def arms_tables(
    frame: pd.DataFrame,
    headings: tuple[str, ...],
    arms: Sequence[Arm] | None,
    metrics: Sequence[str],
    psnr: float,
    paper_tables: tuple[str, ...] = (),
) -> list[Table]:
    """One table for each set of scenes that has any of `arms` at `psnr`: rows are the arms, columns the metrics.

    `arms` None stands for every method that there is. Channel conventions have a table each, unless the arms name
    theirs. Metrics that the results lack are left out and named in the notes. UsageError where nothing is there.
    """
    whole = of_methods(frame)
    chosen = whole if arms is None else whole[whole["method"].isin({arm.method for arm in arms})]
    at = chosen[chosen["psnr"] == psnr]
    if at.empty:
        there = sorted({float(p) for p in chosen["psnr"].unique()}, reverse=True)
        found = f"only at PSNR {', '.join(f'{p:g}' for p in there)}" if there else "nor at any other"
        raise UsageError(f"the results hold none of the table's methods at PSNR {psnr:g}, {found}")
    across_channels = arms is not None and any(arm.channel for arm in arms)
    tables = []
    for cell, rows in at.groupby(SCENE_SET if across_channels else [*SCENE_SET, "channel"], sort=False):
        scenes, channel = cell[: len(SCENE_SET)], str(rows["channel"].iloc[0])
        shown = arms if arms is not None else [Arm((str(m),), str(m)) for m in rows["method"].drop_duplicates()]
        keys = [(arm.channel or channel, arm.method, psnr) for arm in shown]
        found_here, lacking = _available(of_scenes(frame, scenes), rows, metrics)
        if not found_here:  # another list of scenes may have them
            continue
        ceiling = ceiling_notes(of_scenes(frame, scenes), [data.metric for data in found_here])
        table = _arms_table(found_here, lacking, rows, headings, shown, keys, ceiling)
        tables.append(replace(table, paper_tables=_of_paper(rows, paper_tables)))
    if not tables:
        raise UsageError(f"the results hold none of {', '.join(metrics)}{computed_by(metrics[0])}")
    return tables


def _available(frame: pd.DataFrame, rows: pd.DataFrame, typed: Sequence[str]) -> tuple[list[Measured], list[str]]:
    """The metrics asked for that `rows` have, measured, and the names of the others."""
    known = sorted(rows["metric"].unique())
    found, lacking = [], []
    for name in typed:
        fitting = metric_variants(name, known)
        found += [measured(frame, one) for one in fitting]
        lacking += [] if fitting else [name]
    return found, lacking


def _arms_table(
    found: Sequence[Measured],
    lacking: Sequence[str],
    rows: pd.DataFrame,
    headings: tuple[str, ...],
    arms: Sequence[Arm],
    keys: Sequence[Key],
    ceiling: Sequence[str],
) -> Table:
    columns = []
    for data in found:
        decimals = decimals_for([e.value for key in keys if (e := data.scores.get(key))])
        heading = f"{data.metric} {arrow(data.higher_is_better)}"
        columns.append(Column(heading, data.metric, data.higher_is_better, keys[0][2], decimals))
    by_column, rank_note = ranked([(data, keys) for data in found])
    table_rows = tuple(TableRow(a.method, a.labels, tuple(c[k] for c in by_column)) for k, a in enumerate(arms))
    psnr, scenes, title = keys[0][2], scene_set_name(rows), scene_set_title(rows)
    level = f"PSNR {psnr:g} dB ({peak_levels(rows, [psnr])})"
    notes = [
        scenes_note(rows, f"{level} on {title}."),
        Note(mean_levels(rows), f"{level}. {mean_levels(rows, apart=False)}"),
        side_words(rows),
        *seed_notes(rows),
        protocol_notes(found),
        ERROR_NOTE,
        training_note(columns, table_rows),
        *ceiling,
        *noise_notes(found, [e for column in by_column for e in column]),
        *([f"Not in these results: {', '.join(lacking)}."] if lacking else []),
    ]
    key = "-".join(listed(rows, column) for column in SCENE_SET)
    return Table(headings, tuple(columns), table_rows, scenes, title, key, tuple(notes), rank_note, across="metric")
