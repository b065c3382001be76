"""A plan computed and added to the results of its folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from bench.api.files import Broken
from bench.api.names import PURE_NOISE
from bench.results.files import provenance, write_csv
from bench.results.gather import Gathering
from bench.results.rows import tidy_rows
from bench.run.runner import RunReport, run_plan, worker_count, write_failures

if TYPE_CHECKING:
    from typing import Unpack

    import pandas as pd

    from bench.config import Config
    from bench.run.cluster.dispatch import Cluster
    from bench.run.plan import Plan
    from bench.run.progress import Progress
    from bench.run.runner import CellState

log = logging.getLogger("bench")


@dataclass(frozen=True)
class Computed:
    """What a plan came to: `report` and `facts` of its cells, and what was `changed` in the results of its folder."""

    report: RunReport
    facts: dict[str, Any]
    changed: list[str]
    seconds: float
    log: Path | None

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows of its cells, read from the cache."""
        return tidy_rows([*self.report.states, *self.report.references])


class Adding(TypedDict, total=False):
    """What is asked of a run beside its plan.

    Rows of an `ablation` stay out of the tables of sweeps (bench/results/merge.py); `replace` leaves no results of
    earlier runs; `csv` writes all results as text too; `verify` reads every byte of the cache.
    """

    ablation: str | None
    replace: bool
    csv: bool
    verify: bool


def compute(
    plan: Plan,
    config: Config,
    progress: Progress,
    cluster: Cluster | None = None,
    **how: Unpack[Adding],
) -> Computed:
    """Compute what the cache in the configuration's folder lacks and add it to the results there.

    The workers are those of a `cluster`, or of this machine; `how` says what else is asked.
    """
    run, start = config.run, time.perf_counter()
    workers = cluster.count() if cluster else worker_count(plan, run.jobs)

    def facts(report: RunReport) -> dict[str, Any]:
        seconds = time.perf_counter() - start
        return provenance(plan, report, seconds, workers, run.batch_size, how.get("ablation"))

    def so_far(states: Sequence[CellState]) -> dict[str, Any]:
        cells = [state for state in states if state.cell.method.spec != PURE_NOISE]
        return facts(RunReport(cells, [state for state in states if state.cell.method.spec == PURE_NOISE]))

    gathering = Gathering([*plan.cells, *plan.references], run.out, so_far, how.get("replace", False))

    def ran(verify: bool) -> RunReport:
        return run_plan(
            plan, run.out, run.jobs, run.batch_size, run.backend, progress, run.time_limit, run.retries, cluster,
            verify, gathering.finished,
        )  # fmt: skip

    def added(report: RunReport) -> Computed:
        seconds, told = time.perf_counter() - start, facts(report)
        gathering.add([*report.states, *report.references], told)
        return Computed(report, told, gathering.notes, seconds, write_failures(report.failures, run.out))

    report = ran(how.get("verify", False))
    try:
        computed = added(report)
    except Broken as problem:  # in spite of the times of its file
        log.warning("the cache has changed, every byte of it is read: %s", problem)
        again = ran(True)
        again.computed, again.measured = again.computed + report.computed, again.measured + report.measured
        computed = added(again)
    if how.get("csv"):
        write_csv(run.out)
    return computed
