"""Outage against PSNR, and beside it what is left of quality: lost scenes count with what the receiver shows instead.

A row for each method that sends blocks. Colours and the markers' filling say the link, lines the codec, markers the
budget: so links can be told apart in print without colours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from scipy.stats import binomtest

from bench.api.errors import UsageError
from bench.api.names import carried, option_in
from bench.api.specs import DEFAULT_LINK, DIGITAL, LINK, USES
from bench.figures.intervals import axis_label, interval_notes, measured_metrics, point, say_nothing, undrawn_notes
from bench.figures.style import MARKERS, Drawing, framed, palette
from bench.results.request import chosen_psnrs, parts, peak_levels
from bench.tables.build import seed_notes
from metrics.stats.significance import LEVEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from bench.results.request import Part, Request

LOST = "block_lost"
METRICS = ("mIoU",)
PANEL_INCHES = (3.1, 2.1)
#: Rows up to which panels are that high, and how high they are beyond.
FEW, LOW_INCHES = 3, 1.55
#: How far curves stand apart, and how far all of a panel at most, in distances of two PSNRs.
APART, MOST_APART = 0.07, 0.4
CODEC_LINES: tuple[Any, ...] = ("-", "-.", ":", (0, (8, 3)), (0, (3, 1)))
#: How markers are filled, by the link.
FILLINGS = ("full", "none", "left", "bottom", "right", "top")
OUTAGE_NOTE = (
    "Outage: the share of lost blocks, one a scene and seed, {trials}; {level:.0%} intervals by Wilson, as "
    "if blocks were lost independently. Curves stand a little apart so that none hides another."
)
QUALITY_NOTE = (
    "Quality is over all scenes: one whose block is lost counts with what its receiver shows then (the picture of an "
    "empty map, or grey). Methods without blocks are left out."
)

#: (method, PSNR) -> (blocks lost, blocks sent)
Counts = dict[tuple[str, float], tuple[int, int]]


def draw(request: Request) -> list[Drawing]:
    """A figure for each set of scenes and channel; UsageError where no block was sent."""
    found = [(part, rows) for part in parts(request) if len(rows := part.rows[part.rows["metric"] == LOST])]
    if not found:
        raise UsageError(
            f"these results have no {LOST}, which links have: `bench run --methods oasis+digital` sends blocks"
        )
    return [_figure(request, part, rows) for part, rows in found]


def wilson(lost: int, sent: int) -> tuple[float, float]:
    """The interval of a share, by Wilson's score (1927)."""
    ends = binomtest(lost, sent).proportion_ci(LEVEL, method="wilson")
    return float(ends.low), float(ends.high)


def _counts(rows: pd.DataFrame) -> Counts:
    """Blocks of each method and PSNR, of all seeds together; values that are no shares are left out."""
    return {
        (str(method), float(str(psnr))): (round(float((own["value"] * own["scenes"]).sum())), int(own["scenes"].sum()))
        for (method, psnr), own in rows.groupby(["method", "psnr"], sort=False)
        if own["value"].between(0, 1).all()
    }


class _Looks:
    """How curves differ: the link has a colour and a filling, the codec a line, the budget a marker."""

    def __init__(self, specs: Sequence[str]) -> None:
        self.links, self.codecs = (list(dict.fromkeys(map(read, specs))) for read in (_link, _codec))
        self.budgets = list(dict.fromkeys(map(_budget, sorted(specs, key=_uses))))

    def link(self, link: str) -> dict[str, Any]:
        number = self.links.index(link)
        filling = FILLINGS[number % len(FILLINGS)]
        return {"color": palette()[number % 10], "fillstyle": filling, "markerfacecoloralt": "white"}

    def curve(self, link: str, codec: str, budget: str) -> dict[str, Any]:
        return {
            **self.link(link),
            "linestyle": CODEC_LINES[self.codecs.index(codec) % len(CODEC_LINES)],
            "marker": MARKERS[self.budgets.index(budget) % len(MARKERS)],
        }

    def handles(self) -> list[Line2D]:
        """The legend; codecs and budgets are named where there are several."""
        plain: dict[str, Any] = {"linewidth": 1.4, "markersize": 4.5}
        made = [Line2D([], [], label=link, marker="o", **self.link(link), **plain) for link in self.links]
        grey: dict[str, Any] = {"color": "0.35", **plain}
        if len(self.codecs) > 1:
            made += [Line2D([], [], label=codec, linestyle=CODEC_LINES[k % len(CODEC_LINES)], **grey)
                     for k, codec in enumerate(self.codecs)]  # fmt: skip
        if len(self.budgets) > 1:
            made += [Line2D([], [], label=budget, linestyle="none", marker=MARKERS[k % len(MARKERS)], **grey)
                     for k, budget in enumerate(self.budgets)]  # fmt: skip
        return made


def _link(spec: str) -> str:
    return (option_in(spec, LINK) or DEFAULT_LINK) if DIGITAL in spec else "analogue behind a coded header"


def _codec(spec: str) -> str:
    return option_in(spec, "codec") or "the method's own codec"


def _budget(spec: str) -> str:
    return f"{_uses(spec):,} uses" if _uses(spec) else "uses as needed"


def _uses(spec: str) -> int:
    uses = option_in(spec, USES) or ""
    return int(uses) if uses.isdecimal() else 0


def _figure(request: Request, part: Part, rows: pd.DataFrame) -> Drawing:
    counts, specs = _counts(rows), [str(method) for method in rows["method"].drop_duplicates()]
    methods = list(dict.fromkeys(map(carried, specs)))
    psnrs = chosen_psnrs(request, part, part.psnrs)[::-1]
    found = measured_metrics(request, part, METRICS)
    look = _Looks(specs)
    notes = (
        request.provenance(part.rows),
        *seed_notes(part.rows),
        f"Behind these PSNRs: {peak_levels(part.rows, psnrs)}.",
        OUTAGE_NOTE.format(trials=_trials(rows, counts), level=LEVEL),
        QUALITY_NOTE,
        *interval_notes(found),
        *undrawn_notes(part, found),
        f"Protocols: {'; '.join(f'{d.metric}: {d.protocol}' for d in found)}.",
    )
    width, height = PANEL_INCHES if len(methods) <= FEW else (PANEL_INCHES[0], LOW_INCHES)
    columns = 1 + len(found)
    frame = framed(width * columns, height * len(methods), f"Outage and what it costs, {part.first('dataset')}", notes,
                   look.handles())  # fmt: skip
    frame.figure.set_layout_engine("constrained", rect=frame.rect, h_pad=0.05, w_pad=0.05)
    axes = frame.figure.subplots(len(methods), columns, squeeze=False, sharex=True, sharey="col")
    for row, method in zip(axes, methods, strict=True):
        own = [spec for spec in specs if carried(spec) == method]
        step = min(APART, MOST_APART / len(own))
        for number, spec in enumerate(own):
            places = [k + step * (number - (len(own) - 1) / 2) for k in range(len(psnrs))]
            style = look.curve(_link(spec), _codec(spec), _budget(spec))
            lost = {psnr: counts.get((spec, psnr)) for psnr in psnrs}
            shares = [(x, c[0] / c[1], wilson(*c)) for x, c in zip(places, lost.values(), strict=True) if c]
            _curve(row[0], spec, shares, style)
            for axis, data in zip(row[1:], found, strict=True):
                scores = [point(data, (part.channel, spec, psnr)) for psnr in psnrs]
                _curve(axis, spec, [(x, s.value, s.interval) for x, s in zip(places, scores, strict=True) if s], style)
        for axis in row:
            if not any(len(line.get_xdata()) for line in axis.lines):
                say_nothing(axis)
        row[0].set_title(method, loc="left")
        row[0].set_ylabel("outage")
        for axis, data in zip(row[1:], found, strict=True):
            axis.set_ylabel(axis_label(data))
    for axis in axes[0][1:]:
        axis.set_title("over all scenes, lost ones too")
    axes[0][0].set_ylim(-0.04, 1.04)
    for axis in axes[-1]:
        axis.set_xticks(range(len(psnrs)), [f"{psnr:g}" for psnr in psnrs])
        axis.set_xlim(-0.35, len(psnrs) - 0.65)
        axis.set_xlabel("PSNR of the channel (dB)")
    return Drawing(f"outage-{part.key}", frame.figure, notes)


def _trials(rows: pd.DataFrame, counts: Counts) -> str:
    """How many blocks a point is of: scenes times seeds."""
    scenes, sent = int(rows["scenes"].iloc[0]), sorted({sent for _, sent in counts.values()})
    words = " or ".join(f"{scenes:,} scenes x {number // scenes} seed(s) = {number:,} blocks" for number in sent)
    return words or "undefined here"


def _curve(
    axis: Any, spec: str, points: Sequence[tuple[float, float, tuple[float, float] | None]], style: Mapping[str, Any]
) -> None:
    """Points (place, value, interval) as a line with bars."""
    bars = [(x, *ends) for x, _, ends in points if ends]
    axis.vlines(*([bar[n] for bar in bars] for n in range(3)), color=style["color"], linewidth=1.0, gid=f"bar {spec}")
    axis.plot([x for x, _, _ in points], [y for _, y, _ in points], **style, linewidth=1.2, markersize=4,
              gid=f"curve {spec}")  # fmt: skip
