"""The report for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.api.terminal import visible
from bench.regress.costs import by_method
from bench.regress.model import Comparison, Report, Verdict
from bench.regress.words import (
    arrow,
    chance,
    change_line,
    cost_line,
    headline,
    how_to_read,
    interval,
    number,
    shown,
    signed,
    untested,
)

STYLES = {Verdict.WORSE: "bold red", Verdict.MISSING: "yellow", Verdict.BETTER: "green", Verdict.NEW: "cyan"}
#: Rows of a verdict that fit on a screen; the files have all of them.
MOST_ROWS = 40


def print_report(report: Report, console: Console) -> None:
    """Headline, what did not stay the same, costs that rose, and what else differs. Texts are no markup."""
    made = shown(report)
    if made:
        console.print(_table(made[:MOST_ROWS]))
    if len(made) > MOST_ROWS:
        console.print(_text(f"and {len(made) - MOST_ROWS} more in the report"))
    for what, message in report.failures:
        console.print(_text(f"failed: {what}: {message}", "bold red"))
    for cost, cells in by_method(report.costs):
        console.print(_text(f"warning: {cost_line(cost, cells)}", "yellow"))
    for line in (*untested(report), *(f"note: {note}" for note in report.notes)):
        console.print(_text(line))
    if report.changes:
        console.print(_text("also different: " + "; ".join(change_line(change) for change in report.changes)))
    for line in how_to_read(report):
        console.print(_text(line, "dim"))
    sound = not (report.regressed or report.tested_nothing)
    console.print(_text(headline(report), "bold green" if sound else "bold red"))


def _text(content: str, style: str = "") -> Text:
    """Text that came out of files: no markup, and nothing that the terminal would obey."""
    return Text(visible(content), style)


def _table(made: list[Comparison]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "method", "PSNR", "metric"):
        table.add_column(heading, overflow="fold")
    for heading in ("baseline", "rerun", "change", "95 %", "p", "floor"):
        table.add_column(heading, justify="right", overflow="fold")
    for one in made:
        cells = (
            one.verdict, one.cell.method, f"{one.cell.psnr:g}", arrow(one), number(one.baseline), number(one.rerun),
            signed(one.change), interval(one), chance(one), number(one.floor),
        )  # fmt: skip
        table.add_row(*(_text(str(cell)) for cell in cells), style=STYLES.get(one.verdict))
    return table
