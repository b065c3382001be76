"""Submissions in a folder of results (RESULTS/submissions/NAME.json, one file a method), and making one of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.api.errors import UsageError, known_name
from bench.api.files import write_atomically
from bench.api.registry import METHODS
from bench.api.scores import find_score, score_info
from bench.api.unpackaged import UNPACKAGED
from bench.leaderboard.board import fingerprint_of, read_runs, track_of, tracks_of
from bench.leaderboard.methods import about_result
from bench.leaderboard.submission import (
    VERSION,
    Submission,
    SubmissionError,
    as_file,
    check_data,
    printable,
    read_submission,
)
from bench.results.folder import holds_results
from bench.results.schema import BY_SCENE, CONTRIBUTIONS, EACH_SCENE, WHOLE_SET
from bench.results.scores import of_methods

if TYPE_CHECKING:
    import pandas as pd

    from bench.results.files import Run

FOLDER = "submissions"
KEYS = ("dataset", "split", "size", "scale", "channel", "psnr", "seed", "metric", "protocol")
#: What a submission keeps of a run's provenance.
COPIED = ("commit", "dirty", "date", "command", "devices", "packages", "python", "platform")
#: Characters of an option's value and of a command that `schema.json` allows.
LONGEST_OPTION, LONGEST_COMMAND = 120, 600
#: Significant digits of contributions, which results keep as float32.
DIGITS = 7


class Shelf:
    """The submissions beside the results in a folder, which may hold either without the other."""

    def __init__(self, results: Path) -> None:
        self.results = results

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The folder's results; empty where it holds none. Raises as `read_results` does where they are damaged."""
        return read_runs([self.results]) if holds_results(self.results) else ()

    def files(self) -> list[Path]:
        """The files of the submissions."""
        return sorted((self.results / FOLDER).glob("*.json"))

    def read(self) -> list[Submission]:
        """All submissions, by name.

        SubmissionError for one that is not valid, not named as its method is, or without a digest, which alone shows
        that its numbers are those that were added; UsageError where two have one name or were measured on other scenes.
        """
        found = []
        for file in self.files():
            submission = read_submission(file)
            if file.stem != submission.name:
                raise SubmissionError(
                    file, [f"its method is '{submission.name}', so it has to be {submission.name}.json"]
                )
            if not submission.sealed:
                raise SubmissionError(
                    file, ["it has no digest: move it out of the folder and put it in with `bench leaderboard add`"]
                )
            found.append(submission)
        self._check(found)
        return sorted(found, key=lambda submission: submission.name.lower())

    def check(self, file: Path) -> Submission:
        """The submission in `file`, valid and fit to stand beside the others; raises as `read` does."""
        submission = read_submission(file)
        there = [read_submission(other) for other in self.files() if other.resolve() != file.resolve()]
        self._check([*there, submission])
        return submission

    def add(self, file: Path) -> tuple[Submission, Path]:
        """Check `file` and store its content under its method's name; raises as `check` does."""
        submission = self.check(file)
        target = self.results / FOLDER / f"{submission.name}.json"
        write_atomically(target, as_file(submission.data))
        return submission, target

    def gaps(self, submission: Submission) -> list[str]:
        """What the results have and a submission lacks, a line a metric, and numbers that nothing compares with."""
        return [line for run in self.runs for line in _gaps(submission, run)]

    def _check(self, submissions: Sequence[Submission]) -> None:
        # no plug-in's: whoever submits a method has it installed, under the name of the submission most often
        taken = [*METHODS.built_in(), *(str(m) for run in self.runs for m in run.frame["method"].unique())]
        seen = {_folded(name): f"'{name}', a method of these results or of this benchmark" for name in taken}
        for submission in submissions:
            name = _folded(submission.name)
            if name in seen:
                raise UsageError(f"submission '{submission.name}' has the name of {seen[name]}; choose another name")
            seen[name] = f"'{submission.name}', another submission"
        tracks_of(self.runs, {s: s.frame() for s in submissions})


def _folded(name: str) -> str:
    """Names that look alike are one name."""
    return name.lower().replace("-", "_")


def _gaps(submission: Submission, run: Run) -> Iterator[str]:
    frame = submission.frame()
    own = of_methods(run.frame.assign(track=track_of(run.frame)))
    theirs = of_methods(frame.assign(track=track_of(frame)))
    for (track, channel), cells in theirs.groupby(["track", "channel"], sort=False):
        where = f"{track}, {channel}"
        mine = own[(own["track"] == track) & (own["channel"] == channel)]
        if mine.empty:
            yield f"{where}: these results have no such scenes and channel, so nothing is compared with it"
            continue
        for (metric, protocol), rows in mine.groupby(["metric", "protocol"], sort=False):
            have = cells[(cells["metric"] == metric) & (cells["protocol"] == protocol)]
            lacking = sorted(set(rows["psnr"]) - set(have["psnr"]), reverse=True)
            info = score_info(str(metric))
            if lacking and not info.of_originals and not info.part_of:
                at = f" at PSNR {', '.join(f'{p:g}' for p in lacking)}" if len(have) else ""
                yield f"{where}: no {metric}{at}"
        for metric, protocol in dict.fromkeys(zip(cells["metric"], cells["protocol"], strict=True)):
            if not ((mine["metric"] == metric) & (mine["protocol"] == protocol)).any():
                yield f"{where}: {metric} under the protocol '{protocol}' has nothing to compare with"


def export_submission(
    results: Path, method: str, out: Path, *, authors: Sequence[str], licence: str, title: str | None,
    paper: str | None, code: str | None,
) -> list[str]:  # fmt: skip
    """Write the numbers of a method as the submission `out`, whose stem is its name; the scores left out.

    Left out are scores that no metric installed here declares: nobody could check them. UsageError for a method that
    the results lack; SubmissionError, and no file, where it would not be valid, for example without a commit.
    """
    (run,) = read_runs([results])
    known = [str(m) for m in of_methods(run.frame)["method"].drop_duplicates()]
    method = known_name(method, known, "method", f" of the results in {results}")
    if not run.facts.get("commit"):
        raise UsageError(
            f"the results in {results} do not say at which commit of gesco-bench they were measured: run it from a "
            "clone of its repository (`pip install -e .` there) and measure again"
        )
    if UNPACKAGED in run.facts.get("methods", {}).get(method, {}):
        raise UsageError(
            f"{method} is code that no distribution holds, so nobody could repeat its numbers: make it a package "
            "(docs/how-to/method.md) and measure again"
        )
    about = about_result(method, [run])
    options = run.facts.get("methods", {}).get(method, {}).get("options")
    facts: dict[str, Any] = {
        "name": out.stem,
        "title": title or about.title,
        "authors": list(authors),
        "description": about.summary or None,
        "paper": paper,
        "code": code,
        "licence": licence,
        "options": options and {key: _plain(value) for key, value in options.items()},
    }
    rows = run.frame[run.frame["method"] == method]
    # a submission is about one list of scenes of a data set: the longest
    rows = rows[rows["scene_count"] == rows.groupby("dataset")["scene_count"].transform("max")]
    foreign = [str(m) for m in rows["metric"].unique() if find_score(str(m)) is None]
    data = {
        "schema": "gesco-bench-submission",
        "schema_version": VERSION,
        "method": {
            **{key: value for key, value in facts.items() if value is not None},
            "weights_sha256": run.facts.get("weights_sha256", {}).get(method),
        },
        "provenance": _provenance(run, rows),
        "results": _results(rows[~rows["metric"].isin(foreign)]),
    }
    check_data(data, out)
    write_atomically(out, as_file(data))
    return foreign


def _plain(value: Any) -> Any:
    """An option's value as a submission may have it: lists and the like as text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return printable(value if isinstance(value, str) else json.dumps(value), LONGEST_OPTION)


def _provenance(run: Run, rows: pd.DataFrame) -> dict[str, Any]:
    """Where the rows come from: the newest run that has any of their cells."""
    cells = set(rows["cell"])
    facts = next((one for one in reversed(run.facts["runs"]) if cells & set(one["cell_ids"])), run.facts)
    copied = {key: facts[key] for key in COPIED if facts.get(key) is not None}
    if "command" in copied:
        copied["command"] = printable(str(copied["command"]), LONGEST_COMMAND)
    lists = rows[["dataset", "scene_count"]].drop_duplicates().itertuples(index=False)
    fingerprints = {str(name): fingerprint_of(run, str(name), int(count)) for name, count in lists}
    return {**copied, "fingerprints": {name: digest for name, digest in fingerprints.items() if digest is not None}}


def _results(rows: pd.DataFrame) -> list[dict[str, Any]]:
    whole = rows[(rows["scene"] == WHOLE_SET) & ~rows["metric"].map(lambda name: score_info(name).of_originals)]
    single = rows[rows["scene"] == EACH_SCENE]
    scenes = dict(zip(single[list(KEYS)].itertuples(index=False, name=None), single[BY_SCENE], strict=True))
    found = []
    for row in whole.to_dict("records"):
        if not math.isfinite(row["value"]):  # a number that is undefined is no result
            continue
        own = scenes.get(tuple(row[key] for key in KEYS))
        result = {**{key: row[key] for key in KEYS}, "value": row["value"], "scenes": int(row["scenes"])}
        for key in ("mean_snr_db", "std", "stderr"):
            if math.isfinite(row[key]):
                result[key] = row[key]
        kept = row[CONTRIBUTIONS]
        if isinstance(kept, np.ndarray) and len(kept) == row["scenes"] and np.isfinite(kept).all():
            result["contributions"] = [float(f"{c:.{DIGITS}g}") for c in kept]
        if own is not None:
            result["per_scene"] = {str(scene): float(v) if math.isfinite(v) else None for scene, v in own.items()}
        found.append(result)
    return found
