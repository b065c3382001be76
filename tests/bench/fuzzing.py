"""A command line in this process, and kinds of input that are damaged for it (fuzz_texts.py, fuzz_files.py)."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from mutations import damaged_bytes

import bench.cli


@dataclass
class Answer:
    code: object
    text: str


def answer(arguments: list[str]) -> Answer:
    """What `bench ARGUMENTS` comes to, in this process; an error that is nobody's message comes out as it is."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    before = sys.argv
    sys.argv = ["bench", *arguments]
    code: object = 0
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            bench.cli.main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = before
    return Answer(code, output.buffer.getvalue().decode("utf-8"))  # type: ignore[attr-defined]


#: (folder, random numbers) -> the command line; the folder is as `prepare` left it.
Attempt = Callable[[Path, Random], list[str]]


@dataclass(frozen=True)
class Kind:
    """A kind of input: `prepare` writes a good one into a folder, `attempt` damages it and names a command.
    `fresh` folders are copied anew for each attempt."""

    prepare: Callable[[Path], None]
    attempt: Attempt
    fresh: bool = True


KINDS: dict[str, Kind] = {}


def kind(
    name: str, prepare: Callable[[Path], None] = lambda folder: None, fresh: bool = True
) -> Callable[[Attempt], Attempt]:
    def register(attempt: Attempt) -> Attempt:
        KINDS[name] = Kind(prepare, attempt, fresh)
        return attempt

    return register


def damage(file: Path, rng: Random) -> None:
    file.write_bytes(damaged_bytes(file.read_bytes(), rng))


def any_file(folder: Path, rng: Random) -> Path:
    return rng.choice(sorted(p for p in folder.rglob("*") if p.is_file()))


def words(text: str) -> list[str]:
    """A command line without quotes."""
    return text.split()
