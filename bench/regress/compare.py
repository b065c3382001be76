"""Comparing a rerun with its baseline, metric by metric and cell by cell.

What tells chance from change is, in this order: sign flips of the scenes' differences, where the score is the mean of
per-scene values; paired differences of what the scenes contribute, where both runs kept that over the same scenes; the
two standard errors (on the safe side: the scenes that both share make the change less uncertain than that). A score
with none of these is shown and not tested. All tests of a report are one family under Holm's correction. A verdict
takes both: told apart at `alpha` after correction, and a change of at least the floor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bench.api.errors import UsageError
from bench.api.scores import COSTS
from bench.regress.model import Basis, CellName, Comparison, Verdict
from bench.regress.numbers import Key, Numbers, numbers
from bench.regress.thresholds import Thresholds
from bench.tables.measured import OF_ORIGINALS
from metrics.stats.significance import (
    contributions_of_mean,
    fewest_scenes,
    flips_for,
    half_width,
    holm,
    sign_flip_p,
    standard_error,
    t_p,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sides:
    """Both runs' rows, the scenes compared by data set, the cells rerun, and why others of the baseline were not.
    With `every_metric` the baseline's metrics that the rerun lacks count as missing, else they were not asked for."""

    baseline: pd.DataFrame
    rerun: pd.DataFrame
    ids: Mapping[str, tuple[str, ...]]
    cells: frozenset[CellName]
    missing: Mapping[CellName, str]
    every_metric: bool

    def scenes(self, cell: CellName) -> int:
        """How many scenes of the cell are compared."""
        return len(self.ids[cell.dataset])


def compare(sides: Sides, limits: Thresholds) -> tuple[list[Comparison], int]:
    """Every comparison, those of the rerun in its order and then what is missing, and how many of them were tested.

    UsageError where so few scenes could not show any change, however large.
    """
    old, new = (_quality(numbers(frame, sides.ids)) for frame in (sides.baseline, sides.rerun))
    made = {metric for _, metric in new}
    found = []
    for (cell, metric), rerun in new.items():
        baseline, scenes = old.get((cell, metric)), sides.scenes(cell)
        if baseline is None:
            value = rerun.value(scenes)
            found.append(Comparison(cell, metric, rerun.higher_is_better, None, value, Verdict.NEW))
        else:
            found.append(_paired(cell, metric, baseline, rerun, scenes, limits))
    for (cell, metric), baseline in old.items():
        expected = cell in sides.cells or cell in sides.missing
        if expected and (cell, metric) not in new and (sides.every_metric or metric in made):
            found.append(_missing(cell, metric, baseline, sides, metric in made))
    return _decided(found, sides, limits)


def _quality(found: dict[Key, Numbers]) -> dict[Key, Numbers]:
    """Without costs, and without scores about the original pictures."""
    return {(c, m): n for (c, m), n in found.items() if m not in COSTS and OF_ORIGINALS not in m}


def _missing(cell: CellName, metric: str, baseline: Numbers, sides: Sides, made: bool) -> Comparison:
    """A number of the baseline without one in the rerun. It failed where the cell ran and others have it."""
    if cell in sides.missing:
        note, failed = sides.missing[cell], False
    else:
        failed = made
        note = "it could not be computed" if made else "no metric that can be used here computes it"
    value = baseline.value(sides.scenes(cell))
    return Comparison(cell, metric, baseline.higher_is_better, value, None, Verdict.MISSING, note=note, failed=failed)


def _paired(cell: CellName, metric: str, old: Numbers, new: Numbers, scenes: int, limits: Thresholds) -> Comparison:
    """The two sides of a comparison with the uncorrected p, not decided yet (`UNTESTED` also stands for that)."""
    before, after = old.value(scenes), new.value(scenes)
    pair = Comparison(cell, metric, new.higher_is_better, before, after, Verdict.UNTESTED)
    if old.protocol != new.protocol:
        return replace(pair, note="the baseline's was measured under another protocol")
    if old.higher_is_better != new.higher_is_better:
        return replace(pair, note="the two disagree on whether higher is better")
    if before is None or after is None:
        told = f"the baseline has it over {old.count} scenes as a whole, not over these {scenes}"
        return replace(pair, note=told if before is None else f"the rerun has it over {new.count} scenes")
    if not math.isfinite(after) and math.isfinite(before):
        return replace(pair, verdict=Verdict.MISSING, note="it is undefined in the rerun", failed=True)
    if not math.isfinite(before):
        return replace(pair, note="it is undefined in the baseline")
    pair = replace(pair, floor=limits.floor(metric, before))
    if old.scenes is not None and new.scenes is not None:
        return _by_scenes(pair, old.scenes, new.scenes)
    if scenes >= 2 and old.contributions is not None and new.contributions is not None:
        return _by_error(pair, Basis.CONTRIBUTIONS, standard_error(new.contributions - old.contributions), scenes)
    if scenes >= 2 and old.stderr is not None and new.stderr is not None:
        return _by_error(pair, Basis.ERRORS, math.hypot(old.stderr, new.stderr), scenes)
    return replace(pair, note="nothing that tells chance from change: no per-scene values, no standard error")


def _by_error(pair: Comparison, basis: Basis, error: float, scenes: int) -> Comparison:
    p = float(t_p(np.array(pair.change or 0.0), np.array(error), scenes))
    return _with_error(pair, basis, error, p, scenes)


def _by_scenes(pair: Comparison, old: np.ndarray, new: np.ndarray) -> Comparison:
    """Scenes that are undefined on a side are left out of both; p comes later, for all such comparisons at once."""
    with np.errstate(invalid="ignore"):  # infinite on both sides: undefined
        differences = new - old
    defined = np.isfinite(differences)
    if defined.sum() < 2:
        return replace(pair, note="fewer than two scenes are defined on both sides")
    note = ""
    if not defined.all():
        both = int(defined.sum())
        before, after = float(old[defined].mean()), float(new[defined].mean())
        pair = replace(pair, baseline=before, rerun=after)
        note = f"over the {both} scenes that are defined on both sides"
    contributions = contributions_of_mean(differences[defined])
    assert contributions is not None
    made = _with_error(pair, Basis.SIGNS, standard_error(contributions), None, int(defined.sum()))
    return replace(made, note=note, differences=differences)


def _with_error(pair: Comparison, basis: Basis, error: float, p: float | None, scenes: int) -> Comparison:
    change, half = pair.change or 0.0, half_width(error, scenes)
    return replace(pair, basis=basis, error=error, low=change - half, high=change + half, p=p)


def _decided(found: list[Comparison], sides: Sides, limits: Thresholds) -> tuple[list[Comparison], int]:
    """The comparisons with corrected p and verdict, and the size of the family."""
    tested = [k for k, c in enumerate(found) if c.basis is not None]
    if not tested:
        return found, 0
    p = np.array([math.nan if found[k].p is None else float(found[k].p or 0.0) for k in tested])
    flips = flips_for(len(tested), limits.alpha)
    for dataset, ids in sides.ids.items():
        here = [n for n, k in enumerate(tested) if found[k].cell.dataset == dataset]
        enough = fewest_scenes(len(tested), limits.alpha)
        if here and len(ids) < enough:
            raise UsageError(
                f"{len(ids)} scenes of {dataset} cannot show any change among {len(tested)} comparisons, however "
                f"large; compare {enough} scenes or more, or fewer methods, PSNRs and metrics"
            )
        signs = [n for n in here if found[tested[n]].basis is Basis.SIGNS]
        if signs:
            p[signs] = sign_flip_p(np.stack([_differences(found[tested[n]]) for n in signs]), flips)
    for k, corrected in zip(tested, holm(p), strict=True):
        found[k] = _verdict(replace(found[k], p=float(corrected)), limits.alpha)
    return found, len(tested)


def _differences(comparison: Comparison) -> np.ndarray:
    assert comparison.differences is not None
    return comparison.differences


def _verdict(made: Comparison, alpha: float) -> Comparison:
    change = made.change
    assert change is not None
    assert made.p is not None
    assert made.floor is not None
    if made.p > alpha or change == 0 or abs(change) < made.floor:
        return replace(made, verdict=Verdict.SAME)
    improved = (change > 0) == made.higher_is_better
    return replace(made, verdict=Verdict.BETTER if improved else Verdict.WORSE)
