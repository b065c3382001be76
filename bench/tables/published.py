"""The paper's values beside ours: ours | paper | Δ, and what the two do not have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.api.channel import PAPER_PSNRS
from bench.api.errors import UsageError
from bench.api.scenes import facts_of
from bench.api.scores import score_info
from bench.channels.awgn import Awgn
from bench.channels.registry import channel_words
from bench.results.published import PaperValue, Place, paper_values
from bench.tables.model import Column, Printed, SceneSetName, Sheet, Table, TableRow, decimals_for, extra_labels

if TYPE_CHECKING:
    from bench.results.scores import Score

DIFFERENT = "n/a"


def _apart(scenes: SceneSetName) -> str | None:
    """How the scenes differ from the paper's, None where they do not."""
    counterpart = str(facts_of(scenes.dataset).counterpart)
    name = facts_of(counterpart).title
    if scenes.dataset == counterpart:
        return None if scenes.scale == "paper" else f"Measured at scale {scenes.scale}, not with the paper's networks."
    return (
        f"`{scenes.dataset}` is not {name}: this project renders it, at {scenes.size} and scale {scenes.scale} (small "
        "networks, our own judges). The paper's values stand beside ours for orientation, and no Δ is an error of "
        "either."
    )


def _remarks(table: Table) -> list[str]:
    metrics = {column.metric for column in table.columns}
    known = {score_info(metric).published for metric in metrics}
    ours = "ours | paper | Δ = ours - paper; empty: not run here, or not in the paper."
    remarks = [_apart(table.scenes), ours, "The paper does not say what its ± is."]
    if "FID" in known:
        remarks.append("The paper prints FID/10; here it is multiplied by ten.")
    other = sorted(m for m in metrics if score_info(m).substitute)
    if other:
        remarks.append(f"Δ is {DIFFERENT} for {', '.join(other)}: the paper's FID is a distance of Inception features.")
    if "mIoU" in metrics:
        remarks.append("The paper's mIoU is, in its words, against the judge's map of the original: our `mIoU[judge]`.")
    if "LPIPS" in known:
        remarks.append("The paper does not name the network of its LPIPS.")
    return [remark for remark in remarks if remark]


def _plus_paper_rows(table: Table, values: Mapping[str, Mapping[Place, PaperValue]]) -> list[TableRow]:
    """The table's rows, then the paper's methods that it lacks; an ablation's arms are the paper's already."""
    rows = list(table.rows)
    if not extra_labels(table):
        ours = {row.method for row in rows}
        lacking = dict.fromkeys(method for places in values.values() for method, _ in places if method not in ours)
        rows += [TableRow(method, (method,), (None,) * len(table.columns)) for method in lacking]
    return rows


def _paper_text(paper: PaperValue | None, column: Column) -> str:
    if paper is None:
        return ""
    if paper.value is None:
        return paper.text
    spread = "" if paper.std is None else f" ± {column.number(paper.std)}"
    return f"{column.number(paper.value)}{spread}"


def _delta(score: Score | None, paper: PaperValue | None, metric: str) -> float | str | None:
    """Ours minus theirs, `n/a` where the metrics differ, None where there is nothing to subtract."""
    if score is None or paper is None or paper.value is None or score.noise:
        return None
    return score.value - paper.value if not score_info(metric).substitute else DIFFERENT


def compared(table: Table) -> Sheet:
    """One line for each number that we or the paper have; UsageError where the paper has none of the table."""
    values = {c.metric: paper_values(table.scenes.dataset, c.metric, table.paper_tables) for c in table.columns}
    if not any(values.values()):
        raise UsageError(
            f"the paper has no values for this table ({', '.join(values)} on {table.scenes.dataset}; its channel is "
            f"{channel_words(Awgn(PAPER_PSNRS[0]).convention)}): leave --published away"
        )
    lines, records, extra = [], [], extra_labels(table)
    for row in _plus_paper_rows(table, values):
        for column, score in zip(table.columns, row.scores, strict=True):
            paper = values[column.metric].get((row.method, column.psnr))
            if score is None and paper is None:
                continue
            numbers = [e.value for e in (score, paper) if e is not None and e.value is not None]
            shown = replace(column, decimals=min(column.decimals, decimals_for(numbers)))
            delta = _delta(score, paper, column.metric)
            error = "" if score is None or score.stderr is None or score.noise else f" ± {shown.number(score.stderr)}"
            texts = [
                *row.labels,
                column.heading,
                "" if score is None else shown.text(score) + error,
                _paper_text(paper, shown),
                "" if delta is None else delta if isinstance(delta, str) else f"{delta:+,.{shown.decimals}f}",
            ]
            lines.append(tuple(Printed(text) for text in texts))
            ours = (None,) * 4 if score is None else (score.value, score.std, score.stderr, score.noise)
            theirs = ("", None) if paper is None else (paper.text if paper.value is None else paper.value, paper.std)
            records.append([*vars(table.scenes).values(), row.method, *(row.labels[k] for k in extra), column.metric,
                            column.psnr, *ours, *theirs, delta])  # fmt: skip
    labels = (*table.label_headings, table.across)
    header = (*vars(table.scenes), "method", *(table.label_headings[k] for k in extra), "metric", "psnr", "ours",
              "ours_std", "ours_stderr", "ours_noise", "paper", "paper_std", "delta")  # fmt: skip
    notes = [note for note in table.notes if not note.startswith("Columns:")]
    return Sheet(len(labels), (*labels, "ours", "paper", "Δ"), tuple(lines), (*_remarks(table), *notes), None, header,
                 records)  # fmt: skip


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
