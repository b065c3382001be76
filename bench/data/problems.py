"""What can be wrong with a file of a data set, said so that a person can act on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.api.scenes import DataError


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a data root: the file, what is wrong with it, and what to do."""

    path: Path
    what: str
    remedy: str

    def __str__(self) -> str:
        return printable(f"{self.path} {self.what}; {self.remedy}")


class FileError(DataError):
    """A DataError about one file."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem

    def __reduce__(self) -> tuple[type[FileError], tuple[Problem]]:
        return FileError, (self.problem,)  # so that it survives the way back from a worker process


def printable(text: str) -> str:
    """`text` with escapes in the place of what must not reach a terminal: control characters and undecodable bytes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened(items: list[str], limit: int = 5) -> str:
    """The first `limit` items, comma-separated, and how many more there are."""
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
