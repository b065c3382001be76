"""Results of a run on disk: results.parquet, results.csv and provenance.json, each written whole.

The rows are those of bench/results/schema.py; the Parquet file alone has the column `contributions`. Numbers are read
from it alone, and never before all of its bytes are verified (bench/results/parquet.py). What several runs leave in
one folder: bench/results/merge.py.
"""

from __future__ import annotations

import datetime
import json
import logging
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import numpy as np

from bench.api.errors import BenchError, UsageError
from bench.api.files import sha256, write_atomically
from bench.api.names import PURE_NOISE
from bench.results.budgets import with_derived
from bench.results.folder import RESULTS
from bench.results.merge import SCHEMA, Results, ablations_of, merged, of_schema_1, set_key, summarised, view
from bench.results.parquet import pack, printable, unpack
from bench.results.rows import cell_id
from bench.results.schema import ADDED, COLUMNS, CONTRIBUTIONS, RENAMED, check_columns, refuse_duplicates, upgraded

if TYPE_CHECKING:
    import pandas as pd

    from bench.run.plan import Plan
    from bench.run.runner import CellState, RunReport

CSV, PROVENANCE = "results.csv", "provenance.json"
_CSV_DIGEST = "# results_sha256: "
log = logging.getLogger("bench")


def computed_at(states: list[CellState]) -> list[str]:
    """The commits at which the pictures of these cells were drawn."""
    from bench.api.provenance import commit_in_words

    made = [state.pictures.manifest["provenance"] for state in states if state.pictures is not None]
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
                "scores": _scores(drawn, scenes.dataset),
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
                told = [score["metric"] for score in entry.manifest["scores"]]
                found.setdefault(name, {}).update(dict.fromkeys([*told, *entry.manifest["per_scene"]]))
    return {name: list(scores) for name, scores in found.items()}


def write_results(frame: pd.DataFrame, facts: dict[str, Any], out: Path) -> None:
    """Write the three files, each atomically; BenchError, before anything is written, for duplicate rows.

    The Parquet file, which everything reads, is complete in itself. The CSV names its digest in the first line, and
    provenance.json, the last one, the digests of both: so files of different runs are noticed.
    """
    import pyarrow as pa

    refuse_duplicates(frame, f"what should become {out / RESULTS}")
    if "runs" not in facts:
        frame, facts = of_schema_1(frame, facts)
    plain = frame[list(COLUMNS)]
    table = pa.Table.from_pandas(plain, preserve_index=False)
    split = []
    if CONTRIBUTIONS in frame:
        kept = [c if isinstance(c, np.ndarray) else None for c in frame[CONTRIBUTIONS]]
        table = table.append_column(CONTRIBUTIONS, pa.array(kept, pa.list_(pa.float32())))
        # they hardly repeat: split into bytes and packed with zstd they take half of what Parquet makes of them
        split = [f"{CONTRIBUTIONS}.list.element"]
    data = pack(table, facts, split, COLUMNS)
    header = f'{_CSV_DIGEST}"{sha256(data)}"\n' + "".join(f"# {k}: {json.dumps(v)}\n" for k, v in facts.items())
    text = (header + plain.to_csv(index=False)).encode()
    digests = {RESULTS: sha256(data), CSV: sha256(text)}
    write_atomically(out / CSV, text)
    write_atomically(out / RESULTS, data)
    write_atomically(out / PROVENANCE, (json.dumps({**facts, "files": digests}, indent=1) + "\n").encode())


def add_results(added: Sequence[Results], out: Path, replace: bool = False) -> tuple[Results, list[str]]:
    """Write results, the oldest first, beside those in a folder or in place of them; all there is, and what made place.

    Runs that end at the same moment wait for each other. BenchError where the earlier results cannot be read; then
    nothing is written.
    """
    out.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(out / ".results.lock"):
        together = None if replace else earlier_results(out)
        notes: list[str] = []
        for results in added:
            if together is None:
                together = results
            else:
                frame, facts, told = merged(together, results)
                together, notes = (frame, facts), [*notes, *told]
        assert together is not None
        write_results(*together, out)
    return together, notes


def earlier_results(out: Path) -> Results | None:
    """All that a folder's Parquet file holds, None where there is none; BenchError where it cannot be added to.

    Its provenance.json and CSV are not looked at: a run that was killed between writing the files is made good by the
    next one.
    """
    path = out / RESULTS
    return _current(path, *unpack(_bytes(path), path, SCHEMA)) if path.is_file() else None


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
    for size in frame["size"].unique():
        if not re.fullmatch(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", size):
            raise BenchError(f"{path}, column size: '{size}' is no height and width such as 64x128")
    try:
        if facts.get("schema", 1) < SCHEMA:
            frame, facts = of_schema_1(frame, facts)
        check_provenance(facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchError(f"{path} is not as `bench run` writes results ({' '.join(str(error).split())})") from None
    check_columns(frame, path, ADDED)
    refuse_duplicates(frame, str(path))
    return with_derived(frame[[*COLUMNS, CONTRIBUTIONS]]), facts


def whole_results(out: Path, only: Callable[[list[str]], Collection[str]] | None = None) -> Results:
    """Everything that the results in `out` hold, ablations too; `only` and errors as of `read_results`."""
    path = out / RESULTS
    if not path.is_file():
        raise UsageError(f"there are no results in {out} (no {RESULTS}); run `bench run --out {out}` first")
    data = _bytes(path)
    rows, told = unpack(data, path, SCHEMA, only)
    _check_companions(out, data, told)
    return _current(path, rows, told)


@dataclass(frozen=True)
class Run:
    """A folder of results: rows with `CONTRIBUTIONS` and references of pure noise, and provenance (`facts`)."""

    folder: Path
    frame: pd.DataFrame
    facts: dict[str, Any]


def read_results(
    out: Path, ablation: str | None = None, only: Callable[[list[str]], Collection[str]] | None = None
) -> Results:
    """The rows and the provenance of the results in `out`, every byte of the file verified.

    The rows are those of methods that `bench run` was asked for, with `ablation` those on the scenes of that ablation
    (bench/results/merge.py), and of the references of pure noise; the column `CONTRIBUTIONS` holds arrays, None where
    there are none. `only` chooses from the names of all scores those whose rows are needed, which is faster.

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


def _check_companions(out: Path, data: bytes, facts: dict[str, Any]) -> None:
    """BenchError for a provenance.json that is not the Parquet file's; a warning for a CSV, which nothing reads."""
    file = out / PROVENANCE
    remedy = "the same `bench run` again writes all files anew"
    if file.exists():
        try:
            if not file.is_file():  # reading a pipe or a device may never end
                raise ValueError("it is no file")
            told = json.loads(file.read_bytes())
            digest = told.pop("files", {}).get(RESULTS)
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise BenchError(f"{file} is damaged ({error}); {remedy}") from None
        if digest is not None and digest != sha256(data):
            raise BenchError(
                f"{file} is of another run than {RESULTS} beside it: one of them was changed, or a run was stopped "
                f"while it wrote them; {remedy}"
            )
        if printable(told) != facts:
            raise BenchError(f"{file} is damaged: it does not say what {RESULTS} says of itself; {remedy}")
    if not (out / CSV).is_file():
        return
    with suppress(OSError), (out / CSV).open("rb") as opened:
        first = opened.readline(200)
        if first.startswith(_CSV_DIGEST.encode()) and sha256(data).encode() not in first:
            log.warning("%s is of another run than %s; %s", out / CSV, RESULTS, remedy)
