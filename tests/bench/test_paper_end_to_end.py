"""Cityscapes, COCO-Stuff and ADE20K at paper size, from official layouts and imported checkpoints to tables and a site.

The checkpoints are filled, and the small published networks random: what is tested is that everything fits together.
Minutes and gigabytes each (--slow).
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Answer
from PIL import Image
from scene_roots import save
from table_frames import all_rows

from bench.api.files import file_digest
from bench.checkpoints.catalogue import load_catalogue
from bench.data.ade20k import ADE20K
from bench.data.coco_stuff import COCO_STUFF
from bench.data.export import FILE_NAME, SUMS, export
from bench.data.streets import Streets
from bench.data.stuff import Stuff
from metrics import fid
from metrics.evaluators.published import DETR, DPT, INCEPTION, MASKFORMER
from tests.methods.paper_size import import_filled
from tests.metrics.tiny_transformers import coco_classes, maskformer, write_detr, write_dpt, write_inception

Cli = Callable[..., Answer]
#: SMIS has no network for COCO-Stuff; GESCO's variants are its network again; DRN is the segmenter.
CASES = [
    (entry.name, entry.dataset)
    for entry in load_catalogue().entries
    if (entry.name, entry.dataset) != ("smis", "coco_stuff") and entry.size and entry.name[:6] != "gesco_"
]


def official_root(dataset: str, root: Path) -> Path:
    """One rendered validation scene in the official layout and size, with nothing that tells its origin."""
    if dataset == "cityscapes":
        export(Streets((1024, 2048)), "val", root, 1, progress=False)
        (root / FILE_NAME).unlink()
        (root / SUMS).unlink()
        return root
    scene = Stuff((480, 640)).load("val", "val-000000")
    if dataset == "ade20k":
        values = np.where(scene.labels == COCO_STUFF.unknown, 0, scene.labels % 150 + 1).astype(np.uint8)
        save(root / "annotations" / "validation" / "ADE_val_00000001.png", values)
        save(root / "images" / "validation" / "ADE_val_00000001.jpg", scene.image)
        return root
    pictures, labels = root / "val2017", root / "stuffthingmaps_trainval2017" / "val2017"
    for folder in (pictures, labels):
        folder.mkdir(parents=True)
    Image.fromarray(scene.image).save(pictures / "000000000009.jpg", quality=95)
    values = np.where(scene.labels == COCO_STUFF.unknown, 255, scene.labels).astype(np.uint8)
    Image.fromarray(values).save(labels / "000000000009.png")
    (root / "annotations").mkdir()
    listed = {"images": [{"id": 9, "file_name": "000000000009.jpg"}], "annotations": []}
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(listed))
    return root


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's weights: small networks in the folders of the published ones."""
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("GESCO_BENCH_WEIGHTS", str(folder))
    write_detr(folder / DETR.folder)
    write_dpt(folder / DPT.folder)
    maskformer(folder / MASKFORMER.folder, coco_classes())
    maskformer(folder / "ade", ADE20K.names[:-1])
    write_inception(folder / INCEPTION.file)
    monkeypatch.setattr(fid, "INCEPTION", replace(INCEPTION, sha256=file_digest(folder / INCEPTION.file)))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("method", "dataset"), CASES)
def test_a_scene_goes_from_the_official_layout_to_a_site(
    method: str, dataset: str, user: Path, tmp_path: Path, cli: Cli
) -> None:
    root = official_root(dataset, tmp_path / "root")
    with Path("bench.toml").open("a") as settings:
        settings.write('[metrics.mIoU.evaluators]\nade20k = "hf:ade"\n')
    assert cli("data", "check", dataset, "--root", str(root), "--jobs", "1", "--quiet").code == 0
    wanted = {(method, dataset), ("drn_d_105", dataset)}
    for entry in load_catalogue().entries:
        if (entry.name, entry.dataset) in wanted:
            import_filled(entry, user)
    spec = f"{method}:steps=2" if method in ("sdm", "gesco") else method
    objects = {"AP50[judge]"} if dataset != "ade20k" else set()  # ADE20K's classes are none of COCO's, which DETR knows
    metrics = f"mIoU,LPIPS,depth,FID[inception]{',objects' if objects else ''}"
    run = ("--datasets", dataset, "--root", str(root), "--split", "val", "--scenes", "1", "--psnr", "10")
    answer = cli("run", "--methods", spec, *run, "--metrics", metrics, "--backend", "sequential", "--out", "o")
    assert answer.code == 0, answer.err
    assert "left out" not in answer.err
    frame = all_rows("o")
    own = frame[(frame["method"] == spec) & (frame["scene"] == "all")].set_index("metric")
    assert {"mIoU", "LPIPS", "AbsRel[judge]", "FID[inception]", "bits"} | objects <= set(own.index)
    assert np.isfinite(own.loc[["mIoU", "LPIPS", "bits"], "value"]).all()
    assert set(own["scale"]) == {"paper"}
    assert set(own["size"]) == {"256x512" if dataset == "cityscapes" else "256x256"}
    judge = {"cityscapes": "DRN-D-105", "coco_stuff": "maskformer-resnet101-coco-stuff", "ade20k": " ade@"}[dataset]
    assert judge in own.loc["mIoU", "protocol"]
    for command in (("table", "mIoU"), ("table", "bits"), ("plot", "psnr"), ("sheet",)):
        answer = cli(*command, "--out", "o")
        assert answer.code == 0, answer.err
    answer = cli("leaderboard", "build", "--results", "o", "--out", "site", "--scenes", "1")
    assert answer.code == 0, answer.err
    assert dataset in Path("site/index.html").read_text()
    for file in user.rglob("*.safetensors"):
        file.unlink()  # gigabytes, which pytest would keep
