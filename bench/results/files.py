"""Results of a run on disk: a Parquet data set below a sealed manifest (bench/results/dataset.py).

The rows are those of bench/results/schema.py. The one file of earlier versions, results.parquet, is still read
(bench/results/parquet.py), and made a data set by what next adds to its folder. What several runs leave in one folder:
bench/results/merge.py.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from bench.api.errors import BenchError, UsageError
from bench.api.files import replacing, storing
from bench.api.names import PURE_NOISE
from bench.results.budgets import with_derived
from bench.results.dataset import (
    EVERYTHING,
    PROVENANCE,
    RESULTS,
    ROWS,
    Only,
    each_part,
    in_one_file,
    is_dataset,
    read_dataset,
    write_dataset,
)
from bench.results.folder import holds_results
from bench.results.merge import (
    SCHEMA,
    Results,
    ablations_of,
    merged,
    of_schema_1,
    set_key,
    summarised,
    view,
)
from bench.results.parquet import printable, unpack, write_sealed
from bench.results.rows import cell_id, made_of
from bench.results.schema import (
    ADDED,
    COLUMNS,
    CONTRIBUTIONS,
    RENAMED,
    check_columns,
    refuse_duplicates,
    upgraded,
)
from bench.results.tidy import folded, unfolded

if TYPE_CHECKING:
    import pandas as pd

    from bench.run.plan import Plan
    from bench.run.runner import CellState, RunReport

CSV = "results.csv"


def computed_at(states: list[CellState]) -> list[str]:
    """The commits at which the pictures of these cells were drawn."""
    from bench.api.provenance import commit_in_words

    made = [state.pictures.about["provenance"] for state in states if state.pictures is not None]
    return sorted({commit_in_words(facts) for facts in made if facts is not None})


def provenance(
    plan: Plan, report: RunReport, wall_seconds: float, jobs: int, batch_size: int, ablation: str | None = None
) -> dict[str, Any]:
    """What a reader has to know to trust or repeat the run, `ablation` being what it is one of."""
    from bench.api.provenance import code_provenance, command_line, device_names

    present = [state for state in report.states if state.pictures is not None]
    drawn = [state for state in (*present, *report.references) if state.pictures is not None]
    run = {
        "ablation": ablation,
        **code_provenance(),
        "devices": device_names(plan.devices.names),
        **({} if plan.devices.names else _of_workers(present)),
        "jobs": jobs,
        "batch_size": batch_size,
        "cells": len(plan.cells),
        "cells_present": len(present),
        "cells_computed_now": report.computed,
        "failures": [f"{what}: {message}" for what, message, _ in report.failures],
        "left_out": [*plan.left_out, *(f"{name}: {reason}" for name, reason in report.skipped.items())],
        "notes": report.notes,
        "wall_seconds": round(wall_seconds, 3),
        "command": command_line(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cell_ids": [cell_id(state.cell) for state in drawn],
    }
    pictures = {}
    for state in drawn:
        assert state.pictures is not None
        room = "references" if state.cell.method.spec == PURE_NOISE else "cells"
        pictures[cell_id(state.cell)] = {
            "folder": f"{room}/{state.cell.name}",
            "sha256": state.pictures.content_sha256,
            "made_of": made_of(state),
            "drawn_at": next(iter(computed_at([state])), None),
        }
    return printable(summarised([run], _scene_sets(plan, drawn), pictures))  # type: ignore[no-any-return]


def _of_workers(states: list[CellState]) -> dict[str, Any]:
    """Devices and processors of a cluster's workers, as their cells tell them; the driver's say nothing."""
    made = [state.pictures.manifest["provenance"] for state in states if state.pictures is not None]
    devices, cpus = ({facts[name] for facts in made if facts and name in facts} for name in ("device", "cpu"))
    return {"devices": sorted(devices), "cpu": ", ".join(sorted(cpus))}


def _scene_sets(plan: Plan, drawn: list[CellState]) -> dict[str, dict[str, Any]]:
    """The lists of scenes of a plan, with what its methods and metrics said of themselves there."""
    from bench.run.plan import HARNESS_VERSION

    found: dict[str, dict[str, Any]] = {}
    scores = {dataset: _scores(drawn, dataset) for dataset in plan.metrics}
    for cell in plan.cells:
        scenes = cell.scenes
        size = "x".join(map(str, scenes.size))
        one = found.setdefault(
            set_key(scenes.dataset, scenes.split, size, len(scenes.ids)),
            {
                "dataset": scenes.dataset,
                "split": scenes.split,
                "size": list(scenes.size),
                "opened_as": scenes.opened_as,
                "root": str(scenes.root) if scenes.root else None,
                "resize": scenes.resize,
                "scenes_asked": scenes.asked,
                "scenes_used": len(scenes.ids),
                "fingerprint": scenes.fingerprint,
                "harness": HARNESS_VERSION,
                "methods": {},
                "weights_dirs": {},
                "metrics": {m.name: m.identity for m in plan.metrics[scenes.dataset]},
                "scores": scores[scenes.dataset],
            },
        )
        one["methods"][cell.method.spec] = cell.method.identity
        if cell.method.weights_dir:
            one["weights_dirs"][cell.method.spec] = str(cell.method.weights_dir)
    return found


def _scores(drawn: list[CellState], dataset: str) -> dict[str, list[str]]:
    """The names of the scores that each metric gave."""
    found: dict[str, dict[str, None]] = {}
    for state in drawn:
        if state.cell.scenes.dataset == dataset:
            for name, entry in state.scores.items():
                found.setdefault(name, {}).update(dict.fromkeys(entry.about["protocol"]))
    return {name: list(scores) for name, scores in found.items()}


def write_results(frame: pd.DataFrame, facts: dict[str, Any], out: Path) -> None:
    """Write rows and their provenance as the results of a folder, in place of what is there.

    BenchError, before anything is written, for duplicate rows. A killed run leaves the old results or the new ones.
    """
    refuse_duplicates(frame, f"what should become the results in {out}")
    frame = folded(frame)
    if "runs" not in facts:
        frame, facts = of_schema_1(frame, facts)
    write_dataset(frame, facts, out)
    remove_older_forms(out)


def remove_older_forms(out: Path) -> None:
    """Remove what says something else than the data set: an earlier version's file, and rows as text."""
    for old in (RESULTS, CSV):
        (out / old).unlink(missing_ok=True)


def write_csv(out: Path) -> Path:
    """Write the tidy rows of a folder's results as CSV too, part by part; the provenance is in `#` lines above them."""
    path = out / CSV
    with replacing(path) as temporary, storing(path), temporary.open("w", encoding="utf-8", newline="") as file:
        facts, frames = each_part(out)
        file.writelines(f"# {key}: {json.dumps(value)}\n" for key, value in facts.items())
        for number, frame in enumerate(frames):
            unfolded(frame)[list(COLUMNS)].to_csv(file, index=False, header=not number)
    return path


def write_one_file(out: Path, path: Path, told: Callable[[dict[str, Any]], Any] = lambda facts: facts) -> None:
    """Write the results of a folder as one sealed file, which readers take as a folder's results.parquet.

    `told` makes of the provenance what the file says.
    """
    frames: Iterable[pd.DataFrame]
    if is_dataset(out):
        facts, frames = each_part(out)
    else:
        frame, facts = whole_results(out)
        frames = [frame]
    with storing(path), replacing(path) as temporary:
        tables = (table for frame in frames for table in in_one_file(frame))
        write_sealed(temporary, tables, told(facts), [f"{CONTRIBUTIONS}.list.element"])


def add_results(added: Sequence[Results], out: Path, replace: bool = False) -> tuple[Results, list[str]]:
    """Write results, the oldest first, beside those in a folder or in place of them; all there is, and what made place.

    Runs that end at the same moment wait for each other. BenchError where the earlier results cannot be read; then
    nothing is written.
    """
    with results_locked(out):
        together = None if replace else earlier_results(out)
        notes: list[str] = []
        for new, about_new in added:
            results = folded(new), about_new
            if together is None:
                together = results
            else:
                frame, facts, told = merged(together, results)
                together, notes = (frame, facts), [*notes, *told]
        assert together is not None
        write_results(*together, out)
    return together, notes


@contextmanager
def results_locked(out: Path) -> Iterator[None]:
    """Be the only one who changes the results of a folder, which is made; others wait."""
    out.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(out / ".results.lock"):
        yield


def earlier_results(out: Path) -> Results | None:
    """All that a folder holds, None where there are no results; BenchError where it cannot be added to."""
    return _read(out) if holds_results(out) else None


def _read(out: Path, only: Only = EVERYTHING) -> Results:
    """The results of a folder that has some, checked."""
    if not is_dataset(out):
        path = out / RESULTS
        return _current(path, *unpack(_bytes(path), path, SCHEMA, only.scores))
    path = out / PROVENANCE
    return _of_today(path, *read_dataset(out, only))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from None


def _current(path: Path, frame: pd.DataFrame, facts: dict[str, Any]) -> Results:
    """Rows and provenance as they were in the file, checked, and in today's form."""
    from bench.api.provenance import check_provenance

    frame = frame.loc[:, ~frame.columns.duplicated()]
    check_columns(frame, path, [name for name in COLUMNS if name not in (*ADDED, *RENAMED)])
    frame = upgraded(frame)
    frame = frame.loc[:, ~frame.columns.duplicated()]
    check_columns(frame, path, RENAMED)
    _check_sizes(frame, path)
    try:
        if facts.get("schema", 1) < SCHEMA:
            frame, facts = of_schema_1(frame, facts)
        check_provenance(facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchError(f"{path} is not as `bench run` writes results ({' '.join(str(error).split())})") from None
    check_columns(frame, path, ADDED)
    refuse_duplicates(frame, str(path))
    return with_derived(folded(frame[[*COLUMNS, CONTRIBUTIONS]])), facts


def _check_sizes(frame: pd.DataFrame, path: Path) -> None:
    for size in frame["size"].unique():
        if not re.fullmatch(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", size):
            raise BenchError(f"{path}, column size: '{size}' is no height and width such as 64x128")


def _of_today(path: Path, frame: pd.DataFrame, facts: dict[str, Any]) -> Results:
    """Rows and provenance of the data set below the manifest `path`, checked: a seal does not say who wrote it."""
    from bench.api.provenance import check_provenance

    check_columns(frame, path, [name for name in COLUMNS if name != "scene"])
    _check_sizes(frame, path)
    try:
        check_provenance(facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchError(f"{path} is not as `bench run` writes results ({' '.join(str(error).split())})") from None
    refuse_duplicates(frame, str(path))
    return frame, facts


def whole_results(out: Path, only: Only = EVERYTHING) -> Results:
    """Everything that the results in `out` hold, ablations too; `only` and errors as of `read_results`."""
    if not holds_results(out):
        raise UsageError(f"there are no results in {out} (no {ROWS}/, no {RESULTS}); run `bench run --out {out}` first")
    return _read(out, only)


@dataclass(frozen=True)
class Run:
    """A folder of results: rows with `CONTRIBUTIONS` and references of pure noise, and provenance (`facts`)."""

    folder: Path
    frame: pd.DataFrame
    facts: dict[str, Any]


def read_results(out: Path, ablation: str | None = None, only: Only = EVERYTHING) -> Results:
    """The rows in memory (bench/results/tidy.py) and the provenance of the results in `out`, whatever is read verified.

    The rows are those of methods that `bench run` was asked for, with `ablation` those on the scenes of that ablation
    (bench/results/merge.py), and of the references of pure noise; the column `CONTRIBUTIONS` holds arrays, None where
    there are none. What `only` leaves out is not read; of a file of an earlier version only scores are left out.

    Raises:
        UsageError: there are no results, or none but an ablation's.
        BenchError: they are damaged, or a row is there twice.
    """
    results = whole_results(out, only)
    names = ablations_of(results[1])
    frame, facts = view(results, ablation)
    if frame.empty and names and ablation is None:
        raise UsageError(
            f"the results in {out} are of ablations only ({', '.join(names)}): `bench table {names[0]} --out {out}` "
            f"prints one, `bench run --out {out}` adds a sweep"
        )
    return frame, facts
