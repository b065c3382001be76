"""Tables of one metric, methods against PSNR as in the paper's Tables 1-3: text, Markdown, CSV or LaTeX."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import UsageError, nearest
from bench.names import resolve_metric
from bench.results import WHOLE_SET

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Entry:
    """One cell of a table: mean over seeds and the spread; `value` is NaN where it could not be determined."""

    value: float
    std: float | None


@dataclass(frozen=True)
class MetricTable:
    """One metric on one data set and channel: `entries[method][k]` belongs to `psnrs[k]`, None where not run.

    `scene_set` names data set, split, size and channel convention for files, `scene_set_title` for people.
    """

    metric: str
    higher_is_better: bool
    psnrs: tuple[float, ...]
    entries: dict[str, list[Entry | None]]
    caption: str
    scene_set: str
    scene_set_title: str

    @property
    def arrow(self) -> str:
        """↑ where more is better, else ↓."""
        return "↑" if self.higher_is_better else "↓"

    def best(self, column: int) -> set[str]:
        """Methods with the best printed value of a column (a tie is a tie of what is printed)."""
        shown = {
            name: float(self.number(entry.value).replace(",", ""))
            for name, row in self.entries.items()
            if (entry := row[column]) is not None and math.isfinite(entry.value)
        }
        if len(shown) < 2:
            return set()
        target = (max if self.higher_is_better else min)(shown.values())
        return {name for name, value in shown.items() if value == target}

    def number(self, value: float) -> str:
        """A value with as many decimals as the table's largest one leaves room for."""
        values = [abs(e.value) for row in self.entries.values() for e in row if e and math.isfinite(e.value)]
        largest = max(values, default=0.0)
        decimals = 0 if largest >= 1000 else 1 if largest >= 100 else 2 if largest >= 10 else 3
        return f"{value:,.{decimals}f}" if math.isfinite(value) else "undefined"


def _entry(rows: pd.DataFrame) -> Entry:
    spread = rows["std"].dropna()
    std = float(spread.mean()) if len(spread) else (float(rows["value"].std(ddof=0)) if len(rows) > 1 else None)
    return Entry(float(rows["value"].mean(skipna=False)), std)


def _listed(rows: pd.DataFrame, column: str) -> str:
    return ", ".join(str(v) for v in rows[column].drop_duplicates())


def _channel_words(label: str) -> str:
    kind, *conventions = label.split("-")
    if kind == "awgn" and len(conventions) == 2:
        return f"AWGN, {conventions[0]} calibration, {conventions[1]} power"
    return label


def _scene_set_title(rows: pd.DataFrame) -> str:
    channel = _channel_words(str(rows["channel"].iloc[0]))
    return (
        f"{_listed(rows, 'dataset')} {_listed(rows, 'split')} at {_listed(rows, 'size')} (scale: "
        f"{_listed(rows, 'scale')}), {_listed(rows, 'scenes')} scenes, seeds {_listed(rows, 'seed')}; {channel}"
    )


def _caption(rows: pd.DataFrame, metric: str, psnrs: tuple[float, ...]) -> str:
    levels = rows.drop_duplicates("psnr").set_index("psnr")["true_snr_db"]
    true = ", ".join("∞" if math.isinf(levels[p]) else f"{levels[p]:.1f}" for p in psnrs)
    return (
        f"{metric} on {_scene_set_title(rows)}, true SNR {true} dB. Protocol: {_listed(rows, 'protocol')}. "
        "± is the spread over scenes (for a distance between sets: over draws)."
    )


def metric_tables(frame: pd.DataFrame, typed: str) -> list[MetricTable]:
    """One table for each data set and channel convention in the results; UsageError for an unknown metric."""
    whole = frame[frame["scene"] == WHOLE_SET]
    known = sorted(whole["metric"].unique())
    metric = resolve_metric(typed, known)
    tables = []
    for key, rows in whole[whole["metric"] == metric].groupby(["dataset", "split", "size", "channel"], sort=False):
        psnrs = tuple(sorted((float(p) for p in rows["psnr"].unique()), reverse=True))
        found = {cell: _entry(group) for cell, group in rows.groupby(["method", "psnr"], sort=False)}
        entries = {str(method): [found.get((method, p)) for p in psnrs] for method in rows["method"].drop_duplicates()}
        better = bool(rows["higher_is_better"].iloc[0])
        name, title = "-".join(str(part) for part in key), _scene_set_title(rows)
        tables.append(MetricTable(metric, better, psnrs, entries, _caption(rows, metric, psnrs), name, title))
    return tables


def _cells(table: MetricTable, pm: str, mark: Callable[[str], str]) -> list[list[str]]:
    """Printed cells row by row, the best of each column through `mark`."""
    best = [table.best(k) for k in range(len(table.psnrs))]
    lines = []
    for method, row in table.entries.items():
        line = [method]
        for k, entry in enumerate(row):
            if entry is None:
                line.append("-")
                continue
            text = table.number(entry.value)
            text = mark(text) if method in best[k] else text
            line.append(text if entry.std is None else f"{text}{pm}{table.number(entry.std)}")
        lines.append(line)
    return lines


def _heading(table: MetricTable) -> list[str]:
    return [f"{table.metric} {table.arrow}", *(f"{p:g}" for p in table.psnrs)]


def as_text(table: MetricTable) -> str:
    """Aligned columns; `*` marks the best of a column."""
    lines = [_heading(table), *_cells(table, " ± ", lambda text: f"*{text}")]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    rendered = [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    ]
    rule = "-" * len(rendered[0])
    return "\n".join([rendered[0], rule, *rendered[1:], "", f"{table.caption} Columns: PSNR in dB; * best."]) + "\n"


def as_markdown(table: MetricTable) -> str:
    """A GitHub table, the best of a column in bold."""
    lines = [_heading(table), ["---"] + ["---:"] * len(table.psnrs)]
    lines += _cells(table, " ± ", lambda text: f"**{text}**")
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{body}\n\n{table.caption} Columns: PSNR in dB; best in bold.\n"


def as_csv(table: MetricTable) -> str:
    """One line a method, full precision, value and spread in columns of their own; the caption as a `#` line."""
    heading = ",".join(["method", *(f"{p:g},{p:g}_std" for p in table.psnrs)])
    lines = [f"# {table.metric} {table.arrow}; {table.caption}", heading]
    for method, row in table.entries.items():
        values = ["," if e is None else f"{e.value!r},{'' if e.std is None else repr(e.std)}" for e in row]
        lines.append(",".join([method, *values]))
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    for plain, escaped in (("\\", r"\textbackslash{}"), ("_", r"\_"), ("%", r"\%"), ("#", r"\#"), ("&", r"\&")):
        text = text.replace(plain, escaped)
    for plain, escaped in (("±", r"$\pm$"), ("∞", r"$\infty$"), ("↑", r"$\uparrow$"), ("↓", r"$\downarrow$")):
        text = text.replace(plain, escaped)
    return text.replace("-", "--")


def as_latex(table: MetricTable) -> str:
    """A floating table for the booktabs package, the best of a column in bold."""
    rows = _cells(table, " ± ", lambda text: f"\\textbf{{{text}}}")
    body = [
        " & ".join([_tex(line[0]), *(c.replace("±", r"$\pm$").replace("-", "--") for c in line[1:])]) for line in rows
    ]
    return "\n".join(
        [
            r"\begin{table}", r"\centering", rf"\caption{{{_tex(table.caption)} Columns: PSNR in dB; best in bold.}}",
            rf"\begin{{tabular}}{{l{'r' * len(table.psnrs)}}}", r"\toprule",
            " & ".join(_tex(cell) for cell in _heading(table)) + r" \\", r"\midrule",
            *(line + r" \\" for line in body),
            r"\bottomrule", r"\end{tabular}", r"\end{table}",
        ]
    ) + "\n"  # fmt: skip


FORMATS: dict[str, Callable[[MetricTable], str]] = {
    "text": as_text,
    "md": as_markdown,
    "csv": as_csv,
    "latex": as_latex,
}


def render(frame: pd.DataFrame, metric: str, style: str = "text") -> str:
    """Every table of `metric` in the results, in one of `FORMATS`."""
    if style not in FORMATS:
        raise UsageError(f"unknown format '{style}'{nearest(style, FORMATS)}")
    return "\n".join(FORMATS[style](table) for table in metric_tables(frame, metric))
