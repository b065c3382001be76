"""Pictures of what got worse: for the cells with the greatest decline, the scenes that declined most."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from bench.api.files import Broken, Entry, write_atomically
from bench.pictures.cells import cached_cells
from bench.pictures.sheet import SheetRow, paste
from bench.regress.model import CellName, Report, ScoreChange, Verdict
from bench.regress.rerun import cell_name
from bench.regress.words import number
from bench.run.cell import read_picture

if TYPE_CHECKING:
    from bench.regress.baseline import Baseline
    from bench.run.plan import Cell
    from bench.run.runner import CellState, RunReport

CELLS, SCENES = 6, 3
#: Of pictures on the sheet.
MIN_WIDTH = 256
GAP, LINE = 8, 20


def write_worst_scenes(report: Report, baseline: Baseline, run: RunReport, path: Path) -> bool:
    """Write a row a scene: original, baseline's picture where there is any, rerun's; whether there was anything.

    Without a regression nothing is written, and a sheet of an earlier report is removed.
    """
    rows = []
    states = {(cell_name(state.cell), state.cell.seed): state for state in run.states if state.pictures is not None}
    for cell, shown in _worst_cells(report):
        seeds = [seed for name, seed in states if name == cell]
        if seeds:
            state = states[cell, min(seeds)]
            was = _baseline_entry(baseline, cell, min(seeds))
            rows += [_row(state, was, position, shown) for position in _worst_scenes(shown)]
    if not rows:
        path.unlink(missing_ok=True)
        return False
    headings = ["original", "baseline", "rerun"]
    if all(row.pictures[1] is None for row in rows):
        headings = ["original", "rerun (the baseline's folder holds no pictures)"]
        rows = [replace(row, pictures=row.pictures[::2]) for row in rows]
    write_atomically(path, paste(headings, rows, LINE, GAP, MIN_WIDTH, below=GAP, missing="not in the baseline"))
    return True


def _worst_cells(report: Report) -> list[tuple[CellName, ScoreChange]]:
    """Cells that got worse with the greatest decline by scene, of a metric that got worse where there is one."""
    found: dict[CellName, ScoreChange] = {}
    for worse in report.of(Verdict.WORSE):
        by_scene = [c for c in report.comparisons if c.cell == worse.cell and c.differences is not None]
        declined = [c for c in by_scene if c.verdict is Verdict.WORSE] or by_scene
        found.setdefault(worse.cell, max(declined, key=lambda c: c.decline, default=worse))
    return list(found.items())[:CELLS]


def _worst_scenes(made: ScoreChange) -> list[int]:
    """Positions of the scenes that declined most; the first ones where the metric has no per-scene values."""
    if made.differences is None:
        return list(range(SCENES))
    decline = -made.differences if made.higher_is_better else made.differences
    return [int(k) for k in np.argsort(-np.nan_to_num(decline, nan=-np.inf), kind="stable")[:SCENES]]


def _baseline_entry(baseline: Baseline, cell: CellName, seed: int) -> Entry | None:
    """The baseline's sealed cell with that seed, else with any; None where its folder holds none."""
    place = (cell.method, cell.psnr)
    cells = cached_cells(baseline.folder, baseline.facts, cell.dataset, cell.channel, place, foreign=True)
    found = {int(entry.manifest["key"]["seed"]): entry for entry in cells}
    return found.get(seed, next(iter(found.values()), None))


def _baseline_picture(entry: Entry | None, scene_id: str, size: tuple[int, int]) -> np.ndarray | None:
    """The baseline's picture of a scene; None where it has none that can be shown."""
    if entry is None:
        return None
    try:
        position = [scene["id"] for scene in entry.manifest["scenes"]].index(scene_id)
        picture = read_picture(entry, position)
    except (Broken, KeyError, TypeError, ValueError, OSError, Image.DecompressionBombError):
        return None
    return picture if picture.shape[:2] == size else None


def _row(state: CellState, was: Entry | None, position: int, made: ScoreChange) -> SheetRow:
    """A scene's pictures and what stands above them."""
    cell: Cell = state.cell
    assert state.pictures is not None
    scene_id = cell.scenes.ids[position]
    change = ""
    if made.differences is not None:
        change = f": {made.metric} {made.differences[position]:+.3f}"
    whole = f"{made.metric} {number(made.baseline)} -> {number(made.rerun)} over all"
    original = cell.scenes.open().load(cell.scenes.split, scene_id).image
    pictures = [original, _baseline_picture(was, scene_id, cell.scenes.size), read_picture(state.pictures, position)]
    title = f"{cell.method.spec} at PSNR {cell.channel.psnr:g} ({whole}), {scene_id}{change}"
    return SheetRow(pictures, GAP + LINE, title)
