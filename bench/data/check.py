"""Verify a data root: everything that is wrong with it, not only the first thing."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.data.folder import FolderSource
from bench.data.listing import SceneFiles
from bench.data.problems import Problem


@dataclass(frozen=True)
class CheckReport:
    """How many complete scenes each split has, every problem found, and what is worth knowing."""

    scenes: dict[str, int]
    problems: list[Problem]
    notes: list[str] = field(default_factory=list)


def check(source: FolderSource, split: str | None = None, jobs: int = 1, progress: bool = True) -> CheckReport:
    """Decode every file of one split, or of all splits that are there, in `jobs` threads.

    Found is what stops a run over these scenes, because both go through `FolderSource.survey` and `examine`. DataError
    for a split that does not exist.
    """
    splits = [split] if split is not None else source.available_splits()
    if not splits:
        return CheckReport({}, [Problem(source.root, "holds no split", f"it has to hold {source.layout}")])
    scenes: dict[str, int] = {}
    problems: list[Problem] = []
    notes: list[str] = []
    for name in splits:
        listing = source.survey(name)
        scenes[name] = len(listing.scenes)
        problems += listing.problems
        notes += listing.notes
        if not listing.scenes and not listing.problems:
            problems.append(Problem(source.root, f"has no file in its split {name}", f"it has to hold {source.layout}"))
        problems += _check_scenes(source, name, list(listing.scenes.values()), jobs, progress)
    # a file that many scenes share is named once
    return CheckReport(scenes, list(dict.fromkeys(problems)), list(dict.fromkeys(notes)))


def _check_scenes(
    source: FolderSource, split: str, files: list[SceneFiles], jobs: int, progress: bool
) -> list[Problem]:
    from joblib import Parallel, delayed
    from rich.console import Console
    from rich.progress import track

    found = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")(
        delayed(source.examine)(split, one) for one in files
    )
    console = Console(stderr=True)
    reports = track(found, f"{source.name} {split}", len(files), console=console, disable=not progress)
    return [problem for _, problems in reports for problem in problems]
