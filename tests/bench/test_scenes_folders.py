"""Data sets under a root: what their files mean, how they are resized, and what is said about broken ones.

That they equal the official loaders is the matter of `test_loaders_golden.py`.
"""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from scene_roots import (
    SHARED,
    ade20k_root,
    blocks,
    camvid_root,
    cityscapes_root,
    coco_official_root,
    coco_spade_root,
    picture,
    save,
)

from bench.api.errors import DataError
from bench.api.scenes import stack
from bench.config import Config
from bench.data.ade20k import Ade20k
from bench.data.camvid import CamVid
from bench.data.cityscapes import Cityscapes
from bench.data.coco_stuff import CocoStuff
from bench.data.folder import FolderSource
from bench.data.registry import open_dataset
from bench.run.plan import make_plan


def official_instances(labels: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """The picture `instanceIds` that Cityscapes's own files hold."""
    return np.where(instances > 0, instances, labels)


def test_cityscapes_instances_are_the_values_from_1000_on(tmp_path):
    scene = Cityscapes(cityscapes_root(tmp_path), (40, 60)).load("val", "bonn_000001_000019")
    assert set(np.unique(scene.instances)) == {0, 26000, 26001}
    assert (scene.labels[scene.instances > 0] == 26).all()
    assert ((scene.labels == 26) & (scene.instances == 0)).any()  # the group of cars
    assert scene.labels.dtype == np.uint8
    assert scene.instances.dtype == np.int32


def test_cityscapes_lists_cities_and_scenes_in_order_and_obeys_the_limit(tmp_path):
    source = Cityscapes(cityscapes_root(tmp_path, count=3))
    assert source.ids("val") == [f"bonn_00000{n}_000019" for n in range(3)]
    assert source.ids("val", 2) == source.ids("val")[:2]


def test_cityscapes_offers_no_official_test_split(tmp_path):
    with pytest.raises(DataError, match="no split 'test'"):
        Cityscapes(cityscapes_root(tmp_path, "test")).ids("test")


def test_coco_from_spades_preparation(tmp_path):
    scene = CocoStuff(coco_spade_root(tmp_path), (40, 60)).load("train", "000000000007")
    assert set(np.unique(scene.labels)) == {0, 181, 182}  # 255 became 182
    assert set(np.unique(scene.instances)) == {1000, 1001, 1181, 1255}
    assert (scene.image[..., 0] == scene.image[..., 1]).all()  # greyscale JPEG


def test_coco_from_the_official_zips_paints_polygons_and_leaves_crowds_out(tmp_path):
    source = CocoStuff(coco_official_root(tmp_path, with_annotations=True), (40, 60))
    scene = source.load("val", "000000000009")
    assert scene.instances[0, 0] == 0
    assert scene.instances[12, 12] == 1000
    assert scene.instances[17, 17] == 1001  # painted over the first
    assert scene.instances[35, 50] == 0


def test_coco_from_the_official_zips_has_no_instances_without_annotations(tmp_path):
    source = CocoStuff(coco_official_root(tmp_path, with_annotations=False))
    scene = source.load("val", "000000000009")
    assert not scene.instances.any()
    assert scene.image.shape == (256, 256, 3)


def test_coco_fingerprint_depends_on_the_annotations(tmp_path):
    root = coco_official_root(tmp_path, with_annotations=True)
    before = CocoStuff(root).fingerprint("val", ["000000000009"])
    annotations = root / "annotations" / "instances_val2017.json"
    annotations.write_text(annotations.read_text() + " ")
    assert CocoStuff(root).fingerprint("val", ["000000000009"]) != before


def test_broken_coco_annotations_are_named(tmp_path):
    root = coco_official_root(tmp_path, with_annotations=True)
    (root / "annotations" / "instances_val2017.json").write_text("{}")
    with pytest.raises(DataError, match=r"instances_val2017\.json is not a COCO annotation file"):
        CocoStuff(root).load("val", "000000000009")


def test_camvid_has_labels_and_no_instances(tmp_path):
    source = CamVid(camvid_root(tmp_path))
    scene = source.load("test", source.ids("test")[0])
    assert scene.labels.shape == (192, 256)
    assert scene.labels.max() == 11
    assert not scene.instances.any()


def test_scenes_of_a_folder_become_a_batch(tmp_path):
    source = Cityscapes(cityscapes_root(tmp_path), (20, 30))
    batch = stack([source.load("val", i) for i in source.ids("val")], source.label_space)
    assert batch.image.shape == (2, 3, 20, 30)
    assert batch.labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:100]), r"labelIds\.png cannot be read .*download it again"),
        (lambda path: path.write_bytes(b"not a picture"), r"labelIds\.png cannot be read"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: save(path, np.full((40, 60), 77, np.uint8)), "has label values 77, which cityscapes does not"),
        (lambda path: save(path, np.full((40, 60), 255, np.uint8)), "label values 255"),
        (lambda path: save(path, np.zeros((20, 30), np.uint8)), "is 20x30, but its image .* is 40x60"),
        (lambda path: save(path, picture(0)), "holds colours"),
    ],
)
def test_a_broken_label_file_is_named_with_a_remedy(tmp_path, damage, message):
    source = Cityscapes(cityscapes_root(tmp_path))
    ids = source.ids("val")
    damage(tmp_path / "gtFine/val/bonn/bonn_000001_000019_gtFine_labelIds.png")
    with pytest.raises(DataError, match=message) as caught:
        source.load("val", ids[1])
    assert "bonn_000001_000019" in str(caught.value)
    assert source.load("val", ids[0]).id == ids[0]


def test_a_scene_without_labels_stops_the_listing(tmp_path):
    cityscapes_root(tmp_path, count=3)
    (tmp_path / "gtFine/val/bonn/bonn_000001_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError, match=r"bonn_000001_000019_gtFine_labelIds\.png is missing.*bench data check"):
        Cityscapes(tmp_path).ids("val", 1)


def test_a_missing_split_names_those_that_are_there(tmp_path):
    with pytest.raises(DataError, match="there is only val"):
        Cityscapes(cityscapes_root(tmp_path)).ids("train")


def test_an_unknown_scene_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(DataError, match="did you mean 'bonn_000001_000019'"):
        Cityscapes(cityscapes_root(tmp_path)).load("val", "bonn_00001_000019")


def test_fingerprint_follows_bytes_size_and_ids_and_nothing_else(tmp_path):
    one, two = cityscapes_root(tmp_path / "one"), cityscapes_root(tmp_path / "two")
    ids = Cityscapes(one).ids("val")
    first = Cityscapes(one).fingerprint("val", ids)
    assert Cityscapes(two).fingerprint("val", ids) == first  # another place, the same bytes
    assert Cityscapes(one, (64, 128)).fingerprint("val", ids) != first
    assert Cityscapes(one).fingerprint("val", ids[:1]) != first
    save(two / "gtFine/val/bonn/bonn_000001_000019_gtFine_labelIds.png", np.full((40, 60), 7, np.uint8))
    assert Cityscapes(two).fingerprint("val", ids) != first


def test_images_are_filtered_before_they_are_thinned_out(tmp_path):
    """A checkerboard of single pixels shrinks to its mean, not to stripes."""
    board = (np.indices((40, 60)).sum(0) % 2 * 255).astype(np.uint8)
    save(tmp_path / "test/a.png", np.repeat(board[..., None], 3, axis=2))
    save(tmp_path / "testannot/a.png", np.zeros((40, 60), np.uint8))
    scene = CamVid(tmp_path, (10, 15)).load("test", "a")
    assert np.abs(scene.image[2:-2, 2:-2].astype(int) - 127).max() <= 2


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real samples are not here")
@pytest.mark.parametrize(
    ("name", "counts"),
    [("cityscapes", {"train": 3}), ("coco_stuff", {"train": 4}), ("camvid", {"train": 367, "val": 101})],
)
def test_real_samples_are_read(name, counts):
    source = open_dataset(name, SHARED / "samples" / name)
    assert isinstance(source, FolderSource)
    assert {split: len(source.ids(split)) for split in source.available_splits()} == counts
    for split in counts:
        scene = source.load(split, source.ids(split)[0])
        assert scene.image.shape == (*source.default_size, 3)
        assert scene.image.std() > 20
        assert len(np.unique(scene.labels)) > 1
        assert scene.labels.max() < source.label_space.size


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real samples are not here")
def test_real_cityscapes_edges_are_those_of_the_official_instance_files():
    source = open_dataset("cityscapes", SHARED / "samples" / "cityscapes", (1024, 2048))
    assert isinstance(source, FolderSource)
    scene_id = source.ids("train")[0]
    scene = source.load("train", scene_id)
    path = source.files("train", scene_id).instances
    assert path is not None
    np.testing.assert_array_equal(official_instances(scene.labels, scene.instances), np.asarray(Image.open(path)))


def test_the_resize_rule_is_part_of_the_fingerprint_and_survives_pickling(tmp_path):
    source = Cityscapes(cityscapes_root(tmp_path), (10, 15), resize="sdm")
    usual = Cityscapes(tmp_path, (10, 15))
    ids = source.ids("val")
    assert source.fingerprint("val", ids) != usual.fingerprint("val", ids)
    assert not np.array_equal(source.load("val", ids[0]).image, usual.load("val", ids[0]).image)
    assert pickle.loads(pickle.dumps(source)).resize == "sdm"


def test_an_unknown_resize_rule_is_refused(tmp_path):
    with pytest.raises(DataError, match="no resize rule 'sdmm' for camvid; did you mean 'sdm'"):
        CamVid(camvid_root(tmp_path), resize="sdmm")
    with pytest.raises(DataError, match="streets is rendered"):
        open_dataset("streets", resize="sdm")


def test_a_worker_whose_files_are_not_the_planned_ones_refuses(tmp_path):
    root = camvid_root(tmp_path)
    run = {"methods": ["full_image"], "datasets": ["camvid"], "metrics": []}
    scenes = make_plan(Config.model_validate({"run": run}), root).cells[0].scenes
    assert scenes.open().ids("test") == ["0001TP_000000"]
    save(root / "test/0001TP_000000.png", picture(99))
    with pytest.raises(DataError, match="the scenes of camvid are not those that the run was planned with"):
        scenes.open()


def test_ade20k_has_its_unlabelled_pixels_last_as_the_authors_networks_read_it(tmp_path):
    source = Ade20k(ade20k_root(tmp_path), (20, 30))
    assert source.evaluation_split() == "val"
    assert source.ids("val") == ["ADE_val_00000000", "ADE_val_00000001"]
    scene = source.load("val", "ADE_val_00000000")
    raw = np.asarray(Image.open(tmp_path / "annotations/validation/ADE_val_00000000.png"))[1::2, 1::2]
    assert np.array_equal(scene.labels, np.select([raw == 1, raw == 150], [0, 149], 150))
    space = source.label_space
    assert (space.names[0], space.names[149], space.unknown, len(space.evaluated)) == ("wall", "flag", 150, 150)
    assert not scene.instances.any()
    save(tmp_path / "annotations/validation/ADE_val_00000001.png", blocks(0, [1, 151]))
    with pytest.raises(DataError, match=r"label values 151, .* values 0\.\.150"):
        source.load("val", "ADE_val_00000001")
