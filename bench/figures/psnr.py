"""Metrics against PSNR with 95 % bands, and the paper's curve dashed: Tables 1 to 3 as curves.

Further trainings of a method have no curves of their own: a capped bar at its curve reaches over all of them.
Few methods share a panel for each metric. More than `TOGETHER` would hide each other: then each family of methods gets
a panel of its own in which all the others are grey, and each metric a figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from bench.api.names import by_training
from bench.api.scenes import facts_of
from bench.api.scores import declared_scores, score_info, shown_always
from bench.figures.intervals import axis_label, interval_notes, measured_metrics, point, say_nothing, undrawn_notes
from bench.figures.style import PAPER_LINE, Drawing, Framed, Look, families, framed, looks, paper_handle
from bench.results.published import paper_values
from bench.results.request import Part, Request, chosen_psnrs, parts
from bench.tables.build import PAPER_TABLES

if TYPE_CHECKING:
    from bench.results.scores import Measured

#: Most methods that share a panel.
TOGETHER = 4
PANEL_INCHES = (3.1, 2.5)
SMALL_INCHES = (2.3, 1.95)
#: Small panels side by side.
ACROSS = 4

#: (method, PSNR) -> the paper's value
Published = Mapping[tuple[str, float | None], float]
#: method -> all its trainings, itself the first
Trainings = Mapping[str, Sequence[str]]


def draw(request: Request) -> list[Drawing]:
    """A figure for each set of scenes and channel convention; with many methods one for each metric too."""
    made = []
    for part in parts(request):
        # what could be drawn is named where the results hold none of it
        default = shown_always(part.rows["metric"].unique()) or shown_always(info.name for info in declared_scores())
        found = measured_metrics(request, part, default)
        psnrs = chosen_psnrs(request, part, part.psnrs)[::-1]
        trained = {own[0]: own for own in by_training(part.methods).values()}
        look = looks(list(trained))
        if len(trained) <= TOGETHER:
            name = f"-{'-'.join(d.metric for d in found)}" if request.metrics else ""
            made.append(_together(request, part, found, psnrs, trained, look, f"psnr-{part.key}{name}"))
        else:
            made += [_by_family(request, part, d, psnrs, trained, look, f"psnr-{part.key}-{d.metric}") for d in found]
    return made


def _training_note(trained: Trainings) -> str:
    several = {method: len(own) for method, own in trained.items() if len(own) > 1}
    if not several:
        return "How far another training moves a curve is unknown."
    others = "" if len(several) == len(trained) else " Of the others it is unknown."
    told = ", ".join(f"{method} ({count})" for method, count in several.items())
    return f"Capped bars: from the lowest to the highest of several trainings, {told}.{others}"


def _published(part: Part, data: Measured) -> tuple[Published, str]:
    """The paper's values that may stand beside ours, and a sentence on what they are (or why they are lacking)."""
    dataset = str(part.first("dataset"))
    values = paper_values(dataset, data.metric, PAPER_TABLES)
    numbers = {place: v.value for place, v in values.items() if v.value is not None and place[0] in part.methods}
    if not numbers:
        return {}, ""
    counterpart = str(facts_of(dataset).counterpart)
    name = facts_of(counterpart).title
    if score_info(data.metric).substitute:
        return (
            {},
            f"The paper's {score_info(data.metric).published} is another distance than {data.metric} and is not drawn.",
        )
    if dataset == counterpart:
        return numbers, f"Dashed: the paper's values on {name}."
    return numbers, (
        f"Dashed: the paper's values on {name}, for orientation only: `{dataset}` is not {name} (scenes rendered by "
        f"this project at {part.first('size')}, small networks, our own judges)."
    )


def _notes(
    request: Request, part: Part, found: Sequence[Measured], trained: Trainings, paper: Sequence[str]
) -> tuple[str, ...]:
    references = ", ".join(f"{d.metric} {reference:.3g}" for d in found if (reference := _reference(d)) is not None)
    return (
        request.provenance(part.rows),
        *interval_notes(found),
        _training_note(trained),
        *undrawn_notes(part, found),
        *dict.fromkeys(filter(None, paper)),
        *([f"Dotted: pure noise ({references})."] if references else []),
        f"Protocols: {'; '.join(f'{d.metric}: {d.protocol}' for d in found)}.",
    )


def _reference(data: Measured) -> float | None:
    """What the metric says of pure noise, None where that is unknown, undefined or infinite."""
    return data.reference if data.reference is not None and math.isfinite(data.reference) else None


def _curve(axis: Any, part: Part, data: Measured, psnrs: Sequence[float], method: str, look: Look) -> None:
    """One method with its band. PSNRs stand at even distances: 100 means "no noise", not five times 20."""
    points = [(k, p) for k, psnr in enumerate(psnrs) if (p := point(data, (part.channel, method, psnr)))]
    axis.plot(
        [k for k, _ in points], [p.value for _, p in points], label=method, **look.curve(),
        gid=f"curve {method}", zorder=3,
    )  # fmt: skip
    ends = [(k, *(p.interval or (math.nan, math.nan))) for k, p in points]
    bars = [end for end in ends if math.isfinite(end[1])]
    axis.vlines(*([end[n] for end in bars] for n in range(3)), color=look.colour, linewidth=1.0, gid=f"bar {method}")
    if bars:
        axis.fill_between(
            *zip(*ends, strict=True), color=look.colour, alpha=0.22, linewidth=0, gid=f"band {method}"
        )  # fmt: skip


def _training_bar(
    axis: Any, part: Part, data: Measured, psnrs: Sequence[float], own: Sequence[str], look: Look
) -> None:
    """From the lowest to the highest of a method's trainings; nothing of one."""
    first = own[0]
    for k, psnr in enumerate(psnrs):
        found = [p.value for method in own if (p := point(data, (part.channel, method, psnr)))]
        if len(found) > 1:
            middle, reach = (max(found) + min(found)) / 2, (max(found) - min(found)) / 2
            axis.errorbar(
                k, middle, reach, fmt="none", ecolor=look.colour, elinewidth=0.6, capsize=2.4, capthick=0.6, zorder=2
            )[2][0].set_gid(f"trainings {first} {psnr:g}")


def _paper_curve(axis: Any, published: Published, psnrs: Sequence[float], method: str, look: Look) -> bool:
    points = [(k, published[method, psnr]) for k, psnr in enumerate(psnrs) if (method, psnr) in published]
    if points:
        axis.plot(
            *zip(*points, strict=True), **{**look.mark(), "linestyle": PAPER_LINE, "markerfacecolor": "white"},
            linewidth=1.0, markersize=2.8, gid=f"paper {method}",
        )  # fmt: skip
    return bool(points)


def _context(axis: Any, part: Part, data: Measured, psnrs: Sequence[float], method: str) -> None:
    """A method of another family, in grey."""
    line = [(k, p.value) for k, psnr in enumerate(psnrs) if (p := point(data, (part.channel, method, psnr)))]
    if line:
        axis.plot(*zip(*line, strict=True), color="0.82", linewidth=0.7, gid=f"context {method}", zorder=1)


def _finish(axis: Any, data: Measured, psnrs: Sequence[float]) -> None:
    axis.set_xticks(range(len(psnrs)), [f"{psnr:g}" for psnr in psnrs])
    axis.set_xlim(-0.35, len(psnrs) - 0.65)
    reference = _reference(data)
    if reference is not None:
        axis.axhline(reference, color="0.45", linestyle=":", linewidth=1, gid="pure noise", zorder=1)
    low, high = axis.dataLim.intervaly
    if low > high:  # nothing is drawn
        axis.set_ylim(0, 1)
        axis.set_yticks([])
        say_nothing(axis)
    elif low >= 0 and high > 0:
        axis.set_ylim(-0.04 * high, 1.06 * high)  # zero in sight, and its markers whole


def _together(
    request: Request, part: Part, found: Sequence[Measured], psnrs: Sequence[float], trained: Trainings,
    look: Mapping[str, Look], stem: str,
) -> Drawing:  # fmt: skip
    published = [_published(part, data) for data in found]
    notes = _notes(request, part, found, trained, [sentence for _, sentence in published])
    handles = [Line2D([], [], label=m, **look[m].curve()) for m in trained]
    if any(values for values, _ in published):
        handles.append(paper_handle())
    width, height = PANEL_INCHES
    frame = framed(width * max(len(found), 2), height, f"Quality against PSNR, {part.first('dataset')}", notes, handles)
    for axis, data, (values, _) in zip(_axes(frame, 1, len(found)), found, published, strict=True):
        for method, own in trained.items():
            _paper_curve(axis, values, psnrs, method, look[method])
            _curve(axis, part, data, psnrs, method, look[method])
            _training_bar(axis, part, data, psnrs, own, look[method])
        _finish(axis, data, psnrs)
        axis.set_ylabel(axis_label(data))
        axis.set_xlabel("PSNR of the channel (dB)")
    return Drawing(stem, frame.figure, notes)


def _axes(frame: Framed, rows: int, columns: int, shared: bool = False) -> list[Any]:
    frame.figure.set_layout_engine("constrained", rect=frame.rect, h_pad=0.05, w_pad=0.05)
    axes = frame.figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared)
    return [axis for row in axes for axis in row]


def _by_family(
    request: Request, part: Part, data: Measured, psnrs: Sequence[float], trained: Trainings,
    look: Mapping[str, Look], stem: str,
) -> Drawing:  # fmt: skip
    grouped = families(list(trained))
    values, sentence = _published(part, data)
    notes = _notes(request, part, [data], trained, [sentence, "Grey: the other methods."])
    columns = min(ACROSS, len(grouped))
    rows = -(-len(grouped) // columns)
    most = max(len(members) for members in grouped.values()) + 1
    height = rows * (SMALL_INCHES[1] + 0.14 * -(-most // 2))
    title = f"{axis_label(data)} against PSNR, {part.first('dataset')}"
    frame = framed(SMALL_INCHES[0] * columns, height, title, notes)
    axes = _axes(frame, rows, columns, shared=True)
    for axis, members in zip(axes, grouped.values(), strict=False):
        for method in [m for m in trained if m not in members]:
            _context(axis, part, data, psnrs, method)
        dashed = False
        for method in members:
            dashed |= _paper_curve(axis, values, psnrs, method, look[method])
            _curve(axis, part, data, psnrs, method, look[method])
            _training_bar(axis, part, data, psnrs, trained[method], look[method])
        handles, labels = axis.get_legend_handles_labels()
        if dashed:
            handles, labels = [*handles, paper_handle(look[members[0]].colour)], [*labels, "paper"]
        axis.legend(
            handles, labels, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, fontsize=6.5, frameon=False,
            borderaxespad=0.1, handlelength=2.4, columnspacing=0.9, labelspacing=0.25, handletextpad=0.5,
        )  # fmt: skip
    for axis in axes[: len(grouped)]:
        _finish(axis, data, psnrs)
    for number, axis in enumerate(axes):
        if number >= len(grouped):
            axis.set_axis_off()
        elif number + columns >= len(grouped):
            axis.set_xlabel("PSNR of the channel (dB)")
            axis.tick_params(labelbottom=True)
        if number % columns == 0:
            axis.set_ylabel(axis_label(data))
    return Drawing(stem, frame.figure, notes)
