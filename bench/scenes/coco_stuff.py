"""COCO-Stuff, from the official zips or from SPADE's preparation; 182 classes and 182 for unlabelled pixels.

Label files hold category id - 1 (0..181) and 255 where nothing is labelled. Where instances come from:

- SPADE's preparation (`train_img`, `train_label`, `train_inst`): its instance files are the label map, overpainted per
  annotation by a running counter from 0, so a value may be a counter or the label of stuff. No rule tells the two
  apart, so the instance id here is the value + 1000 everywhere: its borders are exactly the official edge map, and
  who counts objects looks only at labels in `label_space.things`.
- the official zips: the polygons of `annotations/instances_SPLIT2017.json` are painted in the file's order, the k-th
  (from 0) with id 1000 + k; crowds (run-length masks) are left out, as in SPADE's preparation. Contours may differ from
  SPADE's by a pixel, because the polygons are filled by another library. Without that file a scene has no instances.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from bench.scenes.folder import FIRST_INSTANCE, FolderSource, Listing, files_by_id, pair
from bench.scenes.labels import COCO_STUFF
from bench.scenes.problems import FileError, Problem

_PICTURES = (".jpg", ".png", ".jpeg")
_IMAGE_FOLDERS = ("{split}2017", "images/{split}2017")
_LABEL_FOLDERS = ("stuffthingmaps_trainval2017/{split}2017", "stuffthingmaps/{split}2017")


class CocoStuff(FolderSource):
    """COCO-Stuff at 256x256, the aspect ratio ignored as in SPADE's evaluation."""

    name = "coco_stuff"
    label_space = COCO_STUFF
    splits = ("train", "val")
    default_size = (256, 256)
    unlabelled_value = 255
    how_to_get = (
        "download train2017.zip, val2017.zip and annotations_trainval2017.zip from https://cocodataset.org and "
        "stuffthingmaps_trainval2017.zip from https://github.com/nightrome/cocostuff and unpack them into one folder"
    )
    layout = (
        "SPLIT2017/*.jpg with stuffthingmaps_trainval2017/SPLIT2017/*.png (official zips), or SPLIT_img/*.jpg with "
        "SPLIT_label/*.png and SPLIT_inst/*.png (SPADE's preparation)"
    )
    label_remedy = "it has to be a stuff-thing map: category id - 1 (0..181), or 255 where nothing is labelled"

    def __init__(self, root: Path, size: tuple[int, int] | None = None, resize: str = "spade") -> None:
        super().__init__(root, size, resize)
        self._polygons: dict[str, dict[str, list[list[list[float]]]]] = {}
        self._reading = threading.Lock()  # `check` reads scenes in threads; one of them reads the annotations

    def available_splits(self) -> list[str]:
        return [s for s in self.splits if self._spade(s) or self._first(_IMAGE_FOLDERS, s).is_dir()]

    def _list(self, split: str) -> Listing:
        if self._spade(split):
            folders = [self.root / f"{split}_{kind}" for kind in ("img", "label", "inst")]
        else:
            folders = [self._first(_IMAGE_FOLDERS, split), self._first(_LABEL_FOLDERS, split)]
        files = [files_by_id(folder, _PICTURES if n == 0 else [".png"]) for n, folder in enumerate(folders)]
        places = [str(folder / ("{id}.jpg" if n == 0 else "{id}.png")) for n, folder in enumerate(folders)]
        maps = zip(("label map", "instance map"), files[1:], strict=False)  # the official zips have no instance maps
        return pair(files[0], list(maps), places)

    def _decode_instances(self, raw: np.ndarray) -> np.ndarray:
        return raw + FIRST_INSTANCE

    def _instances_without_file(self, split: str, scene_id: str, shape: tuple[int, ...]) -> np.ndarray:
        canvas = Image.new("I", (shape[1], shape[0]), 0)
        draw = ImageDraw.Draw(canvas)
        for k, polygons in enumerate(self._annotations(split).get(scene_id, [])):
            for polygon in polygons:
                draw.polygon(polygon, fill=FIRST_INSTANCE + k)
        return np.asarray(canvas)

    def _other_files(self, split: str) -> tuple[Path, ...]:
        path = self._annotation_file(split)
        return () if self._spade(split) or not path.is_file() else (path,)

    def _annotations(self, split: str) -> dict[str, list[list[list[float]]]]:
        """Scene id -> its annotations -> their polygons [x0, y0, x1, y1, ...]; empty without the annotation file."""
        with self._reading:
            if split not in self._polygons:
                path = self._annotation_file(split)
                self._polygons[split] = _read_polygons(path) if path.is_file() else {}
            return self._polygons[split]

    def _annotation_file(self, split: str) -> Path:
        return self.root / "annotations" / f"instances_{split}2017.json"

    def _spade(self, split: str) -> bool:
        return (self.root / f"{split}_img").is_dir()

    def _first(self, patterns: tuple[str, ...], split: str) -> Path:
        """The first of some folders that exists, or the official one."""
        folders = [self.root / pattern.format(split=split) for pattern in patterns]
        return next((folder for folder in folders if folder.is_dir()), folders[0])


def _read_polygons(path: Path) -> dict[str, list[list[list[float]]]]:
    """The polygons in an `instances_*.json`, grouped by scene id and annotation, in the file's order."""
    found: dict[str, list[list[list[float]]]] = {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        ids = {image["id"]: Path(image["file_name"]).stem for image in content["images"]}
        for annotation in content["annotations"]:
            if isinstance(annotation["segmentation"], list):
                polygons = [[float(x) for x in polygon] for polygon in annotation["segmentation"] if len(polygon) >= 6]
                found.setdefault(ids[annotation["image_id"]], []).append(polygons)
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"is not a COCO annotation file ({error!r})"
        raise FileError(Problem(path, what, "download annotations_trainval2017.zip again, or remove it")) from None
    return found
