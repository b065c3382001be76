"""The data sets give what the official loader of every method gives in test mode, bit for bit.

`golden/preprocess.npz`: `raw.*` are the contents of PNG files, `METHOD.DATASET.*` what that method's official loader
made of them; what is equal to SPADE's is listed in `meta` and stored once.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scene_roots import save

from bench.api.scenes import LabelSpace, SceneArrays, stack
from bench.config import DataSection
from bench.data.folder import FolderSource
from bench.data.registry import open_dataset
from bench.run.plan import SceneSet
from methods.common.semantic.maps import Edges, scene_maps
from methods.oasis.network import label_order
from tests.methods.golden_helper import check

#: Which rule of ours belongs to which official loader: how pictures are resized, what the edges are made of.
RULES: dict[str, tuple[str, Edges]] = {
    "spade": ("spade", "instances"),
    "ccfpse": ("spade", "instances"),
    "smis": ("spade", "instances"),
    "oasis": ("spade", "instances"),
    "sdm": ("sdm", "clipped"),
    "gesco": ("sdm", "clipped"),
}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "golden" / "preprocess.npz") as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory, golden: dict[str, np.ndarray]) -> dict[str, Path]:
    """The raw pictures in the official layouts."""
    cityscapes, coco = tmp_path_factory.mktemp("cityscapes"), tmp_path_factory.mktemp("coco")
    stem = "bonn_000000_000019"
    save(cityscapes / "leftImg8bit/val/bonn" / f"{stem}_leftImg8bit.png", golden["raw.cityscapes.image"])
    for kind in ("labelIds", "instanceIds"):
        save(cityscapes / "gtFine/val/bonn" / f"{stem}_gtFine_{kind}.png", golden[f"raw.cityscapes.{kind}"])
    for folder, name in (("val_img", "image"), ("val_label", "label"), ("val_inst", "instance")):
        save(coco / folder / "000000000001.png", golden[f"raw.coco.{name}"])
    return {"cityscapes": cityscapes, "coco": coco}


def opened(dataset: str, root: Path, resize: str) -> FolderSource:
    """Our data set at the size of the fixtures."""
    name, size = {"cityscapes": ("cityscapes", (32, 64)), "coco": ("coco_stuff", (48, 48))}[dataset]
    source = open_dataset(name, root, size, resize=resize)
    assert isinstance(source, FolderSource)
    source.never = ()  # the golden's label map has ids drawn at random, also those that COCO-Stuff never has
    return source


def tensors(method: str, dataset: str, scene: SceneArrays, space: LabelSpace) -> dict[str, np.ndarray]:
    """What the method's official loader and network front make, made of our scene."""
    edges = RULES[method][1]
    whole = np.where(scene.instances > 0, scene.instances, scene.labels)
    if dataset == "coco":
        whole = scene.instances - 1000  # SPADE's instance pictures hold a value for every pixel, moved up here
    labels = scene.labels.astype(np.int64)
    if method == "oasis":
        labels = np.argsort(label_order(space))[labels]
    # ToTensor and Normalize, in their order of operations
    image = torch.from_numpy(scene.image.copy()).permute(2, 0, 1).float().div(255).sub_(0.5).div_(0.5)
    if method in ("sdm", "gesco"):
        image = torch.from_numpy(scene.image.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)
    return {
        "label": labels[None],
        "image": image.numpy(),
        "instance": (whole.clip(max=255) if edges == "clipped" else whole)[None],
        "edge": scene_maps(stack([scene], space), edges)[0, -1:].numpy(),
    }


def cases() -> list[tuple[str, str]]:
    return [(method, dataset) for method in RULES for dataset in ("cityscapes", "coco")]


@pytest.mark.parametrize(("method", "dataset"), cases())
def test_loader(golden: dict[str, np.ndarray], roots: dict[str, Path], method: str, dataset: str) -> None:
    equal = json.loads(str(golden["meta"]))["equal_to_spade"]
    source = opened(dataset, roots[dataset], RULES[method][0])
    ours = tensors(method, dataset, source.load("val", source.ids("val")[0]), source.label_space)
    compared = 0
    for name, array in ours.items():
        key = f"{method}.{dataset}.{name}"
        if key in golden or key in equal:
            theirs = golden.get(key, golden.get(f"spade.{dataset}.{name}"))
            assert theirs is not None
            check(f"{method} loader", dataset, name, array, theirs, limit=0)
            compared += 1
    # SMIS has no COCO-Stuff network, SDM's published loader no COCO branch; OASIS has neither instances nor edges
    assert compared == {("smis", "coco"): 0, ("sdm", "coco"): 0, ("oasis", "cityscapes"): 2, ("oasis", "coco"): 2}.get(
        (method, dataset), 4
    )


def test_the_resize_rules_differ_on_cityscapes(roots: dict[str, Path]) -> None:
    pictures = [
        opened("cityscapes", roots["cityscapes"], rule).load("val", "bonn_000000_000019") for rule in ("spade", "sdm")
    ]
    assert not np.array_equal(pictures[0].image, pictures[1].image)
    assert np.array_equal(pictures[0].labels, pictures[1].labels)


def test_the_rule_in_bench_toml_reaches_the_workers(roots: dict[str, Path]) -> None:
    section = DataSection(root=roots["cityscapes"], size=(32, 64), resize="sdm")
    source = open_dataset("cityscapes", None, section.size, section.root, section.resize)
    ids = tuple(source.ids("val"))
    root, size = roots["cityscapes"], (32, 64)
    scenes = SceneSet("cityscapes", "cityscapes", root, size, "val", ids, source.fingerprint("val", ids), 1, "sdm")
    assert scenes.open().fingerprint("val", ids) == scenes.fingerprint
