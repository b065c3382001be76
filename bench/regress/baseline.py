"""Reading a baseline: somebody's results, so nothing in them is believed before it is checked.

`read_results` sees to it that what later stands in terminals, Markdown and XML is printable text of limited length,
that numbers are numbers, and that no row is there twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.errors import BenchError, UsageError
from bench.api.names import PURE_NOISE
from bench.results.files import RESULTS, read_results
from bench.results.merge import about_scenes
from bench.results.rows import WHOLE_SET

if TYPE_CHECKING:
    import pandas as pd

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
        """What the provenance says of a data set's scenes; UsageError where it says nothing."""
        rows = self.frame[self.frame["dataset"] == dataset]
        found = about_scenes(self.facts, dataset, int(rows["scene_count"].iloc[0]))
        if found is None or not isinstance(found.get("fingerprint"), str):
            raise UsageError(f"the provenance of {self.folder} does not describe {dataset}; write it with `bench run`")
        return found

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that were measured on any data set."""
        return list(dict.fromkeys(name for dataset in self.datasets for name in self.about(dataset)["metrics"]))

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
    if folder.is_file():
        raise UsageError(f"--baseline takes the folder of a run; {folder} is a file")
    try:
        frame, facts = read_results(folder, full=True)
    except UsageError:
        raise
    except (BenchError, OSError) as error:
        raise UsageError(f"the baseline cannot be read: {error}") from None
    frame = frame[frame["method"] != PURE_NOISE].reset_index(drop=True)
    if frame.empty:
        raise UsageError(f"{folder / RESULTS} holds no rows of any method")
    _check_cells(frame, folder / RESULTS)
    # scenes are compared one by one, so of each data set one list of them is the baseline: the longest
    frame = frame[frame["scene_count"] == frame.groupby("dataset")["scene_count"].transform("max")]
    return Baseline(folder, frame.reset_index(drop=True), facts)


def _check_cells(frame: pd.DataFrame, path: Path) -> None:
    """Every row belongs to one cell, seed and number of scenes."""
    import numpy as np

    for column in ("psnr", "seed", "scenes"):
        if not np.isfinite(frame[column].astype(float)).all():
            raise UsageError(f"{path}, column {column}: not all are finite")
