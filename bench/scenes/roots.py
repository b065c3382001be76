"""Where the root of a data set comes from: the command line, the environment, or bench.toml, in this order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench.scenes.base import DataError


@dataclass(frozen=True)
class DataRoot:
    """A folder, and where it was named."""

    path: Path
    origin: str


def environment_variable(name: str) -> str:
    """The variable that names the root of a data set, for example GESCO_BENCH_COCO_STUFF_ROOT."""
    return f"GESCO_BENCH_{name.upper()}_ROOT"


def find_root(name: str, argument: Path | None = None, configured: Path | None = None) -> DataRoot | None:
    """The root of the data set `name`, whether or not the folder exists; None where nobody named one.

    `argument` is the value of --root; `configured` that of `root` under [data.NAME] in bench.toml.
    """
    if argument is not None:
        return DataRoot(argument.expanduser(), "--root")
    variable = environment_variable(name)
    if os.environ.get(variable):
        return DataRoot(Path(os.environ[variable]).expanduser(), variable)
    if configured is not None:
        return DataRoot(configured.expanduser(), f"[data.{name}] in bench.toml")
    return None


def require_root(
    name: str, how_to_get: str, layout: str, argument: Path | None = None, configured: Path | None = None
) -> Path:
    """The root of the data set `name`; DataError says the three ways to name one and where to get the data."""
    root = find_root(name, argument, configured)
    if root is None:
        raise DataError(
            f"{name} needs a data root: give --root FOLDER, set {environment_variable(name)}, or write "
            f'root = "FOLDER" under [data.{name}] in bench.toml. To get the data: {how_to_get}. '
            f"The folder has to hold {layout}"
        )
    if not root.path.is_dir():
        raise DataError(
            f"the root of {name}, {root.path} (from {root.origin}), is not a folder. To get the data: {how_to_get}"
        )
    return root.path
