"""Every data set by name."""

from __future__ import annotations

from pathlib import Path

from bench.api.errors import nearest
from bench.api.scenes import DataError, SceneSource
from bench.data.camvid import CamVid
from bench.data.cityscapes import Cityscapes
from bench.data.coco_stuff import CocoStuff
from bench.data.folder import FolderSource
from bench.data.roots import require_root
from bench.data.streets_source import Streets
from bench.data.stuff_source import Stuff

DATASETS: dict[str, type[SceneSource]] = {
    source.name: source for source in (Streets, Stuff, Cityscapes, CocoStuff, CamVid)
}

#: Data sets that the project renders itself; any other one has a data root and belongs to the paper's scale.
EMBEDDED = frozenset({Streets.name, Stuff.name})


def open_dataset(
    name: str,
    root: Path | None = None,
    size: tuple[int, int] | None = None,
    configured: Path | None = None,
    resize: str = "spade",
) -> SceneSource:
    """The data set `name` at `size` (height, width).

    `root` is the value of --root, `configured` the root in bench.toml; the environment comes in between (see
    `roots.find_root`). Embedded data sets need no root and ignore it. `resize` names how pictures in files are made
    smaller (`images.RESIZE_RULES`). DataError for an unknown name or rule, a missing root or a size that is not
    positive.
    """
    if name not in DATASETS:
        raise DataError(f"there is no data set '{name}'{nearest(name, DATASETS)}")
    if size is not None and min(size) < 1:
        raise DataError(f"the size {size[0]}x{size[1]} of {name} is not a size: height and width have to be positive")
    dataset = DATASETS[name]
    if issubclass(dataset, FolderSource):
        return dataset(require_root(name, dataset.how_to_get, dataset.layout, root, configured), size, resize)
    if resize != "spade":
        raise DataError(f"{name} is rendered at its size: there is nothing to resize, so leave out `resize`")
    return dataset(size)
