"""Cityscapes in its official layout, and any data set that `bench data export` wrote in that layout.

Labels are `labelIds` 0..33 without remapping (slot 34, the licence plate, never occurs). Instances are the values of
`instanceIds` from 1000 on; below that the files repeat the label id, and the instance is 0 here. The official edge
channel comes from `instanceIds` whole, that is, from `where(instances > 0, instances, labels)`.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np

from bench.api.scenes import LabelSpace
from bench.data.export import IMAGE, INSTANCES, LABELS, ExportIndex, read_index
from bench.data.folder import FIRST_INSTANCE, FolderSource
from bench.data.images import Problem
from bench.data.listing import Found, Listing, SceneFiles, find_files, is_folder, merged, pair

#: What the official zips hold beside them.
_UNREAD = ("_gtFine_color.png", "_gtFine_polygons.json")
#: Pixels of which an instance file may contradict its label file. Both are drawn from the same polygons, so that
#: official files agree everywhere; files of another kind (8 bit, train ids, another scene's) differ in whole regions.
_MAX_CONTRADICTION = 0.01

#: Name and RGB colour of every label id, from Cityscapes's `helpers/labels.py`.
_LABELS = """
unlabeled 0 0 0, ego vehicle 0 0 0, rectification border 0 0 0, out of roi 0 0 0, static 0 0 0, dynamic 111 74 0,
ground 81 0 81, road 128 64 128, sidewalk 244 35 232, parking 250 170 160, rail track 230 150 140, building 70 70 70,
wall 102 102 156, fence 190 153 153, guard rail 180 165 180, bridge 150 100 100, tunnel 150 120 90, pole 153 153 153,
polegroup 153 153 153, traffic light 250 170 30, traffic sign 220 220 0, vegetation 107 142 35, terrain 152 251 152,
sky 70 130 180, person 220 20 60, rider 255 0 0, car 0 0 142, truck 0 0 70, bus 0 60 100, caravan 0 0 90,
trailer 0 0 110, train 0 80 100, motorcycle 0 0 230, bicycle 119 11 32, license plate 0 0 142
"""
_ENTRIES = [entry.rsplit(maxsplit=3) for entry in " ".join(_LABELS.split()).split(", ")]
#: Cityscapes's 35 label ids. Slot 34 stands for the licence plate, whose official id is -1 and which no label PNG
#: contains. Ids 0..3 are all "void"; none is declared `unknown`, because the methods send them as classes of their own.
CITYSCAPES = LabelSpace(
    name="cityscapes",
    names=tuple(name for name, *_ in _ENTRIES),
    palette=tuple((int(red), int(green), int(blue)) for _, red, green, blue in _ENTRIES),
    evaluated=(7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33),
    things=tuple(range(24, 34)),
    never=(34,),
)


class Cityscapes(FolderSource):
    """`leftImg8bit/SPLIT/CITY/*_leftImg8bit.png` with `gtFine/SPLIT/CITY/*_gtFine_{labelIds,instanceIds}.png`.

    The official test split is not offered: its labels are withheld, and the files in `gtFine/test` are placeholders.
    A root with a `dataset.json` is an export: name, label space, size, splits and scene ids are those of the data set
    that was exported.
    """

    name = "cityscapes"
    title = "Cityscapes"
    counterpart = "cityscapes"
    guidance = 2.0
    counts_every_label = True
    evaluators: ClassVar = {
        "segmenter": tuple(f"{drn}@{rule}" for drn in ("drn_d_105", "drn_d_22") for rule in ("generated", "full")),
        "detector": ("detr_resnet_50",),
        "depth": ("dpt_large",),
    }
    coco_classes: ClassVar = {
        "person": 24, "car": 26, "truck": 27, "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
    }  # fmt: skip
    #: COCO has no riders: who rides is a person, and what is ridden an object of its own.
    coco_answers: ClassVar = {25: 24}
    label_space = CITYSCAPES
    splits: tuple[str, ...] = ("train", "val")
    default_size = (256, 512)
    how_to_get = (
        "register at https://www.cityscapes-dataset.com, download leftImg8bit_trainvaltest.zip and "
        "gtFine_trainvaltest.zip and unpack both into one folder"
    )
    layout = "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png and gtFine/SPLIT/CITY/*_gtFine_{labelIds,instanceIds}.png"
    label_remedy = "it has to be a labelIds file with ids 0..33, not labelTrainIds and not colours"

    def __init__(self, root: Path, size: tuple[int, int] | None = None, resize: str = "spade") -> None:
        index = read_index(Path(root))
        super().__init__(root, size or (index.size if index else None), resize)
        self._index: ExportIndex | None = index
        if index is not None:
            # An export is the data set it was made from, so its rows must not be mistaken for Cityscapes's.
            self.name = index.dataset
            self.label_space = index.label_space
            self.splits = tuple(index.scenes)
            self.values = tuple(range(self.label_space.size))
            self.never = ()  # the data set that was exported knew its ids, and the files have digests
            self.label_remedy = f"the export is damaged or was changed: export {index.dataset} again"

    def available_splits(self) -> list[str]:
        """The splits with a folder of pictures."""
        return [split for split in self.splits if is_folder(self.root / "leftImg8bit" / split)]

    def _list(self, split: str) -> Listing:
        kinds = (
            ("leftImg8bit", IMAGE, ()),
            ("gtFine", LABELS, (INSTANCES, *_UNREAD)),
            ("gtFine", INSTANCES, (LABELS,)),
        )
        images, labels, instances = (
            self._cities(self.root / folder / split, ending, known) for folder, ending, known in kinds
        )
        places = [str(self.root / folder / split / "*" / f"{{id}}{ending}") for folder, ending, _ in kinds]
        listing = pair(images, [("label map", labels), ("instance map", instances)], places)
        return listing if self._index is None else self._index.with_original_ids(self.root, split, listing)

    def _look_at_other_files(self, split: str) -> Listing:
        if self._index is None:
            return Listing({}, [])
        return Listing({}, self._index.outdated(self.root, split), self._index.notes((self.height, self.width)))

    def _scene_problems(self, split: str, files: SceneFiles) -> list[Problem]:
        return [] if self._index is None else self._index.changes(self.root, files)

    def _contradictions(self, files: SceneFiles, labels: np.ndarray, instances: np.ndarray) -> list[Problem]:
        if self._index is not None or files.instances is None:
            return []  # other data sets' instance ids say nothing of labels
        said = np.where(instances >= FIRST_INSTANCE, instances // FIRST_INSTANCE, instances)
        share = float((said != labels).mean())
        if share <= _MAX_CONTRADICTION:
            return []
        what = f"contradicts the labels in {files.labels.name} at {share:.0%} of the pixels"
        remedy = "they have to be labelIds and instanceIds (16 bits) of one scene: restore them"
        return [Problem(files.instances, what, remedy)]

    def _cities(self, folder: Path, ending: str, known: tuple[str, ...]) -> Found:
        """The files of every city of a split by scene id."""
        cities = find_files(folder, [])
        places = [path for path in cities.others if path.is_dir() and not path.name.startswith(".")]
        strays = [path for path in cities.others if path not in places]
        found = merged(folder, (find_files(city, [ending], known) for city in places), strays)
        found.problems += cities.problems
        return found
