"""Tidy rows of a run and where they came from: results.parquet, results.csv and provenance.json, each written whole.

One row is one number: data set, split, size, scale, method, channel, psnr, sigma, true_snr_db, seed, scene, metric,
value, std, scenes, higher_is_better, protocol. `scene` is "all" for a number about the whole set. Bits, channel uses,
seconds and memory are rows as well. Rows of the method `pure_noise`, without channel or PSNR, are what the metrics say
of pure noise (bench/reference.py). The Parquet file has one column more, `draws`: for set-level scores that are no mean
of per-scene values, what they are on resampled scenes (bench/bootstrap.py), so that tables find ties without the cache.

The files describe the last run into their folder; cells of earlier runs stay cached, so
a run that names all methods gathers them at no cost.
"""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.bootstrap import FEWEST_SCENES, scene_counts
from bench.cache import write_atomically
from bench.errors import BenchError, UsageError
from bench.names import PURE_NOISE

if TYPE_CHECKING:
    import pandas as pd

    from bench.cache import Entry
    from bench.plan import Plan
    from bench.runner import CellState, RunReport

SCHEMA = 1
RESULTS = "results.parquet"
WHOLE_SET = "all"
COLUMNS = (
    "dataset", "split", "size", "scale", "method", "channel", "psnr", "sigma", "true_snr_db", "seed", "scene",
    "metric", "value", "std", "scenes", "higher_is_better", "protocol",
)  # fmt: skip
DRAWS = "draws"
NO_CHANNEL = "none"
METADATA_KEY = b"gesco_bench"
BITS_PROTOCOL = "payload under the method's codec, side information included, a scene"
USES_PROTOCOL = "real symbols on the analogue channel, a scene"
SECONDS_PROTOCOL = "sender, channel and receiver on one worker, a scene"
MEMORY_PROTOCOL = "peak of the worker while it computes the cell, MiB: resident on a CPU, allocated by torch on a GPU"


def _value(number: float | None) -> float:
    return float("nan") if number is None else float(number)


def _draws(entry: Entry, scenes: int) -> dict[str, np.ndarray]:
    """Draws of a measurement's set-level scores from its cached arrays, by score; only those that need the arrays."""
    from bench.cell import read_arrays
    from metrics.base import Metric
    from metrics.registry import metric_class

    kind = metric_class(entry.manifest["metric"])
    if scenes < FEWEST_SCENES or kind.resampled.__func__ is Metric.resampled.__func__:  # type: ignore[attr-defined]
        return {}
    return {name: d.astype(np.float32) for name, d in kind.resampled(read_arrays(entry), scene_counts(scenes)).items()}


def _cell_rows(state: CellState) -> Iterator[dict[str, Any]]:
    cell, pictures = state.cell, state.pictures
    if pictures is None:
        return
    channel = cell.channel
    base: dict[str, Any] = {
        "dataset": cell.scenes.dataset,
        "split": cell.scenes.split,
        "size": f"{cell.scenes.size[0]}x{cell.scenes.size[1]}",
        "scale": cell.method.profile,
        "method": cell.method.spec,
        "channel": channel.label.partition("@")[0],
        "psnr": float(channel.psnr),
        "sigma": channel.sigma,
        "true_snr_db": channel.true_snr_db,
        "seed": cell.seed,
    }
    reference = cell.method.spec == PURE_NOISE
    if reference:
        nan = float("nan")
        base |= {"channel": NO_CHANNEL, "psnr": nan, "sigma": nan, "true_snr_db": nan}

    def row(scene: str, metric: str, value: Any, std: Any, scenes: int, better: Any, protocol: str) -> dict[str, Any]:
        if isinstance(better, dict):  # by score; measurements of older runs have one for all
            better = better[metric]
        numbers = {"value": _value(value), "std": _value(std), "scenes": scenes}
        return {
            **base, "scene": scene, "metric": metric, **numbers, "higher_is_better": better, "protocol": protocol,
        }  # fmt: skip

    ids = [scene["id"] for scene in pictures.manifest["scenes"]]
    for entry in state.scores.values():
        facts = entry.manifest
        better, protocol = facts["higher_is_better"], facts["protocol"]
        draws = {} if reference else _draws(entry, len(ids))
        for score in facts["scores"]:
            whole = row(WHOLE_SET, score["metric"], score["value"], score["std"], score["scenes"], better, protocol)
            yield {**whole, DRAWS: draws.get(score["metric"])}
        if reference:
            continue
        for name, values in facts["per_scene"].items():
            for scene_id, value in zip(ids, values, strict=True):
                yield row(scene_id, name, value, None, 1, better, protocol)
    if reference:
        return
    for name, protocol in (("bits", BITS_PROTOCOL), ("channel_uses", USES_PROTOCOL)):
        values = np.array([scene[name] for scene in pictures.manifest["scenes"]], dtype=np.float64)
        yield row(WHOLE_SET, name, values.mean(), values.std(), len(ids), False, protocol)
        for scene_id, value in zip(ids, values, strict=True):
            yield row(scene_id, name, value, None, 1, False, protocol)
    seconds = pictures.manifest["seconds"] / len(ids)
    yield row(WHOLE_SET, "seconds", seconds, None, len(ids), False, SECONDS_PROTOCOL)
    if (peak := pictures.manifest.get("peak_mib")) is not None:  # cells of older runs have none
        yield row(WHOLE_SET, "memory", peak, None, len(ids), False, MEMORY_PROTOCOL)


def tidy_rows(states: list[CellState]) -> pd.DataFrame:
    """All numbers of the cells, in the plan's order, as a frame with `COLUMNS` and `DRAWS`."""
    import pandas as pd

    return pd.DataFrame([row for state in states for row in _cell_rows(state)], columns=[*COLUMNS, DRAWS])


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
    """Write the three files, each atomically; the Parquet file, which tables and plots read, comes last."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = json.dumps(facts, indent=1)
    write_atomically(out / "provenance.json", (text + "\n").encode())
    header = "".join(f"# {key}: {json.dumps(value)}\n" for key, value in facts.items())
    plain = frame[list(COLUMNS)]
    write_atomically(out / "results.csv", (header + plain.to_csv(index=False)).encode())
    table = pa.Table.from_pandas(plain, preserve_index=False)
    if DRAWS in frame:
        draws = [d if isinstance(d, np.ndarray) else None for d in frame[DRAWS]]
        table = table.append_column(DRAWS, pa.array(draws, pa.list_(pa.float32())))
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), METADATA_KEY: text.encode()})
    buffer = io.BytesIO()
    # draws hardly repeat: split into bytes and packed with zstd they take half of what Parquet makes of them by itself
    split = [f"{DRAWS}.list.element"] if DRAWS in table.column_names else []
    pq.write_table(table, buffer, compression="zstd", use_dictionary=list(COLUMNS), use_byte_stream_split=split)
    write_atomically(out / RESULTS, buffer.getvalue())


def read_results(out: Path, full: bool = False) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows and the provenance of the last run into `out`; a message says what to do where there are none.

    The rows are those of methods; with `full` the references of pure noise are among them, and there is the column
    `DRAWS` (arrays, None where there are none) if the run kept any.
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
    if full:
        return table.to_pandas(), facts
    frame = table.select(list(COLUMNS)).to_pandas()
    return frame[frame["method"] != PURE_NOISE].reset_index(drop=True), facts
