"""`bench data export`: reading an export back with the Cityscapes source gives the exported scenes."""

import errno
import hashlib
import json
import os

import numpy as np
import pytest
from PIL import Image
from scene_roots import SHARED, Drawn, camvid_root, cityscapes_root, coco_official_root, coco_spade_root
from typer.testing import CliRunner

from bench.api.errors import DataError
from bench.api.scenes import SceneSource
from bench.cli.data import app
from bench.config import Config
from bench.data.camvid import CamVid
from bench.data.cityscapes import Cityscapes
from bench.data.coco_stuff import CocoStuff
from bench.data.export import export
from bench.data.folder import check
from bench.data.registry import open_dataset
from bench.data.streets import Streets
from bench.run.plan import make_plan


def assert_round_trip(source: SceneSource, split: str, destination, limit: int | None = None) -> Cityscapes:
    export(source, split, destination, limit, progress=False)
    back = Cityscapes(destination)
    assert back.ids(split) == source.ids(split, limit)
    assert (back.name, back.label_space) == (source.name, source.label_space)
    for scene_id in back.ids(split):
        one, other = source.load(split, scene_id), back.load(split, scene_id)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.instances, other.instances)
    assert check(back, progress=False).problems == []
    return back


def test_streets_round_trip(tmp_path):
    assert_round_trip(Streets((32, 64)), "test", tmp_path / "out", 3)


def test_cityscapes_round_trip_keeps_official_names(tmp_path):
    source = Cityscapes(cityscapes_root(tmp_path / "in"), (20, 30))
    assert_round_trip(source, "val", tmp_path / "out")
    assert (tmp_path / "out/leftImg8bit/val/bonn/bonn_000001_000019_leftImg8bit.png").is_file()


def test_coco_round_trip_keeps_labels_beyond_35_and_stuff_instances(tmp_path):
    source = CocoStuff(coco_spade_root(tmp_path / "in"), (40, 60))
    back = assert_round_trip(source, "train", tmp_path / "out")
    scene = back.load("train", "000000000007")
    assert {181, 182} <= set(np.unique(scene.labels))
    assert {1181, 1255} <= set(np.unique(scene.instances))


def test_coco_polygons_round_trip(tmp_path):
    source = CocoStuff(coco_official_root(tmp_path / "in", with_annotations=True), (40, 60))
    assert_round_trip(source, "val", tmp_path / "out")


def test_camvid_round_trip(tmp_path):
    assert_round_trip(CamVid(camvid_root(tmp_path / "in"), (20, 30)), "train", tmp_path / "out")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real samples are not here")
@pytest.mark.parametrize("name", ["cityscapes", "coco_stuff", "camvid"])
def test_real_samples_round_trip(tmp_path, name):
    assert_round_trip(open_dataset(name, SHARED / "samples" / name), "train", tmp_path / "out", 2)


def test_files_are_in_the_official_layout(tmp_path):
    export(Streets((32, 64)), "val", tmp_path, 1, progress=False)
    stem = "streets_000000_000000"
    labels = Image.open(tmp_path / f"gtFine/val/streets/{stem}_gtFine_labelIds.png")
    instances = Image.open(tmp_path / f"gtFine/val/streets/{stem}_gtFine_instanceIds.png")
    image = Image.open(tmp_path / f"leftImg8bit/val/streets/{stem}_leftImg8bit.png")
    assert (labels.mode, instances.mode, image.mode) == ("L", "I;16", "RGB")
    ids, raw = np.asarray(labels), np.asarray(instances)
    # Cityscapes's rule: the label id, or label id * 1000 + k for an instance
    np.testing.assert_array_equal(np.where(raw >= 1000, raw // 1000, raw), ids)


def test_two_splits_share_a_destination(tmp_path):
    root = camvid_root(tmp_path / "in")
    for split in ("train", "test"):
        export(CamVid(root), split, tmp_path / "out", progress=False)
    back = Cityscapes(tmp_path / "out")
    assert {split: back.ids(split) for split in back.splits} == {
        "train": ["0001TP_000000", "0001TP_000001"],
        "test": ["0001TP_000000"],
    }


def test_a_stopped_export_is_not_read_as_a_complete_one_and_continues(tmp_path, monkeypatch):
    calls = []
    load = Drawn.load

    def stopping(self, split, scene_id):
        if len(calls) == 3:
            raise DataError("stopped")
        calls.append(scene_id)
        return load(self, split, scene_id)

    monkeypatch.setattr(Drawn, "load", stopping)
    with pytest.raises(DataError, match="stopped"):
        export(Drawn(), "train", tmp_path, 5, progress=False)
    with pytest.raises(DataError, match="run the same `bench data export` again"):
        Cityscapes(tmp_path).ids("train")
    monkeypatch.setattr(Drawn, "load", load)
    report = export(Drawn(), "train", tmp_path, 5, progress=False)
    assert (report.written, report.kept) == (2, 3)
    assert Cityscapes(tmp_path).ids("train") == Drawn().ids("train", 5)


def test_a_larger_limit_continues_a_smaller_one_keeps(tmp_path):
    export(Drawn(), "train", tmp_path, 2, progress=False)
    assert export(Drawn(), "train", tmp_path, 4, progress=False).written == 2
    assert export(Drawn(), "train", tmp_path, 1, progress=False).written == 0
    assert len(Cityscapes(tmp_path).ids("train")) == 4


def test_scenes_of_another_version_are_not_mixed_in(tmp_path, monkeypatch):
    export(Drawn(), "train", tmp_path, 2, progress=False)
    monkeypatch.setattr(Drawn, "version", "2")
    with pytest.raises(DataError, match="export of other train scenes"):
        export(Drawn(), "train", tmp_path, 2, progress=False)


def test_another_size_needs_another_folder(tmp_path):
    export(Drawn(), "train", tmp_path, 1, progress=False)
    with pytest.raises(DataError, match="8x12; choose an empty folder"):
        export(Drawn((4, 6)), "train", tmp_path, 1, progress=False)


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    root = cityscapes_root(tmp_path)
    before = sorted(root.rglob("*"))
    with pytest.raises(DataError, match="holds no export"):
        export(Drawn(), "train", root, 1, progress=False)
    assert sorted(root.rglob("*")) == before


def test_a_full_disk_names_the_file_and_leaves_no_part_of_it(tmp_path, monkeypatch):
    save = Image.Image.save

    def full(self, file, format):
        if self.mode == "I;16":
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(self, file, format=format)

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(DataError, match=r"instanceIds\.png: the disk is full"):
        export(Drawn(), "train", tmp_path, 1, progress=False)
    names = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert len(names) == 3  # dataset.json, image, labels
    assert not any("instanceIds" in name for name in names)


def test_a_file_nobody_announced_is_a_problem(tmp_path):
    export(Drawn(), "train", tmp_path, 1, progress=False)
    for path in list(tmp_path.rglob("*.png")):
        path.with_name(path.name.replace("000000_", "000009_", 1)).write_bytes(path.read_bytes())
    problems = check(Cityscapes(tmp_path), progress=False).problems
    assert [problem.what for problem in problems] == ["is not listed in dataset.json"]


def test_an_export_whose_files_were_edited_is_refused_by_check_and_run_alike(tmp_path):
    export(Drawn(), "train", tmp_path, 3, progress=False)
    assert check(Cityscapes(tmp_path), progress=False).problems == []
    changed = sorted(tmp_path.rglob("*000001_*.png"))
    assert len(changed) == 3
    for path in changed:
        pixels = np.array(Image.open(path))
        pixels[0, 0] = pixels[-1, -1]
        pixels[-1, -1] = pixels[3, 5]
        Image.fromarray(pixels).save(path)
    source = Cityscapes(tmp_path)
    problems = check(source, progress=False).problems
    assert {problem.path for problem in problems} == set(changed)
    assert all("is not the file that was exported from drawn" in problem.what for problem in problems)
    for read in (lambda: source.ids("train"), lambda: source.load("train", "train-1")):
        with pytest.raises(DataError, match="is not the file that was exported from drawn"):
            read()
    assert source.ids("train", 1) == ["train-0"]


def test_an_edited_export_is_not_captioned_as_its_source(tmp_path):
    export(Streets((32, 64)), "val", tmp_path, 2, progress=False)
    path = next(tmp_path.rglob("*000001_*_leftImg8bit.png"))
    Image.fromarray(np.asarray(Image.open(path))[:, ::-1]).save(path)
    run = {"methods": ["full_image"], "datasets": ["cityscapes"], "metrics": [], "split": "val"}
    with pytest.raises(DataError, match="is not the file that was exported from streets") as caught:
        make_plan(Config.model_validate({"run": run}), tmp_path)
    assert f"bench data check cityscapes --root {tmp_path}" in str(caught.value)
    (tmp_path / "dataset.json").unlink()  # the remedy: a data set of one's own
    assert Cityscapes(tmp_path, (32, 64)).name == "cityscapes"


def test_two_scenes_of_an_export_that_changed_places_are_found(tmp_path):
    export(Drawn(), "train", tmp_path, 2, progress=False)
    one, two = (next(tmp_path.rglob(f"*00000{n}_*_labelIds.png")) for n in (0, 1))
    data = one.read_bytes(), two.read_bytes()
    one.write_bytes(data[1])
    two.write_bytes(data[0])
    assert {problem.path for problem in check(Cityscapes(tmp_path), progress=False).problems} == {one, two}


def test_the_same_export_again_repairs_what_was_changed(tmp_path):
    export(Drawn(), "train", tmp_path, 3, progress=False)
    path = next(tmp_path.rglob("*000001_*_labelIds.png"))
    path.write_bytes(b"damaged")
    report = export(Drawn(), "train", tmp_path, 3, progress=False)
    assert (report.written, report.kept) == (1, 2)
    assert check(Cityscapes(tmp_path), progress=False).problems == []


def test_an_edited_index_is_refused(tmp_path):
    export(Drawn(), "train", tmp_path, 1, progress=False)
    path = tmp_path / "dataset.json"
    path.write_text(path.read_text().replace('"drawn"', '"cityscapes"'))
    with pytest.raises(DataError, match=r"dataset\.json was changed since it was written"):
        Cityscapes(tmp_path)


@pytest.mark.parametrize("keep", [0, 100])
def test_files_without_a_digest_are_not_believed(tmp_path, keep):
    export(Drawn(), "train", tmp_path, 2, progress=False)
    sums = tmp_path / "SHA256SUMS"
    sums.write_bytes(sums.read_bytes()[:keep])  # torn in its first line
    with pytest.raises(DataError, match="no digest in SHA256SUMS; run the same `bench data export` again"):
        Cityscapes(tmp_path).ids("train", 1)
    export(Drawn(), "train", tmp_path, 2, progress=False)
    assert check(Cityscapes(tmp_path), progress=False).problems == []


def test_the_digests_are_what_sha256sum_writes(tmp_path):
    export(Drawn(), "train", tmp_path, 1, progress=False)
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    files = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*.png")}
    assert sorted(lines) == sorted(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {name}" for name, p in files.items())


def test_scenes_of_an_older_renderer_are_not_captioned_as_todays(tmp_path, monkeypatch):
    export(Streets((32, 64)), "val", tmp_path, 1, progress=False)
    version = Streets((32, 64)).renderer_version()
    monkeypatch.setattr(Streets, "renderer_version", lambda self: version + 1)
    (problem,) = check(Cityscapes(tmp_path), progress=False).problems
    assert "was written by another version of streets" in problem.what
    with pytest.raises(DataError, match="another version of streets"):
        Cityscapes(tmp_path).ids("val")


def test_an_export_read_at_another_size_says_so(tmp_path):
    export(Streets((32, 64)), "val", tmp_path, 1, progress=False)
    assert Cityscapes(tmp_path).notes("val") == []
    (note,) = Cityscapes(tmp_path, (64, 128)).notes("val")
    assert note == "exported at 32x64 and resized to 64x128, which is not what streets has at 64x128"


def test_auto_never_takes_the_training_scenes_of_an_export(tmp_path):
    export(Drawn(), "train", tmp_path, 1, progress=False)
    with pytest.raises(DataError, match="neither a test nor a val split of drawn: there is train"):
        Cityscapes(tmp_path).evaluation_split()


@pytest.mark.parametrize("content", ["{", "{}", '{"format": "other"}', "[]", "[" * 100_000])
def test_a_broken_index_is_named(tmp_path, content):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(DataError, match=r"dataset\.json"):
        Cityscapes(tmp_path)


def test_the_command_writes_and_says_how_to_read(tmp_path):
    out = tmp_path / "out"
    arguments = ["export", "streets", str(out), "--split", "val", "--limit", "2", "--size", "32x64", "--jobs", "1"]
    result = CliRunner().invoke(app, [*arguments, "--quiet"])
    assert result.exit_code == 0, result.output
    assert f"--datasets cityscapes --root {out} --split val" in result.output
    assert json.loads((out / "dataset.json").read_text())["size"] == [32, 64]
    assert len(Cityscapes(out).ids("val")) == 2
