"""Quality against channel uses, a panel a PSNR: what an equal budget buys by each way of sending."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from bench.api.errors import UsageError
from bench.api.names import carried, option_in, way_of
from bench.api.specs import DEFAULT_LINK, DIGITAL, LINK
from bench.figures.envelope import crossings, envelope
from bench.figures.intervals import axis_label, interval_notes, measured_metrics, point, say_nothing, undrawn_notes
from bench.figures.style import MARKERS, Drawing, framed, palette
from bench.links.scheme import ADAPTIVE, SWITCHING
from bench.results.request import chosen_psnrs, parts, peak_levels
from bench.results.scores import measured
from bench.tables.build import seed_notes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.figures.envelope import Envelope
    from bench.results.request import Part, Request
    from bench.results.scores import Measured, Score

METRICS = ("mIoU", "LPIPS", "FID")
PANEL_INCHES, COLUMNS = (2.9, 2.4), 4
#: Lines of envelopes: of symbols as they are, of a link with the method's own codec, and of links with others.
ANALOGUE_LINE: Any = ":"
OWN_LINE: Any = "-"
CODEC_LINES: tuple[Any, ...] = ("-.", (0, (8, 3)), (0, (3, 1)), (0, (6, 1, 1, 1, 1, 1)), (0, (12, 2, 2, 2)))
ENVELOPE_NOTE = (
    "Lines: the best that a way of sending has at so many uses or fewer, of fixed schemes only, chosen at each PSNR, "
    "and on to the right as what it was. Hollow: adaptive links, whose sender knows the channel."
)
CROSSING_NOTE = (
    "A cross, with its uses: from there on another line is the best; marked only where the intervals of both are apart "
    "on either side."
)
FRAME_NOTE = (
    "A frame is three bytes of length, the payload, zeros up to the next transport block size (TS 38.214) and its CRC; "
    "all of it is coded, sent and counted. Receivers know the scheme and are told nothing of the noise."
)


def draw(request: Request) -> list[Drawing]:
    """A figure for each metric, a panel for each PSNR chosen; UsageError where the results have no channel uses."""
    made = []
    for part in parts(request):
        if "channel_uses" not in set(part.rows["metric"]):
            raise UsageError("these results have no channel_uses; `bench run` writes them for every cell")
        uses = measured(part.frame, "channel_uses")
        made += [_figure(request, part, data, uses) for data in measured_metrics(request, part, METRICS)]
    return made


class _Looks:
    """Colour and marker say the method, the line what is sent, a half-filled marker symbols as they are."""

    def __init__(self, methods: Sequence[str]) -> None:
        self.methods = list(dict.fromkeys(carried(spec) for spec in methods))
        self.codecs = list(dict.fromkeys(filter(None, (option_in(spec, "codec") for spec in methods))))
        self.analogue = any(DIGITAL not in spec for spec in methods)
        self.own = any(DIGITAL in spec and not option_in(spec, "codec") for spec in methods)
        self.adaptive = any(_adaptive(spec) for spec in methods)

    def colour(self, spec: str) -> Any:
        return palette()[self.methods.index(carried(spec)) % 10]

    def line(self, spec: str) -> Any:
        codec = option_in(spec, "codec")
        if DIGITAL not in spec:
            return ANALOGUE_LINE
        return CODEC_LINES[self.codecs.index(codec) % len(CODEC_LINES)] if codec else OWN_LINE

    def mark(self, spec: str) -> dict[str, Any]:
        number = self.methods.index(carried(spec))
        filling = "left" if DIGITAL not in spec else "none" if _adaptive(spec) else "full"
        return {
            "color": self.colour(spec), "marker": MARKERS[number % len(MARKERS)], "fillstyle": filling,
            "markerfacecoloralt": "white", "markeredgewidth": 0.9, "linestyle": "none",
        }  # fmt: skip

    def handles(self) -> list[Line2D]:
        """The legend: methods, then what lines and fillings say, in grey."""
        made = [Line2D([], [], label=m, **self.mark(f"{m}{DIGITAL}"), markersize=6) for m in self.methods]
        grey: dict[str, Any] = {"color": "0.35", "linewidth": 1.1, "markersize": 5, "markerfacecoloralt": "white"}
        if self.analogue:
            made.append(Line2D([], [], label="analogue", linestyle=ANALOGUE_LINE, marker="o", fillstyle="left", **grey))
        if self.own:
            made.append(Line2D([], [], label="fixed link", linestyle=OWN_LINE, marker="o", **grey))
        made += [
            Line2D([], [], label=f"fixed link, {codec}", linestyle=CODEC_LINES[k % len(CODEC_LINES)], **grey)
            for k, codec in enumerate(self.codecs)
        ]
        if self.adaptive:
            made.append(Line2D([], [], label="adaptive link", linestyle="none", marker="o", fillstyle="none", **grey))
        return made


def _adaptive(spec: str) -> bool:
    return option_in(spec, LINK) == ADAPTIVE


def _figure(request: Request, part: Part, data: Measured, uses: Measured) -> Drawing:
    psnrs = chosen_psnrs(request, part, part.psnrs)
    look = _Looks(part.methods)
    columns = min(COLUMNS, len(psnrs))
    rows = -(-len(psnrs) // columns)
    points = {psnr: _points(part, data, uses, psnr) for psnr in psnrs}
    lines = {psnr: _envelopes(points[psnr], data.higher_is_better) for psnr in psnrs}
    crossed = {psnr: crossings(lines[psnr], data.higher_is_better) for psnr in psnrs}
    told = [
        f"{psnr:g} dB: {one.after} passes {one.before} at {one.uses:,.0f} uses (intervals apart at {one.low:,.0f} and "
        f"{one.high:,.0f})"
        for psnr, found in crossed.items() for one in found
    ]  # fmt: skip
    notes = (
        request.provenance(part.rows),
        *seed_notes(part.rows),
        f"Behind these PSNRs: {peak_levels(part.rows, psnrs)}.",
        *interval_notes([data]),
        *undrawn_notes(part, [data, uses]),
        ENVELOPE_NOTE,
        *([CROSSING_NOTE, f"Crossings: {'; '.join(told)}."] if told else []),
        *_cost_notes(part),
        f"Protocol: {data.protocol}.",
    )
    width, height = PANEL_INCHES
    title = f"{data.metric} against channel uses, {part.first('dataset')}"
    frame = framed(max(width * columns, 5.0), height * rows, title, notes, look.handles())
    frame.figure.set_layout_engine("constrained", rect=frame.rect, h_pad=0.05, w_pad=0.05)
    axes = frame.figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flatten()
    for axis, psnr in zip(axes, psnrs, strict=False):
        _panel(axis, points[psnr], lines[psnr], look)
        for one in crossed[psnr]:
            axis.plot([one.uses], [one.value], "x", color="black", markersize=6, zorder=5, gid=f"crossing {one.after}")
            axis.annotate(
                _SHORT(one.uses), (one.uses, one.value), (5, 0), textcoords="offset points", size=6.5, va="center",
                zorder=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
            )  # fmt: skip
        axis.set_title(f"PSNR {psnr:g} dB")
    for axis in axes[len(psnrs) :]:
        axis.remove()
    for axis in axes[:: max(columns, 1)]:
        axis.set_ylabel(axis_label(data))
    for axis in axes[len(psnrs) - columns : len(psnrs)]:
        axis.set_xlabel("real channel uses a scene")
        axis.tick_params(labelbottom=True)
    return Drawing(f"budget-{part.key}-{data.metric}", frame.figure, notes)


_SHORT = EngFormatter(places=1, sep="")
_TICK = EngFormatter(sep="")


def _points(part: Part, data: Measured, uses: Measured, psnr: float) -> dict[str, tuple[float, Score]]:
    """(channel uses, score) of each method that has both at a PSNR."""
    found = {}
    for method in part.methods:
        key = (part.channel, method, psnr)
        here, spent = point(data, key), uses.scores.get(key)
        if here is not None and spent is not None and 0 < spent.value < math.inf:
            found[method] = (spent.value, here)
    return found


def _envelopes(points: Mapping[str, tuple[float, Score]], higher_is_better: bool) -> dict[str, Envelope]:
    """The envelope of each way of sending, of its fixed schemes."""
    by_way: dict[str, list[tuple[float, Score]]] = {}
    for method, one in points.items():
        if not _adaptive(method):
            by_way.setdefault(way_of(method), []).append(one)
    return {way: envelope(found, higher_is_better) for way, found in by_way.items()}


def _cost_notes(part: Part) -> list[str]:
    """What a use is, and how much power the methods put into one."""
    height, width = (int(side) for side in str(part.first("size")).split("x"))
    links = dict.fromkeys(option_in(method, LINK) or DEFAULT_LINK for method in part.methods if DIGITAL in method)
    words = [
        "Uses are real symbols a scene, means over scenes, two of them one complex symbol; bandwidth ratio: uses over "
        f"{6 * height * width:,}."
    ]
    if (part.rows["metric"] == "mean_power").any():
        scores = measured(part.frame, "mean_power").scores
        low, high = np.quantile([one.value for key, one in scores.items() if key[0] == part.channel], [0, 1])
        alike = f"{low:.2g}" == f"{high:.2g}"
        power = f"{low:.2g} P" if alike else f"{low:.2g} to {high:.2g} P, so equal uses are not equal energy"
        words.append(f"The mean power of a use is {power}.")
    if links:
        words.append(f"Links (modulation@code rate, 5G LDPC): {', '.join(links)}.")
        if ADAPTIVE in links:
            words.append(f"adaptive: the most efficient of {', '.join(SWITCHING)} that holds.")
        words.append(FRAME_NOTE)
    return words


def _panel(axis: Any, points: Mapping[str, tuple[float, Score]], lines: Mapping[str, Envelope], look: _Looks) -> None:
    end = max((spent for spent, _ in points.values()), default=1.0)
    for method, (spent, here) in points.items():
        if here.interval:
            axis.plot([spent] * 2, here.interval, color=look.colour(method), linewidth=0.8, gid=f"bar {method}")
        axis.plot([spent], [here.value], **look.mark(method), markersize=4.5, gid=f"point {method}", zorder=3)
    for way, line in lines.items():
        x, y = [spent for spent, _ in line], [score.value for _, score in line]
        axis.step(
            [*x, end], [*y, y[-1]], where="post", color=look.colour(way), linestyle=look.line(way), linewidth=1.1,
            gid=f"envelope {way}",
        )  # fmt: skip
    if not points:
        say_nothing(axis)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(numticks=6))
    axis.xaxis.set_major_formatter(_TICK)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.margins(x=0.1, y=0.08)
