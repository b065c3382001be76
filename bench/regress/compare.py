"""Comparing a rerun with its baseline, metric by metric and cell by cell.

What tells chance from change is, in this order: sign flips of the scenes' differences, where the score is the mean of
per-scene values; paired differences of what the scenes contribute, where both runs kept that over the same scenes; the
two standard errors (on the safe side: the scenes that both share make the change less uncertain than that). A score
with none of these is shown and not tested. All tests of a report are one family under Holm's correction. A verdict
takes both: told apart at `alpha` after correction, and a change of at least the floor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.api.errors import UsageError
from bench.api.scores import COSTS, DERIVED, score_info
from bench.regress.model import Basis, CellName, Cost, ScoreChange, Thresholds, Verdict
from bench.results.schema import WHOLE_SET
from bench.results.scores import Measured, Score, read_metric
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


CELL = ["dataset", "channel", "method", "psnr"]
Key = tuple[CellName, str]


@dataclass(frozen=True)
class Side:
    """One metric of one cell of a run: its `score` over all scenes, and the values (n,) of the scenes compared.

    `score` is None where only scenes have values, `by_scene` where the score is no mean of such values.
    """

    data: Measured
    score: Score | None
    by_scene: np.ndarray | None

    def bare(self, metric: str) -> bool:
        """Whether it is the part of one class, without anything that tells a change from chance: its whole has that."""
        told = self.by_scene is not None or (self.score is not None and self.score.stderr is not None)
        return bool(score_info(metric).part_of) and not told

    def value(self, scenes: int) -> float | None:
        """The score over the scenes compared (so many), None where it is not known for just these."""
        if self.by_scene is not None:
            return float(np.nanmean(self.by_scene)) if np.isfinite(self.by_scene).any() else math.nan
        return self.score.value if self.score is not None and self.score.scenes == scenes else None


def read_side(frame: pd.DataFrame, ids: Mapping[str, tuple[str, ...]]) -> dict[Key, Side]:
    """Every metric of every cell of a frame, over the scenes `ids` by data set; other data sets are left out.

    Scores of the whole set come first, then per-scene values without one, such as mIoU[scene].
    """
    frame = frame[frame["dataset"].isin(list(ids))]
    data = {
        (str(dataset), str(metric)): read_metric(rows, str(metric))
        for (dataset, metric), rows in frame.groupby(["dataset", "metric"], sort=False)
    }
    whole = frame["scene"] == WHOLE_SET
    found: dict[Key, Side] = {}
    for rows in (frame[whole], frame[~whole]):
        for dataset, channel, method, psnr, metric in rows[[*CELL, "metric"]].drop_duplicates().dropna().values:
            cell, one = CellName(dataset, channel, method, float(psnr)), data[dataset, metric]
            key = (channel, method, float(psnr))
            values, score = one.by_scene.get(key), one.scores.get(key)
            by_scene = None
            if values is not None and set(ids[dataset]) <= set(values.index):
                by_scene = values.reindex(list(ids[dataset])).to_numpy(dtype=np.float64)
            found.setdefault((cell, metric), Side(one, score, by_scene))
    return found


@dataclass(frozen=True)
class Sides:
    """Both runs' rows, the scenes compared by data set, the cells rerun, and why others were not.

    With `every_metric` the baseline's metrics that the rerun lacks count as missing, else they were not asked for.
    """

    baseline: pd.DataFrame
    rerun: pd.DataFrame
    ids: Mapping[str, tuple[str, ...]]
    cells: frozenset[CellName]
    missing: Mapping[CellName, str]
    every_metric: bool

    def scenes(self, cell: CellName) -> int:
        """How many scenes of the cell are compared."""
        return len(self.ids[cell.dataset])


def compare(sides: Sides, limits: Thresholds) -> tuple[list[ScoreChange], int]:
    """Every comparison, those of the rerun in its order and then what is missing, and how many of them were tested.

    UsageError where so few scenes could not show any change, however large.
    """
    costs = {*COSTS, *DERIVED}
    old, new = (  # without these, scores about the original pictures, and parts that nothing tells from chance
        {(c, m): n for (c, m), n in side.items() if m not in costs and not score_info(m).of_originals and not n.bare(m)}
        for side in (read_side(frame, sides.ids) for frame in (sides.baseline, sides.rerun))
    )
    made = {metric for _, metric in new}
    found = []
    for (cell, metric), rerun in new.items():
        baseline, scenes = old.get((cell, metric)), sides.scenes(cell)
        if baseline is None:
            value = rerun.value(scenes)
            found.append(ScoreChange(cell, metric, rerun.data.higher_is_better, None, value, Verdict.NEW))
        else:
            found.append(_paired(cell, metric, baseline, rerun, scenes, limits))
    for (cell, metric), baseline in old.items():
        expected = cell in sides.cells or cell in sides.missing
        if expected and (cell, metric) not in new and (sides.every_metric or metric in made):
            found.append(_missing(cell, metric, baseline, sides, metric in made))
    return _decided(found, sides, limits)


def _missing(cell: CellName, metric: str, baseline: Side, sides: Sides, made: bool) -> ScoreChange:
    """A number of the baseline without one in the rerun. It failed where the cell ran and others have it."""
    if cell in sides.missing:
        note, failed = sides.missing[cell], False
    else:
        failed = made
        note = "it could not be computed" if made else "no metric that can be used here computes it"
    value = baseline.value(sides.scenes(cell))
    return ScoreChange(
        cell, metric, baseline.data.higher_is_better, value, None, Verdict.MISSING, note=note, failed=failed
    )


def _paired(cell: CellName, metric: str, old: Side, new: Side, scenes: int, limits: Thresholds) -> ScoreChange:
    """The two sides of a comparison with the uncorrected p, not decided yet (`UNTESTED` also stands for that)."""
    before, after = old.value(scenes), new.value(scenes)
    pair = ScoreChange(cell, metric, new.data.higher_is_better, before, after, Verdict.UNTESTED)
    if old.data.protocol != new.data.protocol:
        return replace(pair, note="the baseline's was measured under another protocol")
    if old.data.higher_is_better != new.data.higher_is_better:
        return replace(pair, note="the two disagree on whether higher is better")
    if before is None or after is None:
        counts = [scenes if one.score is None else one.score.scenes for one in (old, new)]
        told = f"the baseline has it over {counts[0]} scenes as a whole, not over these {scenes}"
        return replace(pair, note=told if before is None else f"the rerun has it over {counts[1]} scenes")
    if not math.isfinite(after) and math.isfinite(before):
        return replace(pair, verdict=Verdict.MISSING, note="it is undefined in the rerun", failed=True)
    if not math.isfinite(before):
        return replace(pair, note="it is undefined in the baseline")
    pair = replace(pair, floor=limits.floor(metric, before))
    if old.by_scene is not None and new.by_scene is not None:
        return _by_scenes(pair, old.by_scene, new.by_scene)
    was, now = old.score, new.score
    if scenes >= 2 and was is not None and now is not None:
        if was.contributions is not None and now.contributions is not None and was.order == now.order:
            error = standard_error(now.contributions - was.contributions)
            return _by_error(pair, Basis.CONTRIBUTIONS, error, scenes)
        if was.stderr is not None and now.stderr is not None:
            return _by_error(pair, Basis.ERRORS, math.hypot(was.stderr, now.stderr), scenes)
    return replace(pair, note="nothing that tells chance from change: no per-scene values, no standard error")


def _by_error(pair: ScoreChange, basis: Basis, error: float, scenes: int) -> ScoreChange:
    p = float(t_p(np.array(pair.change or 0.0), np.array(error), scenes))
    return _with_error(pair, basis, error, p, scenes)


def _by_scenes(pair: ScoreChange, old: np.ndarray, new: np.ndarray) -> ScoreChange:
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


def _with_error(pair: ScoreChange, basis: Basis, error: float, p: float | None, scenes: int) -> ScoreChange:
    change, half = pair.change or 0.0, half_width(error, scenes)
    return replace(pair, basis=basis, error=error, low=change - half, high=change + half, p=p)


def _decided(found: list[ScoreChange], sides: Sides, limits: Thresholds) -> tuple[list[ScoreChange], int]:
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
            differences = [d for n in signs if (d := found[tested[n]].differences) is not None]
            p[signs] = sign_flip_p(np.stack(differences), flips)
    for k, corrected in zip(tested, holm(p), strict=True):
        found[k] = _verdict(replace(found[k], p=float(corrected)), limits.alpha)
    return found, len(tested)


def _verdict(made: ScoreChange, alpha: float) -> ScoreChange:
    change = made.change
    assert change is not None
    assert made.p is not None
    assert made.floor is not None
    if made.p > alpha or change == 0 or abs(change) < made.floor:
        return replace(made, verdict=Verdict.SAME)
    improved = (change > 0) == made.higher_is_better
    return replace(made, verdict=Verdict.BETTER if improved else Verdict.WORSE)


def compare_costs(
    baseline: pd.DataFrame, rerun: pd.DataFrame, ids: Mapping[str, tuple[str, ...]], limits: Thresholds,
    facts: Sequence[Mapping[str, Any]],
) -> list[Cost]:  # fmt: skip
    """Costs of the cells that both have; `facts` are both provenances. None of another machine is warned about."""
    old, new = (read_side(frame[frame["metric"].isin(COSTS)], ids) for frame in (baseline, rerun))
    found = []
    for (cell, what), after in new.items():
        before = old.get((cell, what))
        if before is None:
            continue
        was, now = (  # of the scenes compared, else of the whole run
            side.value(len(ids[cell.dataset])) if side.by_scene is not None or side.score is None else side.score.value
            for side in (before, after)
        )
        if was is None or now is None or not (math.isfinite(was) and math.isfinite(now)):
            continue
        made = Cost(cell, what, was, now, False)
        found.append(replace(made, warned=made.factor >= limits.warn[what] and not other_machine(what, facts)))
    return found


def other_machine(what: str, facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What of the machines differs that a cost depends on; empty for a cost that depends on none."""
    baseline, rerun = facts
    return [key for key in score_info(what).machine if baseline.get(key) != rerun.get(key)]


def by_method(costs: Sequence[Cost]) -> list[tuple[Cost, int]]:
    """The largest warned factor of each method and cost, with how many of its cells are warned about."""
    groups: dict[tuple[str, str, str, str], list[Cost]] = {}
    for cost in costs:
        if cost.warned:
            cell: CellName = cost.cell
            groups.setdefault((cell.dataset, cell.channel, cell.method, cost.what), []).append(cost)
    return [(max(group, key=lambda c: c.factor), len(group)) for group in groups.values()]
