"""A table for LaTeX, with the packages booktabs and amssymb (for the check mark)."""

from __future__ import annotations

from bench.tables.model import Cell, Sheet

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


def _number(text: str) -> str:
    """A cell: a minus sign in front of a digit is a minus sign, a lone dash an en dash."""
    if text == "-":
        return "--"
    return f"$-${escaped(text[1:])}" if text[:1] == "-" else escaped(text)


def _cell(cell: Cell, label: bool) -> str:
    text = escaped(cell.text) if label else _number(cell.text)
    return (rf"\textbf{{{text}}}" if cell.best else text) + escaped(cell.rest)


def as_latex(made: Sheet) -> str:
    """A floating table, the best of a column in bold."""
    grid = made.grid
    mark = f" Bold: {grid.mark}." if grid.mark else ""
    alignment = "l" * grid.labels + "r" * (len(grid.headings) - grid.labels)
    body = [" & ".join(_cell(cell, k < grid.labels) for k, cell in enumerate(row)) + r" \\" for row in grid.rows]
    lines = [
        r"% \usepackage{booktabs,amssymb}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(grid.caption + mark)}}}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        " & ".join(escaped(heading) for heading in grid.headings) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
