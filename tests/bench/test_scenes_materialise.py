"""Scenes as arrays on disk: equal to the source's, made once, never half."""

import os

import numpy as np
import pytest
import torch
from scene_roots import Drawn, camvid_root, cityscapes_root, picture, save

from bench.api.errors import DataError
from bench.api.scenes import stack
from bench.data.camvid import CamVid
from bench.data.cityscapes import Cityscapes
from bench.data.materialise import MaterialisedScenes, materialise


def assert_equal_scenes(left, right):
    assert left.ids == right.ids
    assert left.label_space is right.label_space
    for field in ("image", "labels", "instances", "depth"):
        one, other = getattr(left, field), getattr(right, field)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            assert torch.equal(one, other)


@pytest.mark.parametrize("with_depth", [True, False])
def test_a_batch_equals_the_sources_own(tmp_path, with_depth):
    source = Drawn()
    scenes = materialise(source, "train", 40, tmp_path, with_depth=with_depth, progress=False)
    expected = stack([source.load("train", f"train-{n}") for n in (33, 0, 33)], source.label_space)
    if not with_depth:
        expected = type(expected)(**{**expected.__dict__, "depth": None})
    assert_equal_scenes(scenes.batch([33, 0, 33]), expected)
    assert len(scenes) == 40


def test_several_processes_write_the_same_arrays(tmp_path):
    source = Cityscapes(cityscapes_root(tmp_path / "root", count=2), (16, 24))
    one = materialise(source, "val", 2, tmp_path / "one", jobs=1, progress=False)
    two = materialise(source, "val", 2, tmp_path / "two", jobs=2, progress=False)
    assert one.folder.name == two.folder.name
    assert_equal_scenes(one.batch([0, 1]), two.batch([0, 1]))


def test_a_second_call_reads_what_the_first_wrote(tmp_path, monkeypatch):
    first = materialise(Drawn(), "train", 5, tmp_path, progress=False)
    monkeypatch.setattr(Drawn, "load", lambda *_: pytest.fail("rendered again"))
    again = materialise(Drawn(), "train", 5, tmp_path, progress=False)
    assert_equal_scenes(first.batch(range(5)), again.batch(range(5)))


def test_another_version_size_or_depth_gets_a_folder_of_its_own(tmp_path, monkeypatch):
    folders = {materialise(Drawn(), "train", 5, tmp_path, progress=False).folder}
    folders.add(materialise(Drawn((4, 6)), "train", 5, tmp_path, progress=False).folder)
    folders.add(materialise(Drawn(), "train", 5, tmp_path, with_depth=True, progress=False).folder)
    monkeypatch.setattr(Drawn, "version", "2")
    folders.add(materialise(Drawn(), "train", 5, tmp_path, progress=False).folder)
    assert len(folders) == 4


def test_two_at_once_do_not_harm_each_other(tmp_path, monkeypatch):
    load, folders = Drawn.load, []

    def overtaken(self, split, scene_id):
        if not folders:  # another process starts after this one and is done before it
            folders.append(None)
            folders.append(materialise(Drawn(), "train", 5, tmp_path, progress=False).folder)
        return load(self, split, scene_id)

    monkeypatch.setattr(Drawn, "load", overtaken)
    scenes = materialise(Drawn(), "train", 5, tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == [scenes.folder] == folders[1:]
    assert scenes.batch([4]).ids == ("train-4",)


def test_a_failure_leaves_nothing_behind(tmp_path):
    root = cityscapes_root(tmp_path / "root")
    source = Cityscapes(root)
    (root / "gtFine/val/bonn/bonn_000001_000019_gtFine_labelIds.png").write_bytes(b"")
    with pytest.raises(DataError, match="bonn_000001_000019_gtFine_labelIds"):
        materialise(source, "val", 2, tmp_path / "cache", progress=False)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(DataError, match="disk is full"):
        materialise(Drawn(), "train", 5, tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_more_scenes_than_there_are_is_an_error(tmp_path):
    with pytest.raises(DataError, match="has 100 scenes, 101 were asked for"):
        materialise(Drawn(), "train", 101, tmp_path, progress=False)


def test_depth_is_refused_where_there_is_none(tmp_path):
    source = Cityscapes(cityscapes_root(tmp_path / "root"))
    with pytest.raises(DataError, match="no depth"):
        materialise(source, "val", 1, tmp_path / "cache", with_depth=True, progress=False)


@pytest.mark.parametrize("name", ["labels.npy", "scenes.json"])
def test_a_damaged_folder_is_named(tmp_path, name):
    scenes = materialise(Drawn(), "train", 5, tmp_path, progress=False)
    path = scenes.folder / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="delete this folder"):
        MaterialisedScenes(scenes.folder, scenes.label_space)


def test_a_batch_does_not_change_the_arrays(tmp_path):
    scenes = materialise(Drawn(), "train", 5, tmp_path, progress=False)
    before = np.array(scenes.instances)
    scenes.batch([0]).instances.zero_()
    np.testing.assert_array_equal(scenes.instances, before)


def test_files_that_change_while_they_are_read_are_not_kept(tmp_path, monkeypatch):
    root = camvid_root(tmp_path / "root")
    load = CamVid.load

    def changing(self, split, scene_id):
        scene = load(self, split, scene_id)
        save(root / "train/0001TP_000001.png", picture(77))
        return scene

    monkeypatch.setattr(CamVid, "load", changing)
    with pytest.raises(DataError, match="files of camvid were changed while they were read"):
        materialise(CamVid(root), "train", 2, tmp_path / "cache", progress=False)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_of_equal_size_and_time_in_the_place_of_another_is_noticed(tmp_path):
    root = camvid_root(tmp_path / "root")
    path = root / "train/0001TP_000001.png"

    def put(seed: int) -> None:
        save(path, picture(seed))
        path.write_bytes(path.read_bytes().ljust(20_000, b"\0"))
        os.utime(path, ns=(0, 0))

    put(1)
    before = materialise(CamVid(root), "train", 2, tmp_path / "cache", progress=False)
    put(77)
    after = materialise(CamVid(root), "train", 2, tmp_path / "cache", progress=False)
    assert (np.asarray(after.images[1]) != np.asarray(before.images[1])).any()
