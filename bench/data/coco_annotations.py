"""COCO's `instances_*.json`: the polygons of every picture's objects, and which of its entries cannot be used."""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from bench.data.images import FileError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A polygon, [x0, y0, x1, y1, ...] in pixels.
Polygon = list[float]
_FARTHEST = 1e6  # no picture reaches so far, and Pillow's integers do not reach much farther


@dataclass
class Annotations:
    """What a file says, by scene id: `objects` polygons, one list an annotation that is no crowd, in the file's order;
    `sizes` (height, width) or None of the pictures it lists; `broken` what is wrong with annotations of the scene.
    `unlisted` are the annotations whose picture is not listed.
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
