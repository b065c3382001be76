"""A plan computed and added to the results of its folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.results.files import add_results, provenance
from bench.results.rows import tidy_rows
from bench.run.runner import run_plan, worker_count, write_failures

if TYPE_CHECKING:
    import pandas as pd

    from bench.config import Config
    from bench.results.merge import Results
    from bench.run.cluster.dispatch import Cluster
    from bench.run.plan import Plan
    from bench.run.progress import Progress
    from bench.run.runner import RunReport


@dataclass(frozen=True)
class Computed:
    """What a plan came to: `report`, `rows`, `facts` of its cells, all `results` there now, what was `changed`."""

    report: RunReport
    rows: pd.DataFrame
    facts: dict[str, Any]
    results: Results
    changed: list[str]
    seconds: float
    log: Path | None


def compute(
    plan: Plan,
    config: Config,
    progress: Progress,
    ablation: str | None = None,
    replace: bool = False,
    cluster: Cluster | None = None,
) -> Computed:
    """Compute what the cache in the configuration's folder lacks and add it to the results there.

    Rows of an `ablation` stay out of the tables of sweeps (bench/results/merge.py); `replace` leaves no results of
    earlier runs. The workers are those of a `cluster`, or of this machine.
    """
    run, start = config.run, time.perf_counter()
    report = run_plan(
        plan, run.out, run.jobs, run.batch_size, run.backend, progress, run.time_limit, run.retries, cluster
    )
    seconds = time.perf_counter() - start
    rows = tidy_rows([*report.states, *report.references])
    workers = cluster.count() if cluster else worker_count(plan, run.jobs)
    facts = provenance(plan, report, seconds, workers, run.batch_size, ablation)
    results, changed = add_results([(rows, facts)], run.out, replace)
    return Computed(report, rows, facts, results, changed, seconds, write_failures(report.failures, run.out))
