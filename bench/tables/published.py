"""The paper's values beside ours: ours | paper | Δ, and what the two do not have in common."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import bench
from bench.api.errors import BenchError, UsageError
from bench.tables.model import Cell, Column, Entry, Grid, Row, SceneSetName, Sheet, Table, decimals_for, extra_labels

#: Data set -> the paper's data set that it stands for.
COUNTERPARTS = {"cityscapes": "cityscapes", "streets": "cityscapes", "coco_stuff": "coco_stuff", "stuff": "coco_stuff"}
PAPER_NAMES = {"cityscapes": "Cityscapes", "coco_stuff": "COCO-Stuff"}
#: The paper prints FID divided by ten (its heading says ten times FID).
SCALED = {"FID/10": ("FID", 10.0)}
DIFFERENT = "n/a"

#: (method, PSNR), PSNR None for what does not depend on the channel.
Place = tuple[str, float | None]


@dataclass(frozen=True)
class PaperValue:
    """One cell of the paper: what it prints (a number in the metric's own unit, or `noise`, or `-`)."""

    text: str
    value: float | None
    std: float | None


def _folder() -> Path:
    """results/published of the checkout that this code is part of, else of the working folder."""
    places = [Path(bench.__file__).resolve().parents[1] / "results" / "published", Path("results/published")]
    for place in places:
        if place.is_dir():
            return place
    raise BenchError(
        f"the paper's values are not here: neither {places[0]} nor ./{places[1]} exists. They come with the "
        "repository, not with an installed package: run this in a checkout"
    )


def _number(text: str, file: Path, line: int) -> float | None:
    try:
        return float(text) if text not in ("", "-", "noise") else None
    except ValueError:
        raise BenchError(f"{file}, line {line}: '{text}' is neither a number nor 'noise' nor '-'") from None


def _read(file: Path) -> Iterator[tuple[str, str, str, Place, PaperValue]]:
    with file.open(encoding="utf-8", newline="") as opened:
        reader = csv.DictReader(opened)
        for row in reader:
            metric, factor = SCALED.get(row["metric"], (row["metric"], 1.0))
            value = _number(row["value"], file, reader.line_num)
            std = _number(row["std"], file, reader.line_num)
            paper = PaperValue(row["value"], value and value * factor, std and std * factor)
            place = (row["method"], _number(row["psnr"], file, reader.line_num))
            yield row["table"], row["dataset"], metric, place, paper


@lru_cache(maxsize=1)
def _everything(folder: Path) -> tuple[tuple[str, str, str, Place, PaperValue], ...]:
    return tuple(found for file in sorted(folder.glob("*.csv")) for found in _read(file))


def paper_values(dataset: str, metric: str, tables: Collection[str]) -> dict[Place, PaperValue]:
    """What the paper has of a metric, under its own name or with ours in brackets (`mIoU[judge]`), in some of its
    tables ("1" to "5", "text 4.2"), for the data set that `dataset` stands for."""
    counterpart = COUNTERPARTS.get(dataset)
    base = metric.split("[", 1)[0]
    if metric.endswith(("[original]", "[scene]")):
        return {}
    return {
        place: value
        for table, of, name, place, value in _everything(_folder())
        if of == counterpart and name == base and table in tables
    }


def same_metric(metric: str) -> bool:
    """Whether a difference to the paper's metric of that name means anything: a distance on other features is another
    distance. mIoU and LPIPS pass in every variant, because the paper does not say which it used."""
    return not metric.startswith("FID[") or metric == "FID[inception]"


def _apart(scenes: SceneSetName) -> str | None:
    """How the scenes differ from the paper's, None where they do not."""
    name = PAPER_NAMES[COUNTERPARTS[scenes.dataset]]
    if scenes.dataset == COUNTERPARTS[scenes.dataset]:
        return None if scenes.scale == "paper" else f"Measured at scale {scenes.scale}, not with the paper's networks."
    return (
        f"`{scenes.dataset}` is not {name}: this project renders it, at {scenes.size} and scale {scenes.scale} (small "
        "networks, our own judges). The paper's values stand beside ours for orientation, and no Δ is an error of "
        "either."
    )


def _remarks(table: Table) -> list[str]:
    metrics = {column.metric for column in table.columns}
    ours = "ours | paper | Δ = ours - paper; empty: not run here, or not in the paper."
    remarks = [_apart(table.scenes), ours, "The paper does not say what its ± is."]
    if any(m.startswith("FID") for m in metrics):
        remarks.append("The paper prints FID/10; here it is multiplied by ten.")
    other = sorted(m for m in metrics if not same_metric(m))
    if other:
        remarks.append(f"Δ is {DIFFERENT} for {', '.join(other)}: the paper's FID is a distance of Inception features.")
    if "mIoU" in metrics:
        remarks.append("The paper's mIoU is, in its words, against the judge's map of the original: our `mIoU[judge]`.")
    if any(m.startswith("LPIPS") for m in metrics):
        remarks.append("The paper does not name the network of its LPIPS.")
    return [remark for remark in remarks if remark]


def _plus_paper_rows(table: Table, values: Mapping[str, Mapping[Place, PaperValue]]) -> list[Row]:
    """The table's rows, then the paper's methods that it lacks; an ablation's arms are the paper's already."""
    rows = list(table.rows)
    if not extra_labels(table):
        ours = {row.method for row in rows}
        lacking = dict.fromkeys(method for places in values.values() for method, _ in places if method not in ours)
        rows += [Row(method, (method,), (None,) * len(table.columns)) for method in lacking]
    return rows


def _printed(paper: PaperValue | None, column: Column) -> str:
    if paper is None:
        return ""
    if paper.value is None:
        return paper.text
    spread = "" if paper.std is None else f" ± {column.number(paper.std)}"
    return f"{column.number(paper.value)}{spread}"


def _delta(entry: Entry | None, paper: PaperValue | None, metric: str) -> float | str | None:
    """Ours minus theirs, `n/a` where the metrics differ, None where there is nothing to subtract."""
    if entry is None or paper is None or paper.value is None or entry.noise:
        return None
    return entry.value - paper.value if same_metric(metric) else DIFFERENT


def compared(table: Table) -> Sheet:
    """One line for each number that we or the paper have; UsageError where the paper has none of the table."""
    values = {c.metric: paper_values(table.scenes.dataset, c.metric, table.paper_tables) for c in table.columns}
    if not any(values.values()):
        raise UsageError(
            f"the paper has no values for this table ({', '.join(values)} on {table.scenes.dataset}): "
            "leave --published away"
        )
    lines, records = [], []
    for row in _plus_paper_rows(table, values):
        for column, entry in zip(table.columns, row.entries, strict=True):
            paper = values[column.metric].get((row.method, column.psnr))
            if entry is None and paper is None:
                continue
            numbers = [e.value for e in (entry, paper) if e is not None and e.value is not None]
            shown = replace(column, decimals=min(column.decimals, decimals_for(numbers)))
            delta = _delta(entry, paper, column.metric)
            error = "" if entry is None or entry.stderr is None or entry.noise else f" ± {shown.number(entry.stderr)}"
            texts = [
                *row.labels,
                column.heading,
                "" if entry is None else shown.text(entry) + error,
                _printed(paper, shown),
                "" if delta is None else delta if isinstance(delta, str) else f"{delta:+,.{shown.decimals}f}",
            ]
            lines.append(tuple(Cell(text) for text in texts))
            ours = (None,) * 4 if entry is None else (entry.value, entry.std, entry.stderr, entry.noise)
            theirs = ("", None) if paper is None else (paper.text if paper.value is None else paper.value, paper.std)
            records.append([row.method, *(row.labels if extra_labels(table) else ()), column.metric, column.psnr,
                            *ours, *theirs, delta])  # fmt: skip
    labels = (*table.label_headings, table.across)
    header = ("method", *extra_labels(table), "metric", "psnr", "ours", "ours_std", "ours_stderr", "ours_noise",
              "paper", "paper_std", "delta")  # fmt: skip
    notes = [note for note in table.notes if not note.startswith("Columns:")]
    caption = " ".join([*_remarks(table), *notes])
    return Sheet(Grid(len(labels), (*labels, "ours", "paper", "Δ"), tuple(lines), caption), header, records)


def with_values(tables: Sequence[Table]) -> list[Sheet]:
    """`compared` of those tables that the paper has values for; UsageError where it has none for any."""
    made, lacking = [], []
    for table in tables:
        try:
            made.append(compared(table))
        except UsageError as error:
            lacking.append(error)
    if lacking and not made:
        raise lacking[0]
    return made
