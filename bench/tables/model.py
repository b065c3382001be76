"""A table as data, before any format: rows of methods or arms, columns of numbers, and the sentences below them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.results.scores import Score

#: What the paper prints where a value is beyond measure, and where there is none.
NOISE, NOT_RUN = "noise", "-"


class Note(str):
    """A sentence of a caption, and what stands for it where there is little room: `short`, "" for nothing.

    `of_numbers`: it is about ± and ranks, and said as it is wherever these are printed.
    """

    short: str
    of_numbers: bool

    def __new__(cls, text: str, short: str = "", of_numbers: bool = False) -> Note:
        """The sentence, as any other text."""
        made = super().__new__(cls, text)
        made.short, made.of_numbers = short, of_numbers
        return made


@dataclass(frozen=True)
class Column:
    """One metric at one PSNR (None for what does not depend on the channel), and how its numbers print."""

    heading: str
    metric: str
    higher_is_better: bool
    psnr: float | None
    decimals: int

    def number(self, value: float) -> str:
        """A value as printed."""
        return f"{value:,.{self.decimals}f}" if math.isfinite(value) else "undefined"

    def text(self, score: Score) -> str:
        """A score's value as printed, or the word that stands for it."""
        return NOISE if score.noise else self.number(score.value)


@dataclass(frozen=True)
class TableRow:
    """One method (or arm of an ablation): what stands on the left, and one score a column, None where not run."""

    method: str
    labels: tuple[str, ...]
    scores: tuple[Score | None, ...]


@dataclass(frozen=True)
class SceneSetName:
    """Which scenes on which channels a table is about: as in the results, with `scale` "embedded" or "paper"."""

    dataset: str
    split: str
    size: str
    scale: str
    channel: str


@dataclass(frozen=True)
class Table:
    """Rows by columns about one set of scenes; `key` is for file names, `notes` are the caption's sentences.

    `rank_note` is the one on what the ranks rest on; `paper_tables` says where the paper has values for it.
    """

    label_headings: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    scenes: SceneSetName
    title: str
    key: str
    notes: tuple[str, ...]
    rank_note: str = ""
    paper_tables: tuple[str, ...] = ()
    #: What the columns of one table differ in, for the published values beside them: "PSNR" or "metric".
    across: str = "PSNR"

    @property
    def caption(self) -> str:
        """All notes as one text."""
        return " ".join(self.sentences)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The notes, then what the ranks rest on, which says little where the ranks are not shown."""
        none = self.rank_note.startswith("No ranks")
        short = self.rank_note if none else "Rank 1: no other is shown to be better, 95 % for the whole table."
        return (*self.notes, *([Note(self.rank_note, short, of_numbers=True)] if self.rank_note else []))

    def marked(self, row: TableRow, position: int) -> bool:
        """Whether a score is among the best of its column."""
        score = row.scores[position]
        return score is not None and score.rank == 1 and not score.noise


@dataclass(frozen=True)
class Printed:
    """One printed cell: what a mark for the best goes around, and what follows it."""

    text: str
    rest: str = ""
    best: bool = False


@dataclass(frozen=True)
class Sheet:
    """One table as printed, whose first `labels` columns name the rows, and every number in full for csv.

    `mark` says what the mark for the best means, None where nothing is marked.
    """

    labels: int
    headings: tuple[str, ...]
    rows: tuple[tuple[Printed, ...], ...]
    notes: tuple[str, ...]
    mark: str | None
    header: tuple[str, ...]
    records: Sequence[Sequence[object]] = field(repr=False)

    @property
    def caption(self) -> str:
        """All notes as one text."""
        return " ".join(self.notes)

    def sentences(self, full: bool) -> list[str]:
        """The caption where there is little room; with what is about ± and ranks if these are printed (`full`)."""
        short = [n.short if isinstance(n, Note) and not (full and n.of_numbers) else str(n) for n in self.notes]
        return [sentence for sentence in short if sentence]


def decimals_for(values: Sequence[float]) -> int:
    """As many decimals as the largest value leaves room for."""
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    return 0 if largest >= 1000 else 1 if largest >= 100 else 2 if largest >= 10 else 3


def arrow(higher_is_better: bool) -> str:
    """↑ where more is better, else ↓."""
    return "↑" if higher_is_better else "↓"


def _printed(table: Table, row: TableRow, position: int) -> Printed:
    score, column = row.scores[position], table.columns[position]
    if score is None:
        return Printed(NOT_RUN)
    if score.noise:
        return Printed(NOISE)
    rest = "" if score.stderr is None else f" ± {column.number(score.stderr)}"
    rank = "" if score.rank is None else f" ({score.rank})"
    return Printed(column.number(score.value), rest + rank, table.marked(row, position))


#: What csv has of each score, as endings of the column's name, and what that is.
NUMBERS = {
    "_mean": "the score: of the set of scenes, averaged over seeds",
    "_std": "its spread over scenes",
    "_stderr": "its standard error",
    "_rank": "1 + the number of methods shown to be better",
    "_noise": "whether it is at least as bad as pictures of pure noise",
}


def sheet(table: Table) -> Sheet:
    """A table as it is, one row a row."""
    positions = range(len(table.columns))
    rows = tuple(
        (*(Printed(label) for label in row.labels), *(_printed(table, row, k) for k in positions)) for row in table.rows
    )
    marked = any(cell.best for row in rows for cell in row)
    place = {**vars(table.scenes), **_across(table)}
    names = [f"psnr_{c.psnr:g}" if table.across == "PSNR" and c.psnr is not None else c.metric for c in table.columns]
    extra = extra_labels(table)
    labels = [table.label_headings[k] for k in extra]
    header = [*place, "method", *labels, *(f"{name}{end}" for name in names for end in NUMBERS)]
    records = []
    for row in table.rows:
        numbers = [x for s in row.scores for x in ((s.value, s.std, s.stderr, s.rank, s.noise) if s else (None,) * 5)]
        records.append([*place.values(), row.method, *(row.labels[k] for k in extra), *numbers])
    headings = (*table.label_headings, *(column.heading for column in table.columns))
    mark = "rank 1" if marked else None
    return Sheet(len(table.label_headings), headings, rows, table.sentences, mark, tuple(header), records)


def _across(table: Table) -> dict[str, object]:
    """What all columns of a table have in common, for csv: the metric, or the PSNR."""
    last = table.columns[-1]
    return {"metric": last.metric} if table.across == "PSNR" else {} if last.psnr is None else {"psnr": last.psnr}


def extra_labels(table: Table) -> tuple[int, ...]:
    """Positions of the labels that say more than the method's name."""
    if all(row.labels == (row.method,) for row in table.rows):
        return ()
    return tuple(k for k, heading in enumerate(table.label_headings) if heading != "method")
