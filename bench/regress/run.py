"""The whole of `bench regress`: baseline, rerun, comparison, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.regress.baseline import Baseline, read_baseline
from bench.regress.changes import list_changes
from bench.regress.code import code_digest
from bench.regress.compare import Sides, compare
from bench.regress.costs import MACHINE, compare_costs, other_machine
from bench.regress.model import CellName, Report
from bench.regress.rerun import Asked, Rerun, cell_name, plan_rerun
from bench.regress.text import plain
from bench.regress.thresholds import thresholds
from bench.results.files import add_results, provenance
from bench.results.rows import tidy_rows
from bench.run.runner import RunReport, run_plan, worker_count, write_failures

if TYPE_CHECKING:
    import pandas as pd

    from bench.config import Config
    from bench.run.execute import Outcome, Task

Progress = Callable[[list["Task"], Iterator["Outcome"]], Iterator["Outcome"]]


@dataclass(frozen=True)
class Finished:
    """A report with what its pictures are made of: the baseline, the rerun's cells, and the folder of its cache."""

    report: Report
    baseline: Baseline
    run: RunReport
    folder: Path


def run_regression(
    folder: Path, asked: Asked, config: Config, progress: Progress, before: Callable[[Rerun], None]
) -> Finished:
    """Rerun what was asked of the results in `folder` and compare.

    The rerun's cells and results lie under OUT/code-DIGEST, so that only the same code finds them again. `progress`
    may wrap the runner's outcomes; `before` is told the plan. Raises UsageError for a baseline
    that cannot be compared with, and whatever planning raises.
    """
    limits = thresholds(config.regress)
    baseline = read_baseline(folder)
    rerun = plan_rerun(baseline, asked, config)
    before(rerun)
    out = config.run.out / f"code-{code_digest(rerun.modules)[:12]}"
    frame, facts, run = _execute(rerun, config, out, progress)
    cells = frozenset(cell_name(cell) for cell in rerun.plan.cells)
    sides = Sides(baseline.frame, frame, rerun.ids, cells, rerun.missing, asked.metrics is None)
    comparisons, family = compare(sides, limits)
    both = (baseline.facts, facts)
    common = _rows_of(baseline.frame, cells)
    report = Report(
        comparisons,
        compare_costs(baseline.frame, frame, rerun.ids, limits, both),
        list_changes(common, frame, both),
        _notes(rerun, run, both),
        [(plain(what), plain(message, 500)) for what, message in _failures(run)],
        limits.alpha,
        family,
        rerun.ids,
        _about(folder, out, baseline, facts, common, frame),
    )
    return Finished(report, baseline, run, out)


def _execute(rerun: Rerun, config: Config, out: Path, progress: Progress) -> tuple[pd.DataFrame, Any, RunReport]:
    """Compute what the cache lacks and write ordinary results, which can be the next baseline."""
    asked, start = config.run, time.perf_counter()
    run = run_plan(rerun.plan, out, asked.jobs, asked.batch_size, asked.backend, progress, asked.time_limit)
    frame = tidy_rows(run.states)
    wall = time.perf_counter() - start
    facts = provenance(rerun.plan, run, wall, worker_count(rerun.plan, asked.jobs), asked.batch_size)
    add_results([(frame, facts)], out)
    write_failures(run.failures, out)
    return frame, facts, run


def _failures(run: RunReport) -> list[tuple[str, str]]:
    """What crashed, and metrics of the baseline that found out only while measuring that they cannot."""
    return [(what, message) for what, message, _ in run.failures] + list(run.skipped.items())


def _rows_of(frame: pd.DataFrame, cells: frozenset[CellName]) -> pd.DataFrame:
    keys = zip(frame["dataset"], frame["channel"], frame["method"], frame["psnr"], strict=True)
    return frame[[CellName(d, c, m, float(p)) in cells for d, c, m, p in keys]]


def _notes(rerun: Rerun, run: RunReport, facts: tuple[Any, Any]) -> list[str]:
    notes = [*rerun.plan.left_out, *dict.fromkeys(rerun.missing.values()), *run.notes]
    for what in MACHINE:
        different = other_machine(what, facts)
        if different:
            notes.append(f"{what} is not compared: other {', '.join(different)} than the baseline's")
    return [plain(note, 500) for note in dict.fromkeys(notes)]


def _about(
    folder: Path, out: Path, baseline: Baseline, facts: Any, common: pd.DataFrame, frame: pd.DataFrame
) -> dict[str, Any]:
    """Where both sides come from, printable."""

    def side(place: Path, told: Any, rows: pd.DataFrame) -> dict[str, Any]:
        commit = told.get("commit")
        return {
            "folder": plain(place),
            "commit": plain(commit, 40) if commit else None,
            "date": plain(told.get("date", "unknown"), 40),
            "seeds": sorted({int(seed) for seed in rows["seed"]}),
        }

    return {"baseline": side(folder, baseline.facts, common), "rerun": side(out, facts, frame)}
