"""A table as an HTML snippet that stands alone: no style sheet, no script, nothing loaded."""

from __future__ import annotations

from html import escape

from bench.tables.model import Cell, Sheet

_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_CAPTION = "caption-side:bottom;text-align:left;font-size:smaller;padding-top:.5em"
_NAME = "text-align:left;padding:.2em .6em"
_NUMBER = "text-align:right;padding:.2em .6em"


def _cell(cell: Cell, label: bool) -> str:
    text = escape(cell.text)
    text = (f"<strong>{text}</strong>" if cell.best else text) + escape(cell.rest)
    return f'<th scope="row" style="{_NAME}">{text}</th>' if label else f'<td style="{_NUMBER}">{text}</td>'


def as_html(made: Sheet) -> str:
    """A `<table>` with caption and scopes, the best of a column in `<strong>`."""
    grid = made.grid
    mark = f" Bold: {grid.mark}." if grid.mark else ""
    heads = [
        f'<th scope="col" style="{_NAME if k < grid.labels else _NUMBER};border-bottom:1px solid">{escape(text)}</th>'
        for k, text in enumerate(grid.headings)
    ]
    lines = [
        f'<table style="{_TABLE}">',
        f'<caption style="{_CAPTION}">{escape(grid.caption + mark)}</caption>',
        f"<thead><tr>{''.join(heads)}</tr></thead>",
        "<tbody>",
        *("<tr>" + "".join(_cell(cell, k < grid.labels) for k, cell in enumerate(row)) + "</tr>" for row in grid.rows),
        "</tbody>",
        "</table>",
    ]
    return "\n".join(lines) + "\n"
