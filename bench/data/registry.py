"""Opening a data set by name (entry-point group `bench.datasets`) or by its folder, and where its root comes from.

`folder:PATH` is a folder of the user's own (bench/data/own.py); one whose root bench.toml says has a name as well. A
root is named on the command line, in the environment, or in bench.toml, in this order.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.errors import DataError, known_name
from bench.api.registry import DATASETS
from bench.api.scenes import SceneSource
from bench.data.folder import FolderSource
from bench.data.listing import is_folder
from bench.data.own import CLASSES, SCHEME, OwnScenes

if TYPE_CHECKING:
    from bench.config import DataSection


def known_dataset(typed: str, sections: Mapping[str, DataSection]) -> str:
    """The data set that was typed, whatever its case, `folder:PATH` by its whole path.

    `sections` are those of bench.toml: one with a root may name a folder of the user's own. UsageError with the nearest
    name where there is none.
    """
    if typed.startswith(SCHEME):  # results are read from other folders than they were made in
        return f"{SCHEME}{Path(typed.removeprefix(SCHEME)).expanduser().absolute()}"
    return known_name(typed, [*DATASETS.names(), *own_names(sections)], "data set")


def own_names(sections: Mapping[str, DataSection]) -> list[str]:
    """Names of the data sets of the user's own that bench.toml has a root of."""
    own = (name for name, section in sections.items() if section.root and (section.root / CLASSES).is_file())
    return [name for name in own if name not in DATASETS.names()]


def open_dataset(
    name: str,
    root: Path | None = None,
    size: tuple[int, int] | None = None,
    configured: Path | None = None,
    resize: str = "spade",
) -> SceneSource:
    """The data set `name` at `size` (height, width).

    `name` is registered, `folder:PATH`, or that of a folder of the user's own whose root is said. `root` is the value
    of --root, `configured` the root in bench.toml; the environment comes in between (see
    `find_root`). Rendered data sets need no root and ignore it. `resize` names how pictures in files are made
    smaller (`images.RESIZE_RULES`). DataError for an unknown name or rule, a missing root or a size that is not
    positive.
    """
    if size is not None and min(size) < 1:
        raise DataError(f"the size {size[0]}x{size[1]} of {name} is not a size: height and width have to be positive")
    if name.startswith(SCHEME):
        return OwnScenes(root or Path(name.removeprefix(SCHEME)).expanduser(), size, resize)
    if name not in DATASETS.names() and (folder := root or configured):
        source = OwnScenes(folder, size, resize)
        if source.name != name:
            raise DataError(
                f"{folder / CLASSES} names the data set '{source.name}', not '{name}': write one name in both"
            )
        return source
    dataset = DATASETS.load(name)
    if issubclass(dataset, FolderSource):
        return dataset(_require_root(name, dataset, root, configured), size, resize)
    if resize != "spade":
        raise DataError(f"{name} is rendered at its size: there is nothing to resize, so leave out `resize`")
    return dataset(size)


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
    variable = environment_variable(name)
    named = {"--root": argument, variable: os.environ.get(variable) or None, f"[data.{name}] in bench.toml": configured}
    for origin, path in named.items():
        if path is not None:
            try:
                return DataRoot(Path(path).expanduser(), origin)
            except RuntimeError:
                told = f"there is no home directory for {path} (from {origin}); write the whole path"
                raise DataError(told) from None
    return None


def _require_root(name: str, dataset: type[FolderSource], argument: Path | None, configured: Path | None) -> Path:
    """The root of the data set `name`; DataError says the three ways to name one and where to get the data."""
    root = find_root(name, argument, configured)
    if root is None:
        raise DataError(
            f"{name} needs a data root: give --root FOLDER, set {environment_variable(name)}, or write "
            f'root = "FOLDER" under [data.{name}] in bench.toml. To get the data: {dataset.how_to_get}. '
            f"The folder has to hold {dataset.layout}"
        )
    if not is_folder(root.path):
        told = f"the root of {name}, {root.path} (from {root.origin}), is not a folder"
        raise DataError(f"{told}. To get the data: {dataset.how_to_get}")
    return root.path
