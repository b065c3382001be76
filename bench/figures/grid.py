"""Pictures in rows and columns with headings, row labels, captions below them and boxes drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

from bench.figures.style import MARGIN, framed, line_height, text_width

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

GAP = 0.05
#: Inches between blocks of rows.
BLOCK_GAP = 0.16
#: Width of a figure, where its pictures are neither narrower nor wider than these.
WIDTH, NARROWEST, WIDEST = 10.0, 1.1, 2.3
HEADING_POINTS, LABEL_POINTS, CAPTION_POINTS = 7.5, 7.5, 6.5


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of its picture (x0, y0, x1, y1), with a name and a colour (RGB, 0..1)."""

    corners: tuple[float, float, float, float]
    name: str
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Panel:
    """One picture: `image` (H, W, 3) uint8, the words below it (a line each), and boxes."""

    image: np.ndarray
    caption: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class PanelRow:
    """Panels from left to right, None where there is none; `starts_block` leaves a gap above."""

    label: str
    panels: tuple[Panel | None, ...]
    starts_block: bool = False


def draw_grid(title: str, headings: Sequence[str], rows: Sequence[PanelRow], notes: Sequence[str]) -> Figure:
    """A figure of `rows`, each with a panel a heading (lines separated by newlines); a legend names the boxes."""
    named = {box.name: box.colour for row in rows for panel in row.panels if panel for box in panel.boxes}
    handles = [Line2D([], [], color=colour, linewidth=2, label=name) for name, colour in sorted(named.items())]
    height, width = next(p for row in rows for p in row.panels if p is not None).image.shape[:2]
    left = max((text_width(line, LABEL_POINTS) for row in rows for line in row.label.split("\n")), default=0.0)
    left = MARGIN + (left + 0.1 if left else 0.0)
    wide = (WIDTH - left - MARGIN) / len(headings) - GAP
    words = [text_width(line, HEADING_POINTS) for heading in headings for line in heading.split("\n")]
    words += [text_width(line, CAPTION_POINTS) for row in rows for p in row.panels if p for line in p.caption]
    wide = max(min(wide, WIDEST), NARROWEST, max(words, default=0.0) + 0.04)
    high = wide * height / width
    top = max(heading.count("\n") + 1 for heading in headings) * line_height(HEADING_POINTS) + 0.05
    captions = [max((len(p.caption) for p in row.panels if p), default=0) * line_height(CAPTION_POINTS) for row in rows]
    gaps = [BLOCK_GAP if row.starts_block and number else 0.0 for number, row in enumerate(rows)]
    body = top + sum(captions) + sum(gaps) + len(rows) * (high + GAP)
    frame = framed(max(left + len(headings) * (wide + GAP) + MARGIN, 4.0), body, title, notes, handles)
    figure = frame.figure
    whole_width, whole_height = (float(side) for side in figure.get_size_inches())
    size = (whole_width, whole_height)
    for column, heading in enumerate(headings):
        lines = heading.split("\n")
        first = frame.top - top + 0.06 + (len(lines) - 1) * line_height(HEADING_POINTS)
        _lines(figure, size, left + column * (wide + GAP) + wide / 2, first, lines, HEADING_POINTS)
    y = frame.top - top
    for row, below, gap in zip(rows, captions, gaps, strict=True):
        y -= gap + high
        figure.text(
            (left - 0.08) / whole_width, (y + high / 2) / whole_height, row.label, size=LABEL_POINTS, ha="right",
            va="center", linespacing=1.15,
        )  # fmt: skip
        for column, panel in enumerate(row.panels):
            if panel is None:
                continue
            x = left + column * (wide + GAP)
            where = (x / whole_width, y / whole_height, wide / whole_width, high / whole_height)
            _draw_panel(figure, where, panel, f"{row.label.partition(chr(10))[0]} | {headings[column]}")
            first = y - 0.8 * line_height(CAPTION_POINTS)
            _lines(figure, size, x + wide / 2, first, panel.caption, CAPTION_POINTS, color="0.25")
        y -= below + GAP
    return figure


def _lines(
    figure: Figure, size: tuple[float, float], x: float, y: float, lines: Sequence[str], points: float, **other: Any
) -> None:
    """Centred lines of text, the first one's baseline `y` inches above the bottom."""
    for number, line in enumerate(lines):
        below = y - number * line_height(points)
        figure.text(x / size[0], below / size[1], line, size=points, ha="center", va="baseline", **other)


def _draw_panel(figure: Figure, where: tuple[float, float, float, float], panel: Panel, name: str) -> None:
    axis: Any = figure.add_axes(where, label=name)
    axis.set_axis_off()
    axis.imshow(panel.image, interpolation="none", aspect="auto")
    for box in panel.boxes:
        x0, y0, x1, y1 = (side - 0.5 for side in box.corners)  # imshow puts a pixel's middle on whole numbers
        edge = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=box.colour, linewidth=0.9, gid=box.name)
        edge.set_path_effects([Stroke(linewidth=1.9, foreground="white"), Normal()])  # seen on any picture
        axis.add_patch(edge)
