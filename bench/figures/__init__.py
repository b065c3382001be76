"""Figures by name: functions `(request) -> list[Drawing]` of this package's modules, imported when they are drawn.

Those of numbers need the results alone; those of pictures take them from the cache, or compute a few scenes again.
Help needs nothing heavy and figures of numbers no torch. One more is its function and a line here.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.errors import UsageError, known_name
from bench.api.files import safe_name, write_files
from bench.api.names import ALL

if TYPE_CHECKING:
    from bench.figures.style import Drawing
    from bench.results.request import Request

FORMATS = ("png", "svg", "pdf")


@dataclass(frozen=True)
class FigureKind:
    """One figure: what it shows, the function that draws it (`module:function`), whether it needs pictures."""

    name: str
    about: str
    place: str
    pictures: bool = False


_ALL = (
    FigureKind("psnr", "metrics against PSNR", "psnr:draw"),
    FigureKind("bits", "quality against bits and channel uses", "tradeoff:draw_bits"),
    FigureKind("budget", "quality against channel uses, a panel a PSNR", "budget:draw"),
    FigureKind("outage", "lost blocks and quality against PSNR", "outage:draw"),
    FigureKind("seconds", "quality against time", "tradeoff:draw_seconds"),
    FigureKind("comparison", "the methods at one PSNR, Figures 1 and 4", "methods:draw_comparison", True),
    FigureKind("strip", "one scene over all PSNRs, Figures 3 and 9", "methods:draw_strip", True),
    FigureKind("ablation", "FDS and noisy training, Figure 5", "methods:draw_ablation", True),
    FigureKind("compression", "image and maps under compression, Figure 7", "maps:draw_compression", True),
    FigureKind("fds", "received maps before and after FDS", "maps:draw_fds", True),
)
FIGURES: dict[str, FigureKind] = {kind.name: kind for kind in _ALL}


def find_figures(names: Sequence[str]) -> list[FigureKind]:
    """The figures of those names (`all`: every one), each once; UsageError with the nearest one, or a metric's way."""
    found: dict[str, FigureKind] = {}
    for typed in names:
        try:
            name = known_name(typed, [*FIGURES, ALL], "figure")
        except UsageError as error:
            raise UsageError(f"{error} (if it is a metric: `bench plot psnr --metrics {typed}`)") from None
        found.update(FIGURES if name == ALL else {name: FIGURES[name]})
    return list(found.values())


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats, each once; UsageError with the nearest one."""
    if not formats:
        raise UsageError(f"--format needs one of {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(known_name(one, FORMATS, "format") for one in formats))


def needed(metrics: Sequence[str], known: Sequence[str]) -> set[str]:
    """Of the scores in a folder those that figures are drawn of: the metrics asked for, or the main ones, and costs.

    All of them where one that was asked for is not there, so that a message can name those that are.
    """
    from bench.api.names import metric_variants
    from bench.api.scores import score_info
    from bench.tables.named import chosen_scores

    if not all(metric_variants(name, known) for name in metrics):
        return set(known)
    return chosen_scores(metrics, known) | {name for name in known if score_info(name).family == "cost"}


def draw_figure(name: str, request: Request) -> list[Drawing]:
    """The figure for each set of scenes and channel of the results; UsageError where they lack its numbers."""
    from bench.figures.style import settled, theme

    module, _, function = FIGURES[name].place.partition(":")
    draw = getattr(importlib.import_module(f"bench.figures.{module}"), function)
    with theme():
        return [settled(drawing) for drawing in draw(request)]


def save(drawings: Sequence[Drawing], folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write the drawings, each format a file, each written whole; their paths."""
    from bench.figures.style import as_bytes, theme

    with theme():
        made = {f"{safe_name(one.stem)}.{kind}": as_bytes(one, kind) for one in drawings for kind in formats}
    return write_files(folder, made)
