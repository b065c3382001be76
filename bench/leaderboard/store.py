"""Submissions in a folder of results: RESULTS/submissions/NAME.json, one file a method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from bench.api.errors import UsageError
from bench.api.files import write_atomically
from bench.api.registry import METHODS
from bench.leaderboard.board import Run, read_runs, track_of, tracks_of
from bench.leaderboard.submission import Submission, SubmissionError, as_file, read_submission
from bench.results.files import RESULTS
from bench.tables.measured import OF_ORIGINALS, of_methods

FOLDER = "submissions"


class Shelf:
    """The submissions beside the results in a folder, which may hold either without the other."""

    def __init__(self, results: Path) -> None:
        self.results = results

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The folder's results; empty where it holds none. Raises as `read_results` does where they are damaged."""
        return read_runs([self.results]) if (self.results / RESULTS).is_file() else ()

    def files(self) -> list[Path]:
        """The files of the submissions."""
        return sorted((self.results / FOLDER).glob("*.json"))

    def read(self) -> list[Submission]:
        """All submissions, by name. SubmissionError for one that is not valid, not named as its method is, or without a
        digest, which alone shows that its numbers are those that were added; UsageError where two have one name or were
        measured on other scenes than the results."""
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
        """What the results have and a submission lacks, a line for each metric, and numbers that nothing compares
        with."""
        return [line for run in self.runs for line in _gaps(submission, run)]

    def _check(self, submissions: Iterable[Submission]) -> None:

        # no plug-in's: whoever submits a method has it installed, under the name of the submission most often
        taken = [*METHODS.built_in(), *(str(m) for run in self.runs for m in run.frame["method"].unique())]
        seen = {_folded(name): f"'{name}', a method of these results or of this benchmark" for name in taken}
        kept = []
        for submission in submissions:
            name = _folded(submission.name)
            if name in seen:
                raise UsageError(f"submission '{submission.name}' has the name of {seen[name]}; choose another name")
            seen[name] = f"'{submission.name}', another submission"
            kept.append(submission)
        tracks_of(self.runs, {s: s.frame() for s in kept})


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
            if OF_ORIGINALS not in str(metric) and lacking:
                at = f" at PSNR {', '.join(f'{p:g}' for p in lacking)}" if len(have) else ""
                yield f"{where}: no {metric}{at}"
        for metric, protocol in dict.fromkeys(zip(cells["metric"], cells["protocol"], strict=True)):
            if not ((mine["metric"] == metric) & (mine["protocol"] == protocol)).any():
                yield f"{where}: {metric} under the protocol '{protocol}' has nothing to compare with"
