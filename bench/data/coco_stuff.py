"""COCO-Stuff, from the official zips or from SPADE's preparation; 182 classes and 182 for unlabelled pixels.

Label files hold category id - 1 (0..181) and 255 where nothing is labelled. Where instances come from:

- SPADE's preparation (`train_img`, `train_label`, `train_inst`): its instance files are the label map, overpainted per
  annotation by a running counter from 0, so a value may be a counter or the label of stuff. No rule tells the two
  apart, so the instance id here is the value + 1000 everywhere: its borders are exactly the official edge map, and
  who counts objects looks only at labels in `label_space.things`.
- the official zips: the polygons of `annotations/instances_SPLIT2017.json` are painted in the file's order, the k-th
  (from 0) with id 1000 + k; crowds (run-length masks) are left out, as in SPADE's preparation. Contours may differ from
  SPADE's by a pixel, because the polygons are filled by another library. Without that file a scene has no instances.
  A scene with an annotation that cannot be drawn, or of another size than annotated, is refused.
"""

import colorsys
import json
import math
import threading
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageDraw

from bench.api.errors import some
from bench.api.scenes import LabelSpace
from bench.data.folder import FIRST_INSTANCE, FolderSource
from bench.data.images import FileError, Problem
from bench.data.listing import Listing, SceneFiles, find_files, is_folder, pair, with_any_case

_PICTURES = (".jpg", ".png", ".jpeg")
_IMAGE_FOLDERS = ("{split}2017", "images/{split}2017")
_LABEL_FOLDERS = ("stuffthingmaps_trainval2017/{split}2017", "stuffthingmaps/{split}2017")
#: A polygon, [x0, y0, x1, y1, ...] in pixels.
Polygon = list[float]
_FARTHEST = 1e6  # no picture reaches so far, and Pillow's integers do not reach much farther

#: From COCO-Stuff's `labels.txt`.
_LABELS = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, street sign,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, hat, backpack,
umbrella, shoe, eye glasses, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat,
baseball glove, skateboard, surfboard, tennis racket, bottle, plate, wine glass, cup, fork, knife, spoon, bowl, banana,
apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, mirror,
dining table, window, desk, toilet, door, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster,
sink, refrigerator, blender, book, clock, vase, scissors, teddy bear, hair drier, toothbrush, hair brush, banner,
blanket, branch, bridge, building-other, bush, cabinet, cage, cardboard, carpet, ceiling-other, ceiling-tile, cloth,
clothes, clouds, counter, cupboard, curtain, desk-stuff, dirt, door-stuff, fence, floor-marble, floor-other,
floor-stone, floor-tile, floor-wood, flower, fog, food-other, fruit, furniture-other, grass, gravel, ground-other, hill,
house, leaves, light, mat, metal, mirror-stuff, moss, mountain, mud, napkin, net, paper, pavement, pillow, plant-other,
plastic, platform, playingfield, railing, railroad, river, road, rock, roof, rug, salad, sand, sea, shelf, sky-other,
skyscraper, snow, solid-other, stairs, stone, straw, structural-other, table, tent, textile-other, towel, tree,
vegetable, wall-brick, wall-concrete, wall-other, wall-panel, wall-stone, wall-tile, wall-wood, water-other, waterdrops,
window-blind, window-other, wood, unknown
"""
_NAMES = tuple(" ".join(_LABELS.split()).split(", "))
_REMOVED = (
    "street sign", "hat", "shoe", "eye glasses", "plate", "mirror", "window", "desk", "door", "blender", "hair brush",
)  # fmt: skip


def distinct_palette(count: int) -> tuple[tuple[int, int, int], ...]:
    """`count` different RGB colours, the same on every machine.

    The hue turns by the golden angle, while saturation and brightness cycle through steps, so that neighbouring ids
    look unlike each other.
    """
    steps = ((0.95, 0.95), (0.55, 0.75), (0.80, 0.55), (0.40, 0.95), (0.90, 0.75))
    colours = []
    for index in range(count):
        saturation, value = steps[index % len(steps)]
        red, green, blue = colorsys.hsv_to_rgb(index * 0.6180339887498949 % 1.0, saturation, value)
        colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colours)


#: COCO-Stuff as SPADE, CC-FPSE and GESCO read it: id = category id - 1, and 182 for unlabelled pixels (255 in the
#: files). `evaluated` holds all 182 classes; the eleven that COCO removed never occur, so they add nothing to a mean
#: over present classes.
COCO_STUFF = LabelSpace(
    name="coco_stuff",
    names=_NAMES,
    palette=(*distinct_palette(182), (0, 0, 0)),
    evaluated=tuple(range(182)),
    things=tuple(range(91)),
    unknown=182,
    never=tuple(map(_NAMES.index, _REMOVED)),
    eight_bit_instances=True,
)


@dataclass
class Annotations:
    """What an `instances_*.json` says, by scene id.

    `objects` are polygons, one list an annotation that is no crowd, in the file's order; `sizes` (height, width) or
    None of the pictures it lists; `broken` what is wrong with annotations of the scene. `unlisted` are the annotations
    whose picture is not listed.
    """

    objects: dict[str, list[list[Polygon]]] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    broken: dict[str, list[str]] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)


def read_annotations(path: Path) -> Annotations:
    """Read a file; FileError where it is no COCO annotation file. One entry that cannot be used spoils no other."""
    found = Annotations()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        ids = _scene_ids(content["images"], found)
        for position, annotation in enumerate(content["annotations"]):
            _take(annotation, f"annotation {annotation.get('id', f'number {position}')}", ids, found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"is not a COCO annotation file ({error!r})"
        raise FileError(Problem(path, what, "download annotations_trainval2017.zip again, or remove it")) from None
    return found


def _scene_ids(images: list[Mapping[str, Any]], found: Annotations) -> dict[Any, str]:
    """Scene ids by the file's image ids; ValueError where one picture or one id is listed twice."""
    ids: dict[Any, str] = {}
    for image in images:
        name = PureWindowsPath(image["file_name"]).stem  # takes both kinds of slashes
        scene_id = unicodedata.normalize("NFC", name)
        if image["id"] in ids or scene_id in found.sizes:
            raise ValueError(f"two images of the id {image['id']} or the name {scene_id}")
        ids[image["id"]] = scene_id
        height, width = image.get("height"), image.get("width")
        found.sizes[scene_id] = (int(height), int(width)) if height is not None and width is not None else None
    return ids


def _take(annotation: Mapping[str, Any], name: str, ids: Mapping[Any, str], found: Annotations) -> None:
    """File one annotation under its scene."""
    scene_id = ids.get(annotation.get("image_id"))
    if scene_id is None:
        found.unlisted.append(name)
        return
    mask = annotation.get("segmentation")
    if isinstance(mask, dict) and annotation.get("iscrowd"):
        return
    if not isinstance(mask, list):
        found.broken.setdefault(scene_id, []).append(f"{name} has no polygons and is no crowd")
        return
    polygons = []
    for polygon in mask:
        numbers = _numbers(polygon)
        if numbers is None or len(numbers) % 2:
            what = "a polygon of an odd length" if numbers else "a polygon that is no list of coordinates"
            found.broken.setdefault(scene_id, []).append(f"{name} has {what}")
            return
        if len(numbers) >= 6:
            polygons.append(numbers)
    found.objects.setdefault(scene_id, []).append(polygons)


def _numbers(polygon: Any) -> Polygon | None:
    """A polygon's coordinates; None where it has others than finite numbers in reach."""
    try:
        numbers = [float(x) for x in polygon]
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if all(math.isfinite(x) and abs(x) < _FARTHEST for x in numbers) else None


class CocoStuff(FolderSource):
    """COCO-Stuff at 256x256, the aspect ratio ignored as in SPADE's evaluation."""

    name = "coco_stuff"
    title = "COCO-Stuff"
    counterpart = "coco_stuff"
    guidance = 2.5
    evaluators: ClassVar = {"segmenter": ("maskformer",), "detector": ("detr_resnet_50",), "depth": ("dpt_large",)}
    coco_classes: ClassVar = {COCO_STUFF.names[k]: k for k in COCO_STUFF.things if k not in COCO_STUFF.never}
    label_space = COCO_STUFF
    splits = ("train", "val")
    default_size = (256, 256)
    values = (*range(182), 255)
    how_to_get = (
        "download train2017.zip, val2017.zip and annotations_trainval2017.zip from https://cocodataset.org and "
        "stuffthingmaps_trainval2017.zip from https://github.com/nightrome/cocostuff and unpack them into one folder"
    )
    layout = (
        "SPLIT2017/*.jpg with stuffthingmaps_trainval2017/SPLIT2017/*.png (official zips), or SPLIT_img/*.jpg with "
        "SPLIT_label/*.png and SPLIT_inst/*.png (SPADE's preparation)"
    )
    label_remedy = (
        "it has to be a stuff-thing map: category id - 1 (0..181), or 255 where nothing is labelled; a map of category "
        "ids counts from 1, and one of train ids (0..170) has other numbers"
    )

    def __init__(self, root: Path, size: tuple[int, int] | None = None, resize: str = "spade") -> None:
        super().__init__(root, size, resize)
        self._annotations_read: dict[str, Annotations | FileError] = {}
        self._reading = threading.Lock()  # `check` reads scenes in threads; one of them reads the annotations

    def available_splits(self) -> list[str]:
        """The splits with a folder of pictures, in either layout."""
        return [s for s in self.splits if self._spade(s) or is_folder(self._first(_IMAGE_FOLDERS, s))]

    def _list(self, split: str) -> Listing:
        if self._spade(split):
            folders = [self.root / f"{split}_{kind}" for kind in ("img", "label", "inst")]
        else:
            folders = [self._first(_IMAGE_FOLDERS, split), self._first(_LABEL_FOLDERS, split)]
        files = [find_files(folder, _PICTURES if n == 0 else [".png"]) for n, folder in enumerate(folders)]
        places = [str(folder / ("{id}.jpg" if n == 0 else "{id}.png")) for n, folder in enumerate(folders)]
        maps = zip(("label map", "instance map"), files[1:], strict=False)  # the official zips have no instance maps
        return pair(files[0], list(maps), places)

    def _decode_instances(self, raw: np.ndarray) -> np.ndarray:
        return raw + FIRST_INSTANCE

    def _instances_without_file(self, split: str, scene_id: str, shape: tuple[int, ...]) -> np.ndarray:
        canvas = Image.new("I", (shape[1], shape[0]), 0)
        annotations = self._annotations(split)
        size = annotations.sizes.get(scene_id)
        if size is not None and size != shape:
            was, now = ("{}x{}".format(*pair) for pair in (size, shape))
            what = f"annotates {scene_id} at {was} (height x width), but its files are {now}"
            raise FileError(Problem(self._annotation_file(split), what, "restore the picture and its map"))
        draw = ImageDraw.Draw(canvas)
        for k, polygons in enumerate(annotations.objects.get(scene_id, [])):
            for polygon in polygons:
                draw.polygon(polygon, fill=FIRST_INSTANCE + k)
        return np.asarray(canvas)

    def _other_files(self, split: str) -> tuple[Path, ...]:
        path = self._annotation_file(split)
        return () if self._spade(split) or not path.is_file() else (path,)

    def _look_at_other_files(self, split: str) -> Listing:
        notes = [f"{self.root / folder} is not read: {read} is" for folder, read in self._shadowed(split)]
        if self._spade(split):
            return Listing({}, [], notes)
        path = self._annotation_file(split)
        if not path.is_file():
            return Listing({}, [], [*notes, f"{path} is not there, so the scenes have no instances"])
        try:
            unlisted = self._annotations(split).unlisted
        except FileError as error:
            return Listing({}, [error.problem], notes)
        if unlisted:
            count = f"{len(unlisted)} annotation{'' if len(unlisted) == 1 else 's'}"
            notes.append(f"{path} has {count} of pictures that it does not list, ignored: {some(unlisted, 3)}")
        return Listing({}, [], notes)

    def _scene_problems(self, split: str, files: SceneFiles) -> list[Problem]:
        path = self._annotation_file(split)
        if self._spade(split) or not path.is_file():
            return []
        try:
            annotations = self._annotations(split)
        except FileError as error:
            return [error.problem]
        if files.id not in annotations.sizes:
            what = f"does not list {files.image.name}, so its instances are unknown"
            remedy = "take the annotations of these pictures, or remove the file (no scene has instances then)"
            return [Problem(path, what, remedy)]
        broken = annotations.broken.get(files.id, [])
        remedy = "correct that annotation or remove it"
        return [Problem(path, f"cannot be drawn for {files.image.name}: {what}", remedy) for what in broken]

    def _annotations(self, split: str) -> Annotations:
        """What the annotation file says, nothing where there is none; FileError for one that cannot be understood."""
        with self._reading:
            if split not in self._annotations_read:
                path = self._annotation_file(split)
                try:
                    self._annotations_read[split] = read_annotations(path) if path.is_file() else Annotations()
                except FileError as error:
                    self._annotations_read[split] = error
            read = self._annotations_read[split]
        if isinstance(read, FileError):
            raise FileError(read.problem)
        return read

    def _annotation_file(self, split: str) -> Path:
        return with_any_case(self.root / "annotations", f"instances_{split}2017.json")

    def _spade(self, split: str) -> bool:
        return is_folder(self.root / f"{split}_img")

    def _first(self, patterns: tuple[str, ...], split: str) -> Path:
        """The first of some folders that exists, or the official one."""
        folders = [self.root / pattern.format(split=split) for pattern in patterns]
        return next((folder for folder in folders if is_folder(folder)), folders[0])

    def _shadowed(self, split: str) -> list[tuple[str, str]]:
        """Folders of pictures or labels that are there, but another layout's are read; and which."""
        read = [f"{split}_img"] if self._spade(split) else []
        official = [[pattern.format(split=split) for pattern in p] for p in (_IMAGE_FOLDERS, _LABEL_FOLDERS)]
        present = [[name for name in names if is_folder(self.root / name)] for names in official]
        return [(name, (read or names)[0]) for names in present for name in names[0 if read else 1 :]]
