"""What all figures share: theme, a look for each method, the frame with title and provenance, and the files.

Methods differ in colour (a colour-blind safe palette), marker, line style and marker filling, so that a figure also
reads in black and white. Dashed lines are kept for the paper's values. Text is measured, so nothing is clipped.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import seaborn as sns
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D

from bench.api.names import base_name

DPI = 200
#: The one style sheet of all figures, those of `bench speed` too.
STYLE = Path(__file__).parents[1] / "figures.mplstyle"
TITLE_POINTS, TEXT_POINTS, NOTE_POINTS = 9.0, 8.0, 6.0
#: Heights of lines of text, in multiples of the font's size.
LEADING = 1.35
MARGIN = 0.12
#: Text on a screen's pixels is up to 3 % wider than in print.
HINTING = 1.04
MARKERS = ("o", "s", "D", "^", "v", "P", "h", "*", "<", ">")
PAPER_LINE = (0, (4, 2))
#: What a variant of a method looks like: its line, and how its marker is filled.
VARIANTS = {"": ("-", "full"), "+fds": ("-.", "hollow"), "-nofds": (":", "left")}
OTHER_VARIANT = ((0, (6, 1, 1, 1, 1, 1)), "bottom")


@contextmanager
def theme() -> Iterator[None]:
    """Drawing and saving in the figures' style; matplotlib's own settings are back afterwards."""
    with style.context(STYLE):
        yield


def families(methods: Sequence[str]) -> dict[str, list[str]]:
    """Methods with their variants: `gesco` has `gesco-nofds` and, where both are there, `gesco_fdstrain`."""
    bases = sorted({base_name(m) for m in methods}, key=len)

    def head(method: str) -> str:
        base = base_name(method)
        return next(b for b in bases if base == b or base.startswith(f"{b}_"))

    grouped: dict[str, list[str]] = {}
    for method in methods:
        grouped.setdefault(head(method), []).append(method)
    return grouped


@lru_cache(maxsize=1)
def palette() -> tuple[Any, ...]:
    """Ten colours that colour-blind people tell apart: seaborn's, with black for a pink that is too pale for lines."""
    colours = sns.color_palette("colorblind", 10)
    return (*colours[:6], (0.1, 0.1, 0.1), colours[9], colours[7], colours[6])


@dataclass(frozen=True)
class Look:
    """How one method is drawn."""

    colour: Any
    marker: str
    line: Any
    filling: str

    def mark(self) -> dict[str, Any]:
        """Keyword arguments of a marker without a line."""
        hollow = self.filling == "hollow"
        return {
            "color": self.colour, "marker": self.marker, "fillstyle": "full" if hollow else self.filling,
            "markerfacecolor": "white" if hollow else self.colour, "markerfacecoloralt": "white",
            "markeredgecolor": self.colour, "markeredgewidth": 0.9, "linestyle": "none",
        }  # fmt: skip

    def curve(self) -> dict[str, Any]:
        """Keyword arguments of a line with markers."""
        return {**self.mark(), "linestyle": self.line, "linewidth": 1.4, "markersize": 4.5}


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """A look for each method: a family shares colour and marker, its variants differ in line and filling."""
    grouped = families(methods)
    found = {}
    for number, (head, members) in enumerate(grouped.items()):
        for method in members:
            rest = method.removeprefix(head)
            line, filling = VARIANTS.get(rest, OTHER_VARIANT)
            found[method] = Look(palette()[number % 10], MARKERS[number % len(MARKERS)], line, filling)
    return {method: found[method] for method in methods}


def paper_handle(colour: Any = "0.3") -> Line2D:
    """The legend's entry for the paper's values."""
    return Line2D(
        [], [], color=colour, linestyle=PAPER_LINE, linewidth=1.0, marker="o", markersize=2.8, markerfacecolor="white",
        markeredgewidth=0.9, label="the paper's values",
    )  # fmt: skip


@lru_cache(maxsize=1)
def _font() -> FT2Font:
    font = FT2Font(findfont("DejaVu Sans"))
    font.set_size(64, 72)
    return font


@lru_cache(maxsize=1024)
def _advance(character: str) -> float:
    """Width of a character in multiples of the font's size."""
    return float(_font().load_char(ord(character)).linearHoriAdvance) / 65536 / 64


def text_width(text: str, points: float) -> float:
    """Width in inches of one line of text, or a little more: kerning, which only narrows it, is left out."""
    return sum(map(_advance, text)) * points / 72 * HINTING


def wrapped(text: str, width: float, points: float) -> list[str]:
    """`text` in lines of at most `width` inches; a single word that is wider is cut."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(joined, points) <= width:
            lines[-1] = joined
            continue
        while text_width(word, points) > width and len(word) > 1:
            cut = max(k for k in range(1, len(word)) if k == 1 or text_width(word[:k], points) <= width)
            lines.append(word[:cut])
            word = word[cut:]
        lines.append(word)
    return lines


def line_height(points: float) -> float:
    """Inches from one line of text to the next."""
    return points * LEADING / 72


@dataclass(frozen=True)
class Drawing:
    """A finished figure, the stem of its files' names, and what it says below itself."""

    stem: str
    figure: Figure
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Framed:
    """An empty figure with title and notes; `bottom` and `top` bound what is between them, in inches."""

    figure: Figure
    bottom: float
    top: float

    @property
    def rect(self) -> tuple[float, float, float, float]:
        """(left, bottom, width, height) of the room for axes, in parts of the figure."""
        width, height = self.figure.get_size_inches()
        return (
            MARGIN / 2 / width, self.bottom / height, 1 - MARGIN / width, (self.top - self.bottom) / height,
        )  # fmt: skip


def framed(width: float, body: float, title: str, notes: Sequence[str], handles: Sequence[Any] = ()) -> Framed:
    """A figure `width` inches wide with `body` inches between title and legend above and the notes below."""
    title_lines = wrapped(title, width - 2 * MARGIN, TITLE_POINTS)
    note_lines = wrapped(" ".join(notes), width - 2 * MARGIN, NOTE_POINTS)
    columns, rows = _legend_shape([str(h.get_label()) for h in handles], width - 2 * MARGIN)
    legend = rows * line_height(7) * 1.15 + 0.1 if handles else 0.0
    top = MARGIN + len(title_lines) * line_height(TITLE_POINTS) + 0.04
    bottom = MARGIN + len(note_lines) * line_height(NOTE_POINTS) + 0.06
    height = top + legend + body + bottom
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    left = MARGIN / width
    figure.text(left, 1 - MARGIN / height, "\n".join(title_lines), size=TITLE_POINTS, va="top", linespacing=1.15)
    figure.text(
        left, MARGIN / height, "\n".join(note_lines), size=NOTE_POINTS, color="0.35", va="bottom", linespacing=1.15,
        gid="notes",
    )  # fmt: skip
    if handles:
        lines = any(handle.get_linestyle() != "None" for handle in handles)
        figure.legend(
            handles=list(handles), ncols=columns, loc="upper left", bbox_to_anchor=(0.06 / width, 1 - top / height),
            frameon=False, handlelength=2.6 if lines else 1.0, borderaxespad=0.2, columnspacing=1.4, labelspacing=0.35,
        )  # fmt: skip
    return Framed(figure, bottom, height - top - legend)


def _legend_shape(labels: Sequence[str], width: float) -> tuple[int, int]:
    """Columns and rows of a legend as wide as its figure."""
    if not labels:
        return 0, 0
    each = max(text_width(label, 7) for label in labels) + 0.55
    columns = max(1, min(len(labels), int(width / each)))
    return columns, -(-len(labels) // columns)


def settled(drawing: Drawing) -> Drawing:
    """The same with its layout made and kept, so that all formats have the same one."""
    if drawing.figure.get_layout_engine() is not None:
        drawing.figure.draw_without_rendering()
        drawing.figure.set_layout_engine("none")
    return drawing


def as_bytes(drawing: Drawing, kind: str) -> bytes:
    """The figure as a file: no date in it, so that equal data give equal bytes; its notes are in the metadata."""
    about = " ".join(drawing.notes)
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Title": drawing.stem, "Description": about},
        "svg": {"Title": drawing.stem, "Description": about, "Date": None},
        "pdf": {"Title": drawing.stem, "Subject": about, "CreationDate": None},
    }
    buffer = io.BytesIO()
    drawing.figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata[kind])
    return buffer.getvalue()
