"""The report for a terminal, for a job summary (Markdown), for CI systems (JUnit XML) and for programs (JSON)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from rich.table import Table
from rich.text import Text

from bench.api.terminal import visible
from bench.regress import words
from bench.regress.compare import by_method
from bench.regress.model import Report, ScoreChange, Verdict
from bench.regress.words import arrow, chance, interval, markdown, number, shown, signed

if TYPE_CHECKING:
    from rich.console import Console

#: Version of the JSON's layout.
SCHEMA = 1
#: Rows of what stayed the same in the Markdown: GitHub takes 1 MiB of summary, and a row is about 150 bytes.
MOST_SAME_ROWS = 2000
HEADINGS = ("", "data set", "channel", "method", "PSNR", "metric", "baseline", "rerun", "change", "95 %", "p", "floor")
STYLES = {Verdict.WORSE: "bold red", Verdict.MISSING: "yellow", Verdict.BETTER: "green", Verdict.NEW: "cyan"}
#: Rows of a verdict that fit on a screen; the files have all of them.
MOST_ROWS = 40


def print_report(report: Report, console: Console) -> None:
    """Headline, what did not stay the same, costs that rose, and what else differs. Texts are no markup."""
    made = shown(report)
    if made:
        console.print(_screen_table(made[:MOST_ROWS]))
    if len(made) > MOST_ROWS:
        console.print(_text(f"and {len(made) - MOST_ROWS} more in the report"))
    for what, message in report.failures:
        console.print(_text(f"failed: {what}: {message}", "bold red"))
    for cost, cells in by_method(report.costs):
        console.print(_text(f"warning: {words.cost_line(cost, cells)}", "yellow"))
    for line in (*words.untested(report), *(f"note: {note}" for note in report.notes)):
        console.print(_text(line))
    if report.changes:
        console.print(_text("also different: " + "; ".join(words.change_line(change) for change in report.changes)))
    for line in words.how_to_read(report):
        console.print(_text(line, "dim"))
    sound = not (report.regressed or report.tested_nothing)
    console.print(_text(words.headline(report), "bold green" if sound else "bold red"))


def _text(content: str, style: str = "") -> Text:
    """Text that came out of files: no markup, and nothing that the terminal would obey."""
    return Text(visible(content), style)


def _screen_table(made: list[ScoreChange]) -> Table:
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


def as_markdown(report: Report) -> str:
    """For people on GitHub: what changed first, what stayed folded away. Texts from outside are escaped."""
    parts = [f"## bench regress: {markdown(words.headline(report))}", *_table(shown(report))]
    if report.failures:
        parts += ["**Failures**", "\n".join(f"- {markdown(w)}: {markdown(m, 500)}" for w, m in report.failures)]
    warned = [f"- {markdown(words.cost_line(cost, cells))}" for cost, cells in by_method(report.costs)]
    if warned:
        parts += ["**Costs that rose** (a warning, no regression)", "\n".join(warned)]
    if report.changes:
        parts += ["**Also different**", "\n".join(f"- {markdown(words.change_line(c), 300)}" for c in report.changes)]
    notes = [*words.untested(report), *report.notes]
    if notes:
        parts += ["**Notes**", "\n".join(f"- {markdown(note, 500)}" for note in notes)]
    same = report.of(Verdict.SAME)
    if same:
        left = len(same) - MOST_SAME_ROWS
        more = [f"and {left} more in report.json"] if left > 0 else []
        table = _table(same[:MOST_SAME_ROWS])
        parts += [f"<details><summary>{len(same)} the same</summary>", *table, *more, "</details>"]
    parts += [markdown(line, 1000) for line in words.how_to_read(report)]
    return "\n\n".join(parts) + "\n"


def _table(made: Sequence[ScoreChange]) -> list[str]:
    if not made:
        return []
    rows = [
        (
            f"**{one.verdict}**" if one.verdict is Verdict.WORSE else str(one.verdict),
            *(markdown(x) for x in (one.cell.dataset, one.cell.channel, one.cell.method)), f"{one.cell.psnr:g}",
            markdown(arrow(one)), number(one.baseline), number(one.rerun),
            signed(one.change) + (f" ({markdown(one.note)})" if one.note else ""), interval(one), chance(one),
            number(one.floor),
        )
        for one in made
    ]  # fmt: skip
    rule = ["---"] * 6 + ["---:"] * 6
    return ["\n".join("| " + " | ".join(line) + " |" for line in (HEADINGS, rule, *rows))]


def as_junit(report: Report) -> bytes:
    """One test case a cell and metric: what got worse or crashed fails, what was not compared is skipped."""
    suite = ElementTree.Element("testsuite", name="bench regress")
    counts = {"failure": 0, "skipped": 0}
    for made in report.comparisons:
        cell = made.cell
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"{cell.dataset}.{cell.channel}.{cell.method}",
            name=f"{made.metric} at PSNR {cell.psnr:g}",
        )
        failed = made.verdict is Verdict.WORSE or made.failed
        if failed or made.verdict in (Verdict.NEW, Verdict.MISSING, Verdict.UNTESTED):
            kind = "failure" if failed else "skipped"
            counts[kind] += 1
            ElementTree.SubElement(case, kind, message=_message(made))
    for what, message in report.failures:
        counts["failure"] += 1
        case = ElementTree.SubElement(suite, "testcase", classname="run", name=what)
        ElementTree.SubElement(case, "failure", message=message)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(counts["failure"]))
    suite.set("skipped", str(counts["skipped"]))
    whole = ElementTree.Element("testsuites")
    whole.append(suite)
    ElementTree.indent(whole)
    return bytes(ElementTree.tostring(whole, encoding="utf-8", xml_declaration=True)) + b"\n"


def _message(made: ScoreChange) -> str:
    told = f"{made.verdict}: {number(made.baseline)} → {number(made.rerun)}"
    if made.low is not None:
        told += f", change {signed(made.change)} ({interval(made)}), p {chance(made)}, floor {number(made.floor)}"
    return f"{told}; {made.note}" if made.note else told


def as_json(report: Report) -> str:
    """Everything, in full precision; null where a number is unknown or undefined."""
    return json.dumps(_data(report), indent=1, allow_nan=False) + "\n"


def _data(report: Report) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "regressed": report.regressed,
        "tested_nothing": report.tested_nothing,
        "counts": {str(verdict): count for verdict, count in report.counts.items()},
        "alpha": report.alpha,
        "correction": "holm",
        "family": report.family,
        **report.about,
        "scenes": {dataset: list(ids) for dataset, ids in report.ids.items()},
        "comparisons": [
            {
                **vars(made.cell), "metric": made.metric, "higher_is_better": made.higher_is_better,
                "verdict": str(made.verdict), "failed": made.failed, "baseline": _finite(made.baseline),
                "rerun": _finite(made.rerun), "change": _finite(made.change), "error": _finite(made.error),
                "interval": [_finite(made.low), _finite(made.high)], "p": _finite(made.p),
                "floor": _finite(made.floor), "basis": made.basis and str(made.basis), "note": made.note,
            }
            for made in report.comparisons
        ],
        "costs": [
            {
                **vars(cost.cell), "cost": cost.what, "baseline": cost.baseline, "rerun": cost.rerun,
                "factor": _finite(cost.factor), "warned": cost.warned,
            }
            for cost in report.costs
        ],
        "changes": [vars(change) for change in report.changes],
        "failures": [{"what": what, "message": message} for what, message in report.failures],
        "notes": list(report.notes),
    }  # fmt: skip


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
