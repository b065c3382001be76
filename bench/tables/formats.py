"""The five formats of a table: text (bench/tables/text.py), Markdown, CSV, LaTeX (booktabs) and HTML."""

import csv
import io
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from bench.api.errors import known_name
from bench.tables.model import NUMBERS, Printed, Sheet, Table, sheet
from bench.tables.published import with_values
from bench.tables.text import Layout, in_columns


def _texts(cells: Sequence[Printed], before: str, after: str) -> list[str]:
    return [f"{before}{c.text}{after}{c.rest}" if c.best else f"{c.text}{c.rest}" for c in cells]


def _caption(made: Sheet, mark: str) -> str:
    return made.caption + (f" {mark}: {made.mark}." if made.mark else "")


def as_markdown(made: Sheet) -> str:
    """A GitHub table, the best of a column in bold."""
    lines = [list(made.headings), ["---" if k < made.labels else "---:" for k in range(len(made.headings))]]
    lines += [_texts(row, "**", "**") for row in made.rows]
    body = "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
    return f"{body}\n\n{_caption(made, 'bold')}\n"


def as_csv(sheets: Sequence[Sheet]) -> str:
    """All sheets as one table: every number in full, what it is about, and whether it prints as `noise`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(n for made in sheets for n in made.header)), lineterminator="\n")
    writer.writeheader()
    for made in sheets:
        for record in made.records:
            values = ["" if x is None else repr(x) if isinstance(x, float) else x for x in record]
            writer.writerow(dict(zip(made.header, values, strict=True)))
    return text.getvalue()


def csv_facts(sheets: Sequence[Sheet]) -> dict[str, Any]:
    """What belongs beside `as_csv`: the captions, and what the columns' endings mean."""
    captions = [{"heading": made.headings[0], "caption": made.caption} for made in sheets]
    names = [name for made in sheets for name in made.header]
    endings = {f"*{end}": meaning for end, meaning in NUMBERS.items() if any(name.endswith(end) for name in names)}
    return {"tables": captions, "columns": endings}


#: Characters and what prints them; applied to each character once, so that no replacement is replaced again.
_ESCAPES = {
    "\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "#": r"\#", "&": r"\&", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "`": r"\textasciigrave{}", "±": r"$\pm$", "∞": r"$\infty$", "↑": r"$\uparrow$",
    "↓": r"$\downarrow$", "Δ": r"$\Delta$", "\u00d7": r"$\times$", "✓": r"\checkmark", "✗": r"$\times$",
    "≥": r"$\geq$", "≤": r"$\leq$", "é": r"\'e",
}  # fmt: skip


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def _tex(cell: Printed, label: bool) -> str:
    text = escaped(cell.text)
    if text.startswith("-") and not label:  # in front of a digit a minus sign, alone an en dash
        text = f"$-${text[1:]}" if text[1:] else "--"
    return (rf"\textbf{{{text}}}" if cell.best else text) + escaped(cell.rest)


def as_latex(made: Sheet) -> str:
    """A floating table for LaTeX with the packages booktabs and amssymb, the best of a column in bold.

    The caption is its first words; the rest stands below the table, because TeX measures a caption as one line and
    refuses one that is longer than 5.7 m.
    """
    caption, _, notes = _caption(made, "Bold").partition("; ")
    alignment = "l" * made.labels + "r" * (len(made.headings) - made.labels)
    body = [" & ".join(_tex(cell, k < made.labels) for k, cell in enumerate(row)) + r" \\" for row in made.rows]
    lines = [
        r"% \usepackage{booktabs,amssymb}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(caption)}}}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        " & ".join(escaped(heading) for heading in made.headings) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *([rf"\par\medskip\parbox{{\linewidth}}{{\footnotesize {escaped(notes)}}}"] if notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_CAPTION = "caption-side:bottom;text-align:left;font-size:smaller;padding-top:.5em"
_NAME = "text-align:left;padding:.2em .6em"
_NUMBER = "text-align:right;padding:.2em .6em"


def _td(cell: Printed, label: bool) -> str:
    text = escape(cell.text)
    text = (f"<strong>{text}</strong>" if cell.best else text) + escape(cell.rest)
    return f'<th scope="row" style="{_NAME}">{text}</th>' if label else f'<td style="{_NUMBER}">{text}</td>'


def as_html(made: Sheet) -> str:
    """A `<table>` that stands alone (no style sheet, no script), the best of a column in `<strong>`."""
    heads = [
        f'<th scope="col" style="{_NAME if k < made.labels else _NUMBER};border-bottom:1px solid">{escape(text)}</th>'
        for k, text in enumerate(made.headings)
    ]
    lines = [
        f'<table style="{_TABLE}">',
        f'<caption style="{_CAPTION}">{escape(_caption(made, "Bold"))}</caption>',
        f"<thead><tr>{''.join(heads)}</tr></thead>",
        "<tbody>",
        *("<tr>" + "".join(_td(cell, k < made.labels) for k, cell in enumerate(row)) + "</tr>" for row in made.rows),
        "</tbody>",
        "</table>",
    ]
    return "\n".join(lines) + "\n"


def _each(form: Callable[[Sheet], str]) -> Callable[[Sequence[Sheet]], str]:
    return lambda sheets: "\n".join(form(one) for one in sheets)


FORMATS: dict[str, Callable[[Sequence[Sheet]], str]] = {
    "text": lambda sheets: in_columns(sheets, Layout()).plain,
    "md": _each(as_markdown),
    "csv": as_csv,
    "latex": _each(as_latex),
    "html": _each(as_html),
}


def check_format(style: str) -> str:
    """The one of `FORMATS` that was typed; UsageError for another one."""
    return known_name(style, FORMATS, "format")


def as_sheets(tables: Sequence[Table], published: bool = False) -> list[Sheet]:
    """Tables as printed, with `published` beside the paper's values."""
    return with_values(tables) if published else [sheet(table) for table in tables]


def render_sheets(sheets: Sequence[Sheet], style: str = "text") -> str:
    """All sheets in one of `FORMATS`; UsageError for another format."""
    return FORMATS[check_format(style)](sheets)


def render(tables: Sequence[Table], style: str = "text", published: bool = False) -> str:
    """All tables in one of `FORMATS`, with `published` beside the paper's values; UsageError for another format."""
    check_format(style)
    return render_sheets(as_sheets(tables, published), style)
