"""Reading a baseline: somebody's results, so nothing in them is believed before it is checked.

Only Parquet and JSON are read. What later stands in terminals, Markdown and XML is printable text of limited length;
numbers are numbers; no row is there twice (bench/results.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, UsageError
from bench.names import PURE_NOISE
from bench.results import RESULTS, read_results
from bench.rows import COLUMNS, WHOLE_SET

if TYPE_CHECKING:
    import pandas as pd

#: 50 methods x 7 PSNRs x 500 scenes x 10 metrics are 1.75 million rows.
MOST_ROWS = 5_000_000
LONGEST_TEXT = 300
TEXTS = ("dataset", "split", "size", "scale", "method", "channel", "scene", "metric", "protocol")
NUMBERS = ("psnr", "sigma", "peak_snr_db", "mean_snr_db", "seed", "value", "std", "stderr", "scenes")
CELL = ["channel", "method", "psnr", "seed"]


@dataclass(frozen=True)
class Baseline:
    """Checked results: rows of methods (with `contributions` where the run kept any) and the run's provenance."""

    folder: Path
    frame: pd.DataFrame
    facts: Mapping[str, Any]

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets, in the order of the rows."""
        return list(dict.fromkeys(self.frame["dataset"]))

    def about(self, dataset: str) -> Mapping[str, Any]:
        """What the provenance says of a data set; UsageError where it says nothing."""
        found = self.facts["datasets"].get(dataset)
        if not isinstance(found, dict) or not isinstance(found.get("fingerprint"), str):
            raise UsageError(f"the provenance of {self.folder} does not describe {dataset}; write it with `bench run`")
        return found

    def ids(self, dataset: str) -> tuple[str, ...]:
        """The data set's scenes in order; UsageError without per-scene rows, or where cells differ in them."""
        rows = self.frame[(self.frame["dataset"] == dataset) & (self.frame["scene"] != WHOLE_SET)]
        sets = {tuple(dict.fromkeys(scenes)) for _, scenes in rows.groupby(CELL)["scene"]}
        if len(sets) != 1:
            what = "has no values of single scenes" if not sets else "holds cells over different scenes"
            raise UsageError(
                f"{self.folder} {what} of {dataset}; one `bench run` over all methods writes what is needed"
            )
        return sets.pop()


def read_baseline(folder: Path) -> Baseline:
    """The results in a folder; UsageError says what is wrong with them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / RESULTS
    if folder.is_file():
        raise UsageError(f"--baseline takes the folder of a run; {folder} is a file")
    try:
        if path.is_file() and (rows := pq.read_metadata(path).num_rows) > MOST_ROWS:
            raise UsageError(f"{path} has {rows:,} rows; at most {MOST_ROWS:,} are read")
        frame, facts = read_results(folder, full=True)
    except UsageError:
        raise
    except (BenchError, pa.ArrowException, OSError) as error:
        raise UsageError(f"the baseline cannot be read: {error}") from None
    _check_facts(facts, path)
    _check_columns(frame, path)
    frame = frame[frame["method"] != PURE_NOISE].reset_index(drop=True)
    if frame.empty:
        raise UsageError(f"{path} holds no rows of any method")
    _check_cells(frame, path)
    return Baseline(folder, frame, facts)


def _check_facts(facts: object, path: Path) -> None:
    if not isinstance(facts, dict) or not all(isinstance(facts.get(key), dict) for key in ("datasets", "metrics")):
        raise UsageError(f"{path} lacks the provenance that `bench run` writes (datasets, metrics)")
    for name in (*facts["datasets"], *facts["metrics"]):
        _check_text(name, path, "the provenance")


def _check_text(text: object, path: Path, where: str) -> None:
    if not isinstance(text, str) or not text or len(text) > LONGEST_TEXT or not text.isprintable():
        raise UsageError(f"{path}, {where}: {ascii(text)[:60]} is not printable text of 1 to {LONGEST_TEXT} characters")


def _check_columns(frame: pd.DataFrame, path: Path) -> None:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise UsageError(f"{path} lacks the column(s) {', '.join(missing)}; write it with this version's `bench run`")
    for column in TEXTS:
        for text in frame[column].unique():
            _check_text(text, path, f"column {column}")
    for column in NUMBERS:
        if not is_numeric_dtype(frame[column]) or is_bool_dtype(frame[column]):
            raise UsageError(f"{path}, column {column}: not all are numbers")
    if not is_bool_dtype(frame["higher_is_better"]):
        raise UsageError(f"{path}, column higher_is_better: not all are true or false")


def _check_cells(frame: pd.DataFrame, path: Path) -> None:
    """Every row belongs to one cell, seed and number of scenes."""
    import numpy as np

    for column in ("psnr", "seed", "scenes"):
        if not np.isfinite(frame[column].astype(float)).all():
            raise UsageError(f"{path}, column {column}: not all are finite")
