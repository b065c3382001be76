"""Options that several commands share, reading comma-separated lists, and the configuration they change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.api.errors import UsageError

if TYPE_CHECKING:
    from bench.config import Config

OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder of results; without it that of bench.toml, the last run's, results/."),
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


def configured(
    path: Path | None, run: Mapping[str, Any], channel: str | None = None, options: Mapping[str, Any] | None = None
) -> Config:
    """The configuration with the command line's values, where they are not None, over the file's.

    `channel` is that of --channel; `options` are those of a channel that have a command-line option of their own.
    """
    from pydantic import ValidationError

    from bench.channels.registry import parse_channel
    from bench.config import Config, as_written, load_config

    config = load_config(path)
    section = config.channel.model_dump()
    if channel is not None:
        kind, named = parse_channel(channel)
        section = {**(section if section["kind"] == kind else {}), "kind": kind, **named}
    section |= {key: value for key, value in (options or {}).items() if value is not None}
    given = {key: value for key, value in run.items() if value is not None}
    try:
        return Config.model_validate(
            {
                "run": {**config.run.model_dump(), **given},
                "channel": section,
                "data": config.data,
                "methods": config.methods,
                "metrics": config.metrics,
                "regress": config.regress,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"--{str(first['loc'][1]).replace('_', '-')}: {first['msg']} (got {as_written(first['input'])})"
        ) from None
