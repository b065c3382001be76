"""Verify a data root: everything that is wrong with it, not only the first thing."""

from __future__ import annotations

from dataclasses import dataclass

from bench.scenes.folder import FolderSource, SceneFiles
from bench.scenes.images import verify_checksums
from bench.scenes.problems import FileError, Problem


@dataclass(frozen=True)
class CheckReport:
    """How many complete scenes each split has, and every problem found."""

    scenes: dict[str, int]
    problems: list[Problem]


def check(source: FolderSource, split: str | None = None, jobs: int = 1, progress: bool = True) -> CheckReport:
    """Decode every file of one split, or of all splits that are there, in `jobs` threads.

    Found are: missing and unpaired files, files that cannot be decoded or whose checksums are wrong, maps of another
    size than their image, and label values that do not exist. DataError for a split that does not exist.
    """
    splits = [split] if split is not None else source.available_splits()
    if not splits:
        return CheckReport({}, [Problem(source.root, "holds no split", f"it has to hold {source.layout}")])
    scenes: dict[str, int] = {}
    problems: list[Problem] = []
    for name in splits:
        listing = source.listing(name)
        scenes[name] = len(listing.scenes)
        problems += listing.problems
        if not listing.scenes and not listing.problems:
            problems.append(Problem(source.root, f"has no file in its split {name}", f"it has to hold {source.layout}"))
        problems += _check_scenes(source, name, list(listing.scenes.values()), jobs, progress)
    return CheckReport(scenes, problems)


def _check_scenes(
    source: FolderSource, split: str, files: list[SceneFiles], jobs: int, progress: bool
) -> list[Problem]:
    from joblib import Parallel, delayed
    from rich.console import Console
    from rich.progress import track

    found = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")(
        delayed(_check_scene)(source, split, one) for one in files
    )
    console = Console(stderr=True)
    reports = track(found, f"{source.name} {split}", len(files), console=console, disable=not progress)
    return [problem for report in reports for problem in report]


def _check_scene(source: FolderSource, split: str, files: SceneFiles) -> list[Problem]:
    """Everything wrong with one scene, at most one problem about reading a file."""
    try:
        problems = source.examine(split, files)[1]
    except FileError as error:  # a file that many scenes share, such as COCO's annotations
        problems = [error.problem]
    unreadable = {problem.path for problem in problems}
    for path in files.paths:
        if path not in unreadable:
            try:
                verify_checksums(path)
            except FileError as error:
                problems.append(error.problem)
    return problems
