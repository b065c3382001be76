"""Quality against what it costs, one point a method with its 95 % interval: the figures `bits` and `seconds`."""

import math
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from bench.api.scores import score_info
from bench.figures.intervals import axis_label, interval_notes, measured_metrics, point, say_nothing, undrawn_notes
from bench.figures.style import Drawing, Look, framed, looks
from bench.results.request import PSNR, Part, Request, chosen_psnrs, parts
from bench.results.scores import Measured, measured

METRICS = ("mIoU",)
SENT = {"bits": "bits a scene (digital payload)", "channel_uses": "channel uses a scene (real symbols)"}
PANEL_INCHES = (3.5, 2.7)


def draw_bits(request: Request) -> list[Drawing]:
    """Against bits of the digital payload and against analogue channel uses (the claim of section 4.2): two panels."""
    return _tradeoff(request, "bits", SENT, "Quality against what is sent", "Costs are means over scenes.")


def draw_seconds(request: Request) -> list[Drawing]:
    """Against seconds a picture, one panel; the notes name the machine, since seconds belong to it."""
    facts = request.facts
    devices = ", ".join(str(d) for d in facts.get("devices") or ["unknown device"])
    machine = f"{devices} ({facts['cpu']})" if facts.get("cpu") and devices == "cpu" else devices
    jobs = f", {facts['jobs']} worker(s) at once" if facts.get("jobs") else ""
    costs = {"seconds": "seconds a picture, on one worker"}
    return _tradeoff(request, "seconds", costs, "Quality against time", f"Time measured on {machine}{jobs}.")


def _tradeoff(request: Request, name: str, costs: dict[str, str], title: str, note: str) -> list[Drawing]:
    """A column for each of `costs` (metric -> axis label), a row for each metric and PSNR (else mIoU at PSNR 10).

    `note` is about the costs. UsageError where the results have none of them.
    """
    return [_figure(request, part, name, title, costs, note) for part in parts(request)]


def _figure(request: Request, part: Part, name: str, title: str, labels: dict[str, str], note: str) -> Drawing:
    spent = {cost: measured(part.frame, cost) for cost in labels}
    found = measured_metrics(request, part, METRICS)
    psnrs = chosen_psnrs(request, part, (PSNR,))
    look = looks(part.methods)
    notes = (
        request.provenance(part.rows),
        *interval_notes(found),
        *undrawn_notes(part, [*found, *spent.values()]),
        note,
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
            axis.xaxis.set_major_formatter(EngFormatter(unit=score_info(cost).unit, sep=" "))
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
    here, cost = point(data, key), spent.scores.get(key)
    if here is None or cost is None or not 0 < cost.value < math.inf:
        return
    if here.interval:
        axis.plot([cost.value] * 2, here.interval, color=look.colour, linewidth=1.1, gid=f"bar {method}")
    axis.plot([cost.value], [here.value], **look.mark(), markersize=6, gid=f"point {method}", zorder=3)
