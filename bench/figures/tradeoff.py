"""Quality against what it costs: one point a method, with 95 % intervals. `bits` and `seconds` are such figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from bench.api.errors import UsageError
from bench.figures.intervals import axis_label, interval_notes, measured_metrics, point, say_nothing, undrawn_notes
from bench.figures.style import Drawing, Look, framed, looks
from bench.tables.measured import Measured, measured
from bench.tables.request import PSNR, Part, Request, chosen_psnrs, parts

METRICS = ("mIoU",)
PANEL_INCHES = (3.5, 2.7)


def tradeoff(request: Request, name: str, costs: dict[str, str], title: str, more: Sequence[str] = ()) -> list[Drawing]:
    """Panels: a column for each of `costs` (metric -> axis label), a row for each metric and PSNR chosen (without a
    choice mIoU at PSNR 10). `more` are notes on the costs. UsageError where the results have none of them."""
    made = []
    for part in parts(request):
        there = set(part.rows["metric"])
        for cost in costs:
            if cost not in there:
                raise UsageError(f"these results have no {cost}; `bench run` writes them for every cell")
        found = measured_metrics(request, part, METRICS)
        spent = {cost: measured(part.frame, cost) for cost in costs}
        psnrs = chosen_psnrs(request, part, (PSNR,))
        made.append(_figure(request, part, name, title, found, spent, costs, psnrs, more))
    return made


def _figure(
    request: Request,
    part: Part,
    name: str,
    title: str,
    found: Sequence[Measured],
    spent: dict[str, Measured],
    labels: dict[str, str],
    psnrs: Sequence[float],
    more: Sequence[str],
) -> Drawing:
    look = looks(part.methods)
    notes = (
        request.provenance(part.rows),
        *interval_notes(found),
        *undrawn_notes(part, [*found, *spent.values()]),
        *more,
        f"Protocols: {'; '.join(f'{d.metric}: {d.protocol}' for d in (*found, *spent.values()))}.",
    )
    handles = [Line2D([], [], label=m, **look[m].mark(), markersize=6) for m in part.methods]
    places = [(data, psnr) for data in found for psnr in psnrs]
    width, height = PANEL_INCHES
    at = f" at {psnrs[0]:g} dB" if len(psnrs) == 1 else ""
    frame = framed(width * max(len(spent), 1.3), height * len(places), f"{title}{at}, {part.first('dataset')}", notes,
                   handles)  # fmt: skip
    frame.figure.set_layout_engine("constrained", rect=frame.rect, h_pad=0.05, w_pad=0.05)
    axes = frame.figure.subplots(len(places), len(spent), squeeze=False, sharey="row", sharex="col")
    for row, (data, psnr) in zip(axes, places, strict=True):
        for axis, (cost, data_spent) in zip(row, spent.items(), strict=True):
            for method in part.methods:
                _point(axis, part, data, data_spent, method, psnr, look[method])
            if not axis.lines:
                say_nothing(axis)
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.xaxis.set_major_formatter(EngFormatter(unit="s" if cost == "seconds" else "", sep=" "))
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.margins(x=0.12, y=0.1)
            if axis in axes[-1]:
                axis.set_xlabel(labels[cost])
        row[0].set_ylabel(f"{axis_label(data)}{'' if len(psnrs) == 1 else f' at {psnr:g} dB'}")
    made = "" if not (request.metrics or request.psnrs) else f"-{'-'.join(d.metric for d in found)}"
    made += "" if not request.psnrs else f"@{'-'.join(f'{p:g}' for p in psnrs)}"
    return Drawing(f"{name}-{part.key}{made}", frame.figure, notes)


def _point(axis: Any, part: Part, data: Measured, spent: Measured, method: str, psnr: float, look: Look) -> None:
    key = (part.channel, method, psnr)
    here, cost = point(data, key), spent.entries.get(key)
    if here is None or cost is None or not 0 < cost.value < math.inf:
        return
    if here.bounded:
        axis.plot([cost.value] * 2, [here.low, here.high], color=look.colour, linewidth=1.1, gid=f"bar {method}")
    axis.plot([cost.value], [here.value], **look.mark(), markersize=6, gid=f"point {method}", zorder=3)
