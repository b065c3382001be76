"""Results of a run on disk: results.parquet, results.csv and provenance.json, each written whole.

The rows are those of bench/rows.py; the Parquet file alone has the column `contributions`.

The files describe the last run into their folder; cells of earlier runs stay cached, so
a run that names all methods gathers them at no cost.
"""

from __future__ import annotations

import datetime
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.cache import write_atomically
from bench.errors import BenchError, UsageError
from bench.names import PURE_NOISE
from bench.rows import COLUMNS, CONTRIBUTIONS, refuse_duplicates, upgraded

if TYPE_CHECKING:
    import pandas as pd

    from bench.plan import Plan
    from bench.runner import CellState, RunReport

SCHEMA = 1
RESULTS = "results.parquet"
METADATA_KEY = b"gesco_bench"


def computed_at(states: list[CellState]) -> list[str]:
    """The commits at which the pictures of these cells were drawn."""
    from bench.provenance import commit_in_words

    made = [state.pictures.manifest["provenance"] for state in states if state.pictures is not None]
    return sorted({commit_in_words(facts) for facts in made if facts is not None})


def provenance(plan: Plan, report: RunReport, wall_seconds: float, jobs: int, batch_size: int) -> dict[str, Any]:
    """What a reader has to know to trust or repeat the run."""
    from bench.provenance import code_provenance, command_line, device_names

    present = [state for state in report.states if state.pictures is not None]
    scene_sets = {cell.scenes.dataset: cell.scenes for cell in plan.cells}
    return {
        "schema": SCHEMA,
        **code_provenance(),
        "cells_computed_at": computed_at(report.states),
        "devices": device_names(plan.devices.names),
        "jobs": jobs,
        "batch_size": batch_size,
        "methods": {cell.method.spec: cell.method.identity for cell in plan.cells},
        "weights_dirs": {c.method.spec: str(c.method.weights_dir) for c in plan.cells if c.method.weights_dir},
        "weights_sha256": {cell.method.spec: cell.method.identity.get("weights_sha256") for cell in plan.cells},
        "datasets": {
            name: {
                "split": scenes.split,
                "size": list(scenes.size),
                "opened_as": scenes.opened_as,
                "root": str(scenes.root) if scenes.root else None,
                "resize": scenes.resize,
                "scenes_asked": scenes.asked,
                "scenes_used": len(scenes.ids),
                "fingerprint": scenes.fingerprint,
            }
            for name, scenes in scene_sets.items()
        },
        "metrics": {m.name: m.identity for metrics in plan.metrics.values() for m in metrics},
        "cell_folders": [f"cells/{state.cell.name}" for state in present],
        "reference_folders": [f"references/{state.cell.name}" for state in report.references if state.pictures],
        "cells": len(plan.cells),
        "cells_present": len(present),
        "cells_computed_now": report.computed,
        "failures": [f"{what}: {message}" for what, message, _ in report.failures],
        "left_out": [*plan.left_out, *(f"{name}: {reason}" for name, reason in report.skipped.items())],
        "notes": report.notes,
        "wall_seconds": round(wall_seconds, 3),
        "command": command_line(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def write_results(frame: pd.DataFrame, facts: dict[str, Any], out: Path) -> None:
    """Write the three files, each atomically; the Parquet file, which tables and plots read, comes last. BenchError
    for duplicate rows, before anything is written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    refuse_duplicates(frame, f"what should become {out / RESULTS}")
    text = json.dumps(facts, indent=1)
    write_atomically(out / "provenance.json", (text + "\n").encode())
    header = "".join(f"# {key}: {json.dumps(value)}\n" for key, value in facts.items())
    plain = frame[list(COLUMNS)]
    write_atomically(out / "results.csv", (header + plain.to_csv(index=False)).encode())
    table = pa.Table.from_pandas(plain, preserve_index=False)
    if CONTRIBUTIONS in frame:
        kept = [c if isinstance(c, np.ndarray) else None for c in frame[CONTRIBUTIONS]]
        table = table.append_column(CONTRIBUTIONS, pa.array(kept, pa.list_(pa.float32())))
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), METADATA_KEY: text.encode()})
    buffer = io.BytesIO()
    # they hardly repeat: split into bytes and packed with zstd they take half of what Parquet makes of them by itself
    split = [f"{CONTRIBUTIONS}.list.element"] if CONTRIBUTIONS in table.column_names else []
    pq.write_table(table, buffer, compression="zstd", use_dictionary=list(COLUMNS), use_byte_stream_split=split)
    write_atomically(out / RESULTS, buffer.getvalue())


def read_results(out: Path, full: bool = False) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows and the provenance of the last run into `out`; a message says what to do where there are none, and
    where a row is there twice.

    The rows are those of methods; with `full` the references of pure noise are among them, and there is the column
    `CONTRIBUTIONS` (arrays, None where there are none).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = out / RESULTS
    if not path.is_file():
        raise UsageError(f"there are no results in {out} (no {RESULTS}); run `bench run --out {out}` first")
    try:
        table = pq.read_table(path)
        facts = json.loads((table.schema.metadata or {})[METADATA_KEY])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise BenchError(
            f"{path} is damaged or not ours ({error}); run the same `bench run` again to write it"
        ) from None
    frame = upgraded(table.to_pandas())
    frame = frame[[column for column in (*COLUMNS, *([CONTRIBUTIONS] if full else [])) if column in frame]]
    refuse_duplicates(frame, str(path))
    if full:
        return frame, facts
    return frame[frame["method"] != PURE_NOISE].reset_index(drop=True), facts
