"""Options that several commands share, and reading comma-separated lists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UsageError

OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder of a run; without it the last run's, else results/.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A bench.toml; without it ./bench.toml, else the defaults.")
]


def names(text: str) -> tuple[str, ...]:
    """`a, b` -> ("a", "b")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers(text: str, what: str) -> tuple[float, ...]:
    """`15,10` -> (15.0, 10.0); UsageError names what is no number."""
    found = []
    for part in names(text):
        try:
            found.append(float(part))
        except ValueError:
            raise UsageError(f"{what} '{part}' is not a number; write for example {what} 15,10") from None
    return tuple(found)


def integers(text: str, what: str) -> tuple[int, ...]:
    """`0,1` -> (0, 1); UsageError names what is no whole number."""
    found = []
    for part in names(text):
        try:
            found.append(int(part))
        except ValueError:
            raise UsageError(f"{what} '{part}' is not a whole number; write for example {what} 0,1") from None
    return tuple(found)
