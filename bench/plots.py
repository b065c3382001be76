"""A metric against PSNR, one line a method: PNG for the screen, SVG for a paper."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cache import safe_name, write_atomically
from bench.errors import UsageError
from bench.tables import Table, metric_tables

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_METRICS = ("mIoU", "LPIPS", "FID")
PANEL_INCHES = (4.6, 3.8)
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
#: Columns of the legend, and the height in inches of one of its rows.
LEGEND_COLUMNS, LEGEND_ROW = 7, 0.2


def _styles(methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and marker by method; a spec behind FDS has those of its method, with a dashed line and hollow markers."""
    import seaborn as sns

    bases = list(dict.fromkeys(method.replace("+fds", "") for method in methods))
    colours = sns.color_palette("colorblind", len(bases))
    styles = {}
    for method in methods:
        base = bases.index(method.replace("+fds", ""))
        style = {"color": colours[base], "marker": MARKERS[base % len(MARKERS)]}
        styles[method] = {**style, "linestyle": "--", "markerfacecolor": "white"} if "+fds" in method else style
    return styles


def _draw(axis: Any, table: Table, styles: dict[str, dict[str, Any]]) -> None:
    """One panel. The PSNRs stand at even distances, worst channel on the left: 100 is "no noise", not five times 20.
    Lines are shifted sideways a little, so that the bars of equal values stay apart."""
    columns = table.columns[::-1]  # tables begin with the best channel
    for number, row in enumerate(table.rows):
        shown = [(k, e) for k, e in enumerate(row.entries[::-1]) if e and math.isfinite(e.value)]
        shift = min(0.06, 0.5 / len(table.rows)) * (number - (len(table.rows) - 1) / 2)
        axis.errorbar(
            [k + shift for k, _ in shown],
            [e.value for _, e in shown],
            yerr=[e.std or 0.0 for _, e in shown],
            label=row.method,
            **styles[row.method],
            markersize=5,
            linewidth=1.6,
            elinewidth=0.8,
            capsize=0,
        )
    axis.set_xticks(range(len(columns)), [column.heading for column in columns])
    axis.set_xlabel("PSNR of the channel (dB)")
    axis.set_ylabel(table.label_headings[0])
    values = [e.value - (e.std or 0.0) for row in table.rows for e in row.entries if e and math.isfinite(e.value)]
    if values and min(values) >= 0:
        axis.set_ylim(bottom=-0.03 * axis.get_ylim()[1])  # zero in sight, and its markers whole


def plot_results(frame: pd.DataFrame, out: Path, metrics: Sequence[str] = ()) -> list[Path]:
    """Draw one figure a data set and channel convention with a panel for each metric into OUT/plots; the files made.

    Without `metrics` the default ones that the results hold are drawn; UsageError where a named one is missing.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    panels: dict[str, list[Table]] = {}
    for metric in metrics or DEFAULT_METRICS:
        try:
            tables = metric_tables(frame, metric)
        except UsageError:
            if metrics:
                raise
            continue
        for table in tables:
            panels.setdefault(table.key, []).append(table)
    if not panels:
        raise UsageError(f"the results hold none of {', '.join(DEFAULT_METRICS)}: name a metric that was run")
    sns.set_theme(context="paper", style="whitegrid", palette="colorblind")
    made = []
    for scene_set, tables in panels.items():
        methods = list(dict.fromkeys(row.method for table in tables for row in table.rows))
        styles = _styles(methods)
        width, height = PANEL_INCHES
        legend = 0.3 + LEGEND_ROW * math.ceil(len(methods) / LEGEND_COLUMNS)
        height += legend
        figure, axes = plt.subplots(1, len(tables), figsize=(width * len(tables), height), squeeze=False)
        for axis, table in zip(axes[0], tables, strict=True):
            _draw(axis, table, styles)
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="upper center",
            ncols=min(len(labels), LEGEND_COLUMNS),
            bbox_to_anchor=(0.5, 1 - 0.2 / height),
            frameon=False,
        )
        figure.suptitle(tables[0].title, fontsize=9, y=0.99)
        figure.tight_layout(rect=(0, 0, 1, 1 - legend / height))
        stem = safe_name(
            "-".join([scene_set, *(table.columns[0].metric for table in tables)] if metrics else [scene_set])
        )
        for kind in ("png", "svg"):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=160)
            path = out / "plots" / f"{stem}.{kind}"
            write_atomically(path, buffer.getvalue())
            made.append(path)
        plt.close(figure)
    return made
