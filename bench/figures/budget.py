"""Quality against channel uses, a panel a PSNR: what an equal budget buys by each way of sending."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from bench.api.errors import UsageError
from bench.api.names import base_name
from bench.api.specs import DIGITAL
from bench.figures.intervals import axis_label, interval_notes, measured_metrics, point, say_nothing, undrawn_notes
from bench.figures.style import Drawing, framed, looks
from bench.results.request import parts
from bench.results.scores import measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.figures.style import Look
    from bench.results.request import Part, Request
    from bench.results.scores import Measured, Score

METRICS = ("mIoU",)
PANEL_INCHES, COLUMNS = (2.7, 2.4), 4
ENVELOPE_NOTE = (
    "Lines: the best of a method's fixed links at each number of uses or fewer; adaptive links, whose sender knows the "
    "channel, stand apart. Uses are real symbols a scene, means over scenes."
)


def draw(request: Request) -> list[Drawing]:
    """A panel for each metric and PSNR chosen; UsageError where the results have no channel uses."""
    made = []
    for part in parts(request):
        if "channel_uses" not in set(part.rows["metric"]):
            raise UsageError("these results have no channel_uses; `bench run` writes them for every cell")
        uses = measured(part.frame, "channel_uses")
        made += [_figure(request, part, data, uses) for data in measured_metrics(request, part, METRICS)]
    return made


def _named(methods: Sequence[str]) -> dict[str, Look]:
    """A look for each way of sending: a method's links share one, analogue ways have their own."""
    ways = list(dict.fromkeys(_way(method) for method in methods))
    return looks(ways)


def _way(method: str) -> str:
    """What a point belongs to: its method, `+digital` where a link carries it, its budget and scheme aside."""
    name = base_name(method)
    return f"{name}{DIGITAL}" if DIGITAL in method else method.partition(":uses=")[0]


def _figure(request: Request, part: Part, data: Measured, uses: Measured) -> Drawing:
    psnrs = [p for p in part.psnrs if not request.psnrs or p in request.psnrs]
    look = _named(part.methods)
    notes = (
        request.provenance(part.rows),
        *interval_notes([data]),
        *undrawn_notes(part, [data, uses]),
        ENVELOPE_NOTE,
        f"Protocol: {data.protocol}.",
    )
    handles = [Line2D([], [], label=way, **one.mark(), markersize=6) for way, one in look.items()]
    columns = min(COLUMNS, len(psnrs))
    rows = -(-len(psnrs) // columns)
    width, height = PANEL_INCHES
    title = f"{data.metric} against channel uses, {part.first('dataset')}"
    frame = framed(max(width * columns, 5.0), height * rows, title, notes, handles)
    frame.figure.set_layout_engine("constrained", rect=frame.rect, h_pad=0.05, w_pad=0.05)
    axes = frame.figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flatten()
    for axis, psnr in zip(axes, psnrs, strict=False):
        _panel(axis, part, data, uses, psnr, look)
        axis.set_title(f"PSNR {psnr:g} dB")
    for axis in axes[len(psnrs) :]:
        axis.set_visible(False)
    for axis in axes[:: max(columns, 1)]:
        axis.set_ylabel(axis_label(data))
    for axis in axes[len(psnrs) - columns : len(psnrs)]:
        axis.set_xlabel("channel uses a scene")
        axis.tick_params(labelbottom=True)
    return Drawing(f"budget-{part.key}-{data.metric}", frame.figure, notes)


def _panel(axis: Any, part: Part, data: Measured, uses: Measured, psnr: float, look: Mapping[str, Look]) -> None:
    by_way: dict[str, list[tuple[float, Score]]] = {}
    for method in part.methods:
        key = (part.channel, method, psnr)
        here, spent = point(data, key), uses.scores.get(key)
        if here is None or spent is None or not 0 < spent.value < math.inf:
            continue
        one = look[_way(method)]
        if here.interval:
            axis.plot([spent.value] * 2, here.interval, color=one.colour, linewidth=1.0, gid=f"bar {method}")
        adaptive = "adaptive" in method
        axis.plot([spent.value], [here.value], **{**one.mark(), **({"fillstyle": "none"} if adaptive else {})},
                  markersize=5, gid=f"point {method}", zorder=3)  # fmt: skip
        if DIGITAL in method and not adaptive:
            by_way.setdefault(_way(method), []).append((spent.value, here))
    for way, points in by_way.items():
        if len(points) > 1:
            x, y = _envelope(points, data.higher_is_better)
            axis.step(x, y, where="post", color=look[way].colour, linewidth=1.2, gid=f"envelope {way}")
    if not axis.lines:
        say_nothing(axis)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(numticks=6))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.margins(x=0.1, y=0.08)


def _envelope(points: Sequence[tuple[float, Score]], higher_is_better: bool) -> tuple[list[float], list[float]]:
    """The best value at each number of uses or fewer, as corners of steps."""
    best, corners = -math.inf if higher_is_better else math.inf, []
    for spent, score in sorted(points, key=lambda pair: pair[0]):
        if (score.value > best) is higher_is_better and score.value != best:
            best = score.value
        corners.append((spent, best))
    return [x for x, _ in corners], [y for _, y in corners]
