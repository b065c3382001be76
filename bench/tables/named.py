"""The tables that `bench table` knows by a word: the paper's Tables 4 and 5, the claims of its text, ablations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.errors import UsageError
from bench.api.names import metric_variants, own_weights, shipped_spec
from bench.api.scenes import facts_of
from bench.api.scores import declared_scores, score_info, shown_always
from bench.results.dataset import Only
from bench.results.files import read_results
from bench.results.request import code_notes, scene_set_title, side_words
from bench.results.schema import SCENE_SET
from bench.results.scores import Score, measured, of_methods, of_scenes, ranked
from bench.run import ablations
from bench.run.ablations import Ablation, Arm, find_ablation
from bench.tables.budget import budget
from bench.tables.build import ERROR_NOTE, arms_tables, metric_tables, scene_set_name, scenes_note
from bench.tables.model import Column, Table, TableRow, decimals_for

if TYPE_CHECKING:
    import pandas as pd

    from bench.results.merge import Results

#: The paper's data set of Table 4, which the embedded one stands for.
COCO = "coco_stuff"
COCO_METRICS = ("mIoU", "LPIPS", "FID")
BASELINE = "full_image"


def coco(frame: pd.DataFrame, psnr: float) -> list[Table]:
    """Table 4: all methods on COCO-Stuff at PSNR 10, every metric."""
    named = [name for name in frame["dataset"].unique() if facts_of(name).counterpart == COCO]
    rows = frame[frame["dataset"].isin(named)]
    if rows.empty:
        raise UsageError("these results have no COCO-Stuff scenes; run `bench run --datasets stuff` (or coco_stuff)")
    return arms_tables(rows, ("method",), None, COCO_METRICS, psnr, ("4",))


def _arms(frame: pd.DataFrame, ablation: Ablation) -> tuple[Arm, ...]:
    """The ablation's arms as the rows call them: an arm that was run with weights of the user's own says so."""
    there = set(frame["method"])
    own = {shipped_spec(spec): spec for spec in there if own_weights(spec)}

    def named(arm: Arm) -> Arm:
        spec = own.get(arm.method)
        if arm.method in there or spec is None:
            return arm
        return replace(arm, labels=(*arm.labels[:-1], f"{arm.labels[-1]} (weights {own_weights(spec)})"), method=spec)

    return tuple(named(arm) for arm in ablation.arms)


def ablation_tables(frame: pd.DataFrame, ablation: Ablation, psnr: float) -> list[Table]:
    """The ablation's table for each set of scenes; UsageError where the results have none of it."""
    question = f"{ablation.question[0].upper()}{ablation.question[1:]}."
    said = (question, ablation.remark) if ablation.remark else (question,)
    return [
        replace(table, notes=(*said, *table.notes))
        for table in arms_tables(
            frame, ablation.headings, _arms(frame, ablation), ablation.metrics, psnr, ablation.paper_tables
        )
    ]


def read_ablation(folder: Path, name: str, psnr: float) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The results that an ablation is shown from: on the scenes of its run at that PSNR, else those of sweeps."""
    frame, facts = read_results(folder, name)
    arms = {arm.method for arm in _arms(frame, find_ablation(name))}
    if (frame["method"].isin(arms) & frame["psnr"].eq(psnr)).any():
        return frame, facts
    return read_results(folder)


def _ablation(name: str) -> Callable[[pd.DataFrame, float], list[Table]]:
    """The table of one of `bench ablate`'s questions; `fds` is Table 5: FDS and noisy training at PSNR 10."""

    def table(frame: pd.DataFrame, psnr: float) -> list[Table]:
        try:
            return ablation_tables(frame, find_ablation(name), psnr)
        except UsageError as error:
            raise UsageError(f"{error}; `bench ablate {name} --psnr {psnr:g}` computes them") from None

    table.__doc__ = find_ablation(name).question
    return table


def bits(frame: pd.DataFrame, psnr: float) -> list[Table]:
    """Section 4.2's claim: what a scene costs, in bits of the digital payload and in analogue channel uses."""
    whole = of_methods(frame)
    whole = whole[whole["metric"] == "bits"]
    if whole.empty:
        raise UsageError("these results have no bits; `bench run` writes them for every cell")
    return [_bits_table(of_scenes(frame, scenes), rows) for scenes, rows in whole.groupby(SCENE_SET, sort=False)]


def _bits_table(frame: pd.DataFrame, rows: pd.DataFrame) -> Table:
    rows = rows.drop_duplicates("method")  # a payload does not depend on the channel: any of a method's cells will do
    methods = [str(m) for m in rows["method"]]
    keys = [(str(c), m, float(p)) for c, m, p in zip(rows["channel"], methods, rows["psnr"], strict=True)]
    found = [measured(frame, name) for name in ("bits", "channel_uses")]
    height, width = (int(x) for x in str(rows["size"].iloc[0]).split("x"))
    columns: list[Column] = []
    by_column: list[list[Score | None]] = []

    def add(heading: str, metric: str, values: list[Score | None]) -> None:
        decimals = decimals_for([e.value for e in values if e])
        columns.append(Column(heading, metric, False, None, decimals))
        by_column.append(values)

    ranks, rank_note = ranked([(data, keys) for data in found])
    for data, heading, scores in zip(found, ("bits ↓", "channel uses ↓"), ranks, strict=True):
        add(heading, data.metric, scores)
        if data.metric == "bits":
            add("bits/pixel", "bits_per_pixel", [e and Score(e.value / (height * width)) for e in scores])
        if BASELINE in methods and (base := scores[methods.index(BASELINE)]):
            change = [e and Score(100 * (e.value / base.value - 1) if base.value else math.nan) for e in scores]
            add("vs full image, %", f"{data.metric}_change_percent", change)
    notes = (
        scenes_note(rows, f"What a scene costs on {scene_set_title(rows)}."),
        ERROR_NOTE,
        side_words(rows),
        *(f"{d.metric}: {d.protocol}." for d in found),
    )
    table_rows = tuple(TableRow(m, (m,), tuple(c[k] for c in by_column)) for k, m in enumerate(methods))
    scenes, title = scene_set_name(rows), scene_set_title(rows)
    return Table(
        ("method",), tuple(columns), table_rows, scenes, title, f"{scenes.dataset}-bits", notes, rank_note,
        ("text 4.2",), across="metric",
    )  # fmt: skip


def _family(word: str) -> Callable[[pd.DataFrame, float], list[Table]]:
    """The scores of a family: the main ones against PSNR, then groups of them at one PSNR, as they are declared."""

    def family(frame: pd.DataFrame, psnr: float) -> list[Table]:
        names = set(of_methods(frame)["metric"].unique())
        known = [info for info in declared_scores() if info.family == word and info.name in names]
        if not any(info.shown == "family" for info in known):
            raise UsageError(f"these results have no scores of {word}; `bench run --metrics {word}` computes them")
        tables = [t for info in known if info.shown == "family" for t in metric_tables(frame, info.name)]
        if psnr not in set(of_methods(frame)["psnr"]):
            return tables
        for group in dict.fromkeys(info.beside for info in known if info.beside):
            there = [info.name for info in known if info.beside == group]
            tables += arms_tables(frame, ("method",), None, there, psnr)
        return tables

    family.__doc__ = f"The scores of {word}: the main ones against PSNR, then groups of them at one PSNR."
    return family


#: word -> tables from (rows, PSNR)
NAMED: dict[str, Callable[[pd.DataFrame, float], list[Table]]] = {
    "coco": coco,
    "ablation": _ablation("fds"),
    "objects": _family("objects"),
    "depth": _family("depth"),
    "bits": bits,
    "budget": budget,
}


def named_tables(frame: pd.DataFrame, what: str, psnr: float) -> list[Table]:
    """The tables of a word of `NAMED`, an ablation or a metric; UsageError where the results hold nothing of it."""
    word = what.lower()
    if word in ablations.ABLATIONS:
        return _ablation(word)(frame, psnr)
    return NAMED[word](frame, psnr) if word in NAMED else metric_tables(frame, what)


def tables_of(results: Results, what: str, psnr: float) -> list[Table]:
    """The same, whose captions say which parts are code that no distribution holds."""
    frame, facts = results
    tables = named_tables(frame, what, psnr)
    return [replace(t, notes=(*t.notes, *code_notes(facts, [row.method for row in t.rows]))) for t in tables]


def read_for_table(folder: Path, what: str, psnr: float) -> list[Table]:
    """`tables_of` the results in `folder`, an ablation's on its own scenes; raises as they and reading do."""
    word = what.lower()
    name = "fds" if word == "ablation" else word
    if name in ablations.ABLATIONS:
        return tables_of(read_ablation(folder, name, psnr), what, psnr)
    if word not in NAMED:
        with suppress(UsageError):  # which is told of all rows
            return tables_of(read_results(folder, only=Only(partial(needed, what))), what, psnr)
    return tables_of(read_results(folder), what, psnr)


def needed(what: str, known: Sequence[str]) -> set[str]:
    """Of the scores in a file those of a metric's tables: its own, of its single scenes, and of the originals."""
    infos = [score_info(name) for name in metric_variants(what, known)]
    return {name for info in infos for name in (info.name, info.scenes, info.originals) if name is not None}


def chosen_scores(metrics: Sequence[str], known: Sequence[str]) -> set[str]:
    """Of the scores in a folder those of the tables of these metrics, of the main ones where none is named."""
    return set().union(*(needed(kind, known) for kind in metrics or shown_always(known)))
