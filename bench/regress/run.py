"""The whole of `bench regress`: baseline, rerun, comparison, report."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.files import sha256
from bench.api.provenance import code_provenance
from bench.api.registry import OWN
from bench.api.scores import COSTS
from bench.api.seeding import digest
from bench.regress.baseline import Baseline, list_changes, read_baseline
from bench.regress.compare import Sides, compare, compare_costs, other_machine
from bench.regress.model import CellName, Report, thresholds
from bench.regress.rerun import Asked, Rerun, cell_name, plan_rerun
from bench.regress.words import plain
from bench.results.compute import compute

if TYPE_CHECKING:
    import pandas as pd

    from bench.config import Config
    from bench.run.progress import Progress
    from bench.run.runner import RunReport


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
    where = config.model_copy(update={"run": config.run.model_copy(update={"out": out})})
    computed = compute(rerun.plan, where, progress)  # ordinary results, which can be the next baseline
    frame, facts, run = computed.rows, computed.facts, computed.report
    cells = frozenset(cell_name(cell) for cell in rerun.plan.cells)
    sides = Sides(baseline.frame, frame, rerun.ids, cells, rerun.missing, asked.metrics is None)
    comparisons, family = compare(sides, limits)
    both = (baseline.facts, facts)
    keys = baseline.frame[["dataset", "channel", "method", "psnr"]].itertuples(index=False, name=None)
    common = baseline.frame[[CellName(*key) in cells for key in keys]]
    # what crashed, and metrics of the baseline that found out only while measuring that they cannot
    failures = [(what, message) for what, message, _ in run.failures] + list(run.skipped.items())
    notes = [*rerun.plan.left_out, *dict.fromkeys(rerun.missing.values()), *run.notes]
    for what in COSTS:
        if different := other_machine(what, both):
            notes.append(f"{what} is not compared: other {', '.join(different)} than the baseline's")
    report = Report(
        comparisons,
        compare_costs(baseline.frame, frame, rerun.ids, limits, both),
        list_changes(common, frame, both),
        [plain(note, 500) for note in dict.fromkeys(notes)],
        [(plain(what), plain(message, 500)) for what, message in failures],
        limits.alpha,
        family,
        rerun.ids,
        _about(folder, out, baseline, facts, common, frame),
    )
    return Finished(report, baseline, run, out)


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


def _files(package: str) -> Iterator[tuple[str, Path]]:
    """Every Python file of an imported top-level package or module, with a name that does not depend on its place."""
    module = importlib.import_module(package)
    if hasattr(module, "__path__"):
        for folder in module.__path__:
            for file in sorted(Path(folder).rglob("*.py")):
                yield f"{package}/{file.relative_to(folder).as_posix()}", file
    elif module.__file__ is not None:
        yield f"{package}.py", Path(module.__file__)


def code_digest(modules: Iterable[str] = ()) -> str:
    """SHA-256 over the source of this project and of the packages of `modules`, and the versions of what they use.

    The reruns of one state of the code must never answer for another: a cell's key names a method's declared version,
    and whoever edits a method and forgets it would be told by the cache that nothing has changed.
    """
    packages = sorted({*OWN, *(module.partition(".")[0] for module in modules)})
    source = [(name, sha256(file.read_bytes())) for package in packages for name, file in _files(package)]
    return digest([code_provenance()["packages"], source])
