"""The five formats of a table: aligned text, Markdown, CSV, LaTeX (booktabs) and HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from bench.api.errors import known_name
from bench.tables.html import as_html
from bench.tables.latex import as_latex
from bench.tables.model import Cell, Sheet, Table, sheet
from bench.tables.published import with_values


def _texts(cells: Sequence[Cell], before: str, after: str) -> list[str]:
    return [f"{before}{c.text}{after}{c.rest}" if c.best else f"{c.text}{c.rest}" for c in cells]


def _caption(made: Sheet, mark: str) -> str:
    return made.grid.caption + (f" {mark}: {made.grid.mark}." if made.grid.mark else "")


def as_text(made: Sheet) -> str:
    """Aligned columns; `*` marks the best of a column."""
    grid = made.grid
    lines = [list(grid.headings), *(_texts(row, "*", "") for row in grid.rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(grid.headings))]
    flush = [str.ljust if k < grid.labels else str.rjust for k in range(len(widths))]
    rendered = ["  ".join(put(c, w) for put, c, w in zip(flush, line, widths, strict=True)) for line in lines]
    rule = "-" * len(rendered[0])
    return "\n".join([rendered[0].rstrip(), rule, *(r.rstrip() for r in rendered[1:]), "", _caption(made, "*")]) + "\n"


def as_markdown(made: Sheet) -> str:
    """A GitHub table, the best of a column in bold."""
    grid = made.grid
    lines = [list(grid.headings), ["---" if k < grid.labels else "---:" for k in range(len(grid.headings))]]
    lines += [_texts(row, "**", "**") for row in grid.rows]
    body = "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
    return f"{body}\n\n{_caption(made, 'bold')}\n"


def as_csv(made: Sheet) -> str:
    """Every number in full, with spread, rank and whether it prints as `noise`; the caption as a `#` line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(made.header)
    for record in made.records:
        writer.writerow(["" if x is None else repr(x) if isinstance(x, float) else x for x in record])
    return f"# {made.grid.headings[0]}; {made.grid.caption}\n{text.getvalue()}"


FORMATS: dict[str, Callable[[Sheet], str]] = {
    "text": as_text,
    "md": as_markdown,
    "csv": as_csv,
    "latex": as_latex,
    "html": as_html,
}


def check_format(style: str) -> str:
    """The one of `FORMATS` that was typed; UsageError for another one."""
    return known_name(style, FORMATS, "format")


def render(tables: Sequence[Table], style: str = "text", published: bool = False) -> str:
    """All tables in one of `FORMATS`, with `published` beside the paper's values; UsageError for another format."""
    form = FORMATS[check_format(style)]
    sheets = with_values(tables) if published else [sheet(table) for table in tables]
    return "\n".join(form(one) for one in sheets)
