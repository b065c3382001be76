"""Cityscapes in its official layout, and any data set that `bench data export` wrote in that layout.

Labels are `labelIds` 0..33 without remapping (slot 34, the licence plate, never occurs). Instances are the values of
`instanceIds` from 1000 on; below that the files repeat the label id, and the instance is 0 here. The official edge
channel comes from `instanceIds` whole, that is, from `where(instances > 0, instances, labels)`.
"""

from __future__ import annotations

from pathlib import Path

from bench.scenes.exported import ExportIndex, read_index
from bench.scenes.folder import FolderSource, Listing, files_by_id, pair
from bench.scenes.labels import CITYSCAPES

#: The endings of the three files of a scene, in the official layout.
IMAGE, LABELS, INSTANCES = "_leftImg8bit.png", "_gtFine_labelIds.png", "_gtFine_instanceIds.png"


class Cityscapes(FolderSource):
    """`leftImg8bit/SPLIT/CITY/*_leftImg8bit.png` with `gtFine/SPLIT/CITY/*_gtFine_{labelIds,instanceIds}.png`.

    The official test split is not offered: its labels are withheld, and the files in `gtFine/test` are placeholders.
    A root with a `dataset.json` is an export: name, label space, size, splits and scene ids are those of the data set
    that was exported.
    """

    name = "cityscapes"
    label_space = CITYSCAPES
    splits: tuple[str, ...] = ("train", "val")
    default_size = (256, 512)
    how_to_get = (
        "register at https://www.cityscapes-dataset.com, download leftImg8bit_trainvaltest.zip and "
        "gtFine_trainvaltest.zip and unpack both into one folder"
    )
    layout = "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png and gtFine/SPLIT/CITY/*_gtFine_{labelIds,instanceIds}.png"
    label_remedy = "it has to be a labelIds file with ids 0..34, not labelTrainIds and not colours"

    def __init__(self, root: Path, size: tuple[int, int] | None = None, resize: str = "spade") -> None:
        index = read_index(Path(root))
        super().__init__(root, size or (index.size if index else None), resize)
        self._index: ExportIndex | None = index
        if index is not None:
            # An export is the data set it was made from, so its rows must not be mistaken for Cityscapes's.
            self.name = index.dataset
            self.label_space = index.label_space
            self.splits = tuple(index.scenes)
            self.label_remedy = f"the export is damaged or was changed: export {index.dataset} again"

    def available_splits(self) -> list[str]:
        return [split for split in self.splits if (self.root / "leftImg8bit" / split).is_dir()]

    def _list(self, split: str) -> Listing:
        images, labels, instances = (
            self._cities(self.root / folder / split, ending)
            for folder, ending in (("leftImg8bit", IMAGE), ("gtFine", LABELS), ("gtFine", INSTANCES))
        )
        places = [
            str(self.root / folder / split / "*" / f"{{id}}{ending}")
            for folder, ending in (("leftImg8bit", IMAGE), ("gtFine", LABELS), ("gtFine", INSTANCES))
        ]
        listing = pair(images, [("label map", labels), ("instance map", instances)], places)
        return listing if self._index is None else self._index.with_original_ids(split, listing)

    def _cities(self, folder: Path, ending: str) -> dict[str, Path]:
        """The files of every city of a split by scene id."""
        found: dict[str, Path] = {}
        if folder.is_dir():
            for city in sorted(path for path in folder.iterdir() if path.is_dir()):
                found.update(files_by_id(city, [ending]))
        return found
