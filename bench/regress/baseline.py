"""Reading a baseline, and what else differs between it and a rerun, so that a reader sees why numbers do.

A baseline is somebody's results, so nothing in them is believed before it is checked.

`read_results` sees to it that what later stands in terminals, Markdown and XML is printable text of limited length,
that numbers are numbers, and that no row is there twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.api.errors import BenchError, UsageError
from bench.api.names import PURE_NOISE
from bench.regress.model import Change
from bench.regress.words import plain
from bench.results.files import Run, read_results
from bench.results.merge import about_scenes
from bench.results.schema import EACH_SCENE
from bench.results.tidy import scenes_of

if TYPE_CHECKING:
    import pandas as pd

PLAIN = ("python", "platform", "cpu", "devices", "jobs", "batch_size")
CELL = ["channel", "method", "psnr", "seed"]


class Baseline(Run):
    """Checked results: rows of methods, and the run's provenance."""

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
        rows = self.frame[(self.frame["dataset"] == dataset) & (self.frame["scene"] == EACH_SCENE)]
        sets = {tuple(scenes_of(cell)) for _, cell in rows.groupby(CELL)}
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
        frame, facts = read_results(folder)
    except UsageError:
        raise
    except (BenchError, OSError) as error:
        raise UsageError(f"the baseline cannot be read: {error}") from None
    frame = frame[frame["method"] != PURE_NOISE].reset_index(drop=True)
    if frame.empty:
        raise UsageError(f"{folder} holds no rows of any method")
    for column in ("psnr", "seed", "scenes"):  # every row belongs to one cell, seed and number of scenes
        if not np.isfinite(frame[column].astype(float)).all():
            raise UsageError(f"{folder}, column {column}: not all are finite")
    # scenes are compared one by one, so of each data set one list of them is the baseline: the longest
    frame = frame[frame["scene_count"] == frame.groupby("dataset")["scene_count"].transform("max")]
    return Baseline(folder, frame.reset_index(drop=True), facts)


def list_changes(
    baseline: pd.DataFrame, rerun: pd.DataFrame, facts: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> list[Change]:
    """Differences of code, packages, machine, weights, options and channel; texts are printable and short.

    `baseline` and `rerun` hold the rows of the cells compared, `facts` the provenance of both.
    """
    old, new = facts
    pairs: list[tuple[str, Any, Any]] = [("code", _commit(old), _commit(new))]
    pairs += [(key, old.get(key), new.get(key)) for key in PLAIN]
    pairs += [(name, was, now) for name, was, now in _of_mappings(old.get("packages"), new.get("packages"))]
    datasets = [str(name) for name in rerun["dataset"].unique()]
    for dataset in datasets:
        was, now = (about_scenes(told, dataset) or {"methods": {}, "metrics": {}} for told in facts)
        both = [set(frame[frame["dataset"] == dataset]["method"]) for frame in (baseline, rerun)]
        where = f" on {dataset}" if len(datasets) > 1 else ""
        found = list(_methods(was, now, sorted(both[0] & both[1])))
        # metrics that both measured (protocol and weights are equal by now)
        for name in sorted(was["metrics"].keys() & now["metrics"].keys()):
            told = _of_mappings(was["metrics"][name], now["metrics"][name])
            found += [(f"{key} of {name}", then, today) for key, then, today in told]
        pairs += [(f"{what}{where}", then, today) for what, then, today in found]
    pairs += list(_channels(baseline, rerun))
    pairs.append(("seeds", _listed(baseline["seed"]), _listed(rerun["seed"])))
    return [Change(plain(what), _short_text(was), _short_text(now)) for what, was, now in pairs if was != now]


def _commit(facts: Mapping[str, Any]) -> str:
    commit = facts.get("commit")
    return f"{str(commit)[:12]}{' with changes' if facts.get('dirty') else ''}" if commit else "no commit known"


def _short_text(value: object) -> str:
    if value is None:
        return "unknown"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else plain(text, 120)


def _of_mappings(old: object, new: object) -> Iterator[tuple[str, Any, Any]]:
    """Differences of two mappings, key by key; anything that is no mapping counts as an empty one."""
    was, now = (x if isinstance(x, Mapping) else {} for x in (old, new))
    for key in dict.fromkeys([*was, *now]):
        if was.get(key) != now.get(key):
            yield str(key), was.get(key), now.get(key)


def _methods(old: Mapping[str, Any], new: Mapping[str, Any], specs: list[str]) -> Iterator[tuple[str, Any, Any]]:
    """Weights, and options and code version where both runs wrote them down."""
    for spec in specs:
        before, after = (told["methods"].get(spec) or {} for told in (old, new))
        yield f"weights of {spec}", before.get("weights_sha256"), after.get("weights_sha256")
        for key, then, today in _of_mappings(before, after) if before and after else ():
            if key == "options":
                for option, one, other in _of_mappings(then, today):
                    yield f"option {option} of {spec}", one, other
            elif key != "weights_sha256":
                yield f"{key} of {spec}", then, today


def _channels(baseline: pd.DataFrame, rerun: pd.DataFrame) -> Iterator[tuple[str, Any, Any]]:
    """The noise behind each channel and PSNR of both."""

    def sigmas(frame: pd.DataFrame) -> dict[tuple[str, float], float]:
        first = frame.dropna(subset="psnr").drop_duplicates(["channel", "psnr"])
        return {(str(c), float(p)): s for c, p, s in zip(first["channel"], first["psnr"], first["sigma"], strict=True)}

    was, now = sigmas(baseline), sigmas(rerun)
    for channel, psnr in sorted(was.keys() & now.keys()):
        yield f"sigma of {channel}@{psnr:g}", was[channel, psnr], now[channel, psnr]


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(str(v) for v in sorted({int(v) for v in values}))
