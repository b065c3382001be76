"""Quality against what it costs, one point a method with its 95 % interval: the figures `bits` and `seconds`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from bench.api.errors import UsageError, in_words
from bench.api.scores import score_info
from bench.figures.envelope import envelope
from bench.figures.intervals import axis_label, interval_notes, measured_metrics, point, say_nothing, undrawn_notes
from bench.figures.style import Drawing, Look, framed, looks
from bench.results.request import PSNR, Part, Request, chosen_psnrs, parts
from bench.results.scores import Measured, Score, measured

METRICS = ("mIoU",)
SENT = {"bits": "bits a scene (digital payload)", "channel_uses": "channel uses a scene (real symbols)"}
PANEL_INCHES = (3.5, 2.7)
#: A mark, in points.
MARK = 6.0
FRONTIER: dict[str, Any] = {"color": "0.6", "linewidth": 1.0}
FRONTIER_NOTE = (
    "Grey: the best value at so much or less, whatever chance explains of it. Marks that would hide each other stand a "
    "little apart."
)
#: Where `bench speed pipeline` writes beside results, and its stages between a scene and its picture.
SPEED = "performance"
STAGES = ("send", "channel", "receive")


def draw_bits(request: Request) -> list[Drawing]:
    """Against bits of the digital payload and against analogue channel uses (the claim of section 4.2): two panels."""
    title, note = "Quality against what is sent", "Costs are means over scenes."
    return [
        _figure(request, part, "bits", title, SENT, note, {cost: measured(part.frame, cost) for cost in SENT})
        for part in parts(request)
    ]


def draw_seconds(request: Request) -> list[Drawing]:
    """Against seconds a picture as `bench speed pipeline` measured them beside the results, one panel.

    UsageError where it did not: the seconds of a sweep, whose workers share the machine, are not speed.
    """
    made = []
    for part in parts(request):
        dataset = str(part.first("dataset"))
        for file in sorted((request.folder / SPEED).glob(f"pipeline-{dataset}-*.json")):
            spent, machine = _timed(file, part)
            lacking = [m for m in part.methods if not any(key[1] == m for key in spent.scores)]
            note = f"Time measured alone on {machine}." + (f" Not timed: {', '.join(lacking)}." if lacking else "")
            labels = {"seconds": "seconds a picture, alone"}
            drawing = _figure(request, part, "seconds", "Quality against time", labels, note, {"seconds": spent})
            made.append(replace(drawing, stem=f"{drawing.stem}-{file.stem.rpartition('-')[2]}"))
    if not made:
        part = next(parts(request))
        raise UsageError(
            f"nobody timed these methods alone, and seconds of a sweep are not speed: `bench speed pipeline --methods "
            f"{','.join(part.methods)} --dataset {part.first('dataset')} --out {request.folder / SPEED}` measures them"
        )
    return made


def _timed(file: Path, part: Part) -> tuple[Measured, str]:
    """Seconds a scene of sender, channel and receiver of the methods of `part`, and the machine; UsageError if none."""
    try:
        told = json.loads(file.read_bytes())
        seconds: dict[str, float] = {}
        for row in told["rows"]:
            if row["stage"] in STAGES:
                seconds[row["method"]] = seconds.get(row["method"], 0.0) + float(row["seconds"])
        facts, batch = told["provenance"], int(told["scenes"])
        machine = f"{facts['device']} ({facts['cpu']})" if facts["device"] == "cpu" else str(facts["device"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{file} is not what `bench speed pipeline` writes: {in_words(error)}") from None
    scores = {(part.channel, m, p): Score(seconds[m]) for m in part.methods if m in seconds for p in part.psnrs}
    protocol = f"sender, channel and receiver of a scene in a batch of {batch}, one process and thread, scenes known"
    return Measured("seconds", False, protocol, None, scores, {}), machine


def _figure(
    request: Request,
    part: Part,
    name: str,
    title: str,
    labels: Mapping[str, str],
    note: str,
    spent: Mapping[str, Measured],
) -> Drawing:
    """A column for each of `labels` (cost -> axis label), a row for each metric and PSNR (else mIoU at PSNR 10)."""
    found = measured_metrics(request, part, METRICS)
    psnrs = chosen_psnrs(request, part, (PSNR,))
    look = looks(part.methods)
    notes = (
        request.provenance(part.rows),
        *interval_notes(found),
        *undrawn_notes(part, [*found, *spent.values()]),
        note,
        FRONTIER_NOTE,
        f"Protocols: {'; '.join(f'{d.metric}: {d.protocol}' for d in (*found, *spent.values()))}.",
    )
    shown = [m for m in part.methods if any(key[1] == m for one in spent.values() for key in one.scores)]
    handles = [Line2D([], [], label=m, **look[m].mark(), markersize=MARK) for m in shown]
    handles.append(Line2D([], [], label="frontier", **FRONTIER))
    places = [(data, psnr) for data in found for psnr in psnrs]
    width, height = PANEL_INCHES
    at = f" at {psnrs[0]:g} dB" if len(psnrs) == 1 else ""
    frame = framed(width * max(len(spent), 1.3), height * len(places), f"{title}{at}, {part.first('dataset')}", notes,
                   handles)  # fmt: skip
    frame.figure.set_layout_engine("constrained", rect=frame.rect, h_pad=0.05, w_pad=0.05)
    axes = frame.figure.subplots(len(places), len(spent), squeeze=False, sharey="row", sharex="col")
    for row, (data, psnr) in zip(axes, places, strict=True):
        for axis, (cost, data_spent) in zip(row, spent.items(), strict=True):
            _panel(axis, part, data, data_spent, psnr, look)
            if not axis.lines:
                say_nothing(axis)
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.xaxis.set_major_formatter(EngFormatter(unit=score_info(cost).unit, sep=" "))
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.margins(x=0.12, y=0.1)
            if axis in axes[-1]:
                axis.set_xlabel(labels[cost])
        row[0].set_ylabel(f"{axis_label(data)}{'' if len(psnrs) == 1 else f' at {psnr:g} dB'}")
    made = "" if not (request.metrics or request.psnrs) else f"-{'-'.join(d.metric for d in found)}"
    made += "" if not request.psnrs else f"@{'-'.join(f'{p:g}' for p in psnrs)}"
    return Drawing(f"{name}-{part.key}{made}", frame.figure, notes)


def _panel(axis: Any, part: Part, data: Measured, spent: Measured, psnr: float, look: Mapping[str, Look]) -> None:
    """Each method's mark with its interval, and the line of the best."""
    points: dict[str, tuple[float, Score]] = {}
    for method in part.methods:
        key = (part.channel, method, psnr)
        score, price = point(data, key), spent.scores.get(key)
        if score is not None and price is not None and 0 < price.value < math.inf:
            points[method] = (price.value, score)
    if not points:
        return
    corners = envelope(points.values(), data.higher_is_better)
    x, y = [cost for cost, _ in corners], [best.value for _, best in corners]
    end = max(cost for cost, _ in points.values())
    axis.step([*x, end], [*y, y[-1]], where="post", gid="frontier", zorder=1, **FRONTIER)
    shifts = _apart([(math.log(cost), score.value) for cost, score in points.values()])
    for (method, (cost, here)), shift in zip(points.items(), shifts, strict=True):
        beside = axis.transData + ScaledTranslation(shift / 72, 0, axis.figure.dpi_scale_trans)
        if here.interval:
            axis.plot(
                [cost] * 2, here.interval, color=look[method].colour, linewidth=1.1, transform=beside,
                gid=f"bar {method}",
            )  # fmt: skip
        axis.plot(
            [cost], [here.value], **look[method].mark(), markersize=MARK, transform=beside, gid=f"point {method}",
            zorder=3,
        )  # fmt: skip
    bars = [(cost, y) for cost, score in points.values() for y in score.interval or (score.value,)]
    axis.update_datalim(bars)  # what stands beside its place does not count by itself
    axis.autoscale_view()


def _apart(places: Sequence[tuple[float, float]]) -> list[float]:
    """How far each mark has to move sideways, in points, so that it hides none of those before it."""
    size = [72 * 0.7 * inches for inches in PANEL_INCHES]
    low = [min(place[k] for place in places) for k in (0, 1)]
    span = [max(place[k] for place in places) - low[k] or 1.0 for k in (0, 1)]
    placed: list[tuple[float, float]] = []
    shifts = []
    for place in places:
        x, y = (size[k] * (place[k] - low[k]) / span[k] for k in (0, 1))
        ways = (side * step * MARK for step in range(len(places) + 1) for side in (1, -1))
        shift = next(w for w in ways if all(abs(x + w - u) >= MARK or abs(y - v) >= MARK for u, v in placed))
        placed.append((x + shift, y))
        shifts.append(shift)
    return shifts
