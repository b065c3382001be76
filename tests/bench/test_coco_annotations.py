"""COCO's annotation file: one bad entry is named and spoils no other; what would give wrong instances is refused."""

import json

import pytest
from scene_roots import blocks, coco_official_root, coco_spade_root, picture, save

from bench.api.errors import DataError
from bench.data.coco_stuff import CocoStuff, read_annotations
from bench.data.folder import check

SQUARE = [10, 10, 30, 10, 30, 30, 10, 30]


@pytest.fixture
def root(tmp_path):
    """Two scenes, 9 and 10, with annotations; `change` edits the file."""
    folder = coco_official_root(tmp_path, with_annotations=True)
    save(folder / "val2017/000000000010.jpg", picture(10))
    save(folder / "stuffthingmaps_trainval2017/val2017/000000000010.png", blocks(3, [0, 2]))
    change(folder, lambda content: content["images"].append({"id": 10, "file_name": "000000000010.jpg"}))
    return folder


def change(root, edit) -> None:
    path = root / "annotations/instances_val2017.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def annotate(root, **annotation) -> None:
    whole = {"id": 77, "image_id": 9, "iscrowd": 0, "segmentation": [SQUARE], **annotation}
    change(root, lambda content: content["annotations"].append(whole))


def test_an_annotation_of_an_unlisted_image_is_named_and_the_rest_read(root):
    before = CocoStuff(root).load("val", "000000000009").instances
    annotate(root, image_id=4711)
    source = CocoStuff(root)
    report = check(source, "val", progress=False)
    assert report.problems == []
    (note,) = report.notes
    assert "1 annotation of pictures that it does not list, ignored: annotation 77" in note
    assert source.notes("val") == report.notes
    assert (source.load("val", "000000000009").instances == before).all()


@pytest.mark.parametrize(
    ("segmentation", "what"),
    [
        ([SQUARE[:-1]], "a polygon of an odd length"),
        ([SQUARE, [1, 2, 3]], "a polygon of an odd length"),
        ([["a"] * 6], "a polygon that is no list of coordinates"),
        ([[1e400] * 6], "a polygon that is no list of coordinates"),
        ([[float("nan")] * 6], "a polygon that is no list of coordinates"),
        ([[1e12] * 6], "a polygon that is no list of coordinates"),
        ([7], "a polygon that is no list of coordinates"),
        ({"counts": [0, 2400], "size": [40, 60]}, "no polygons and is no crowd"),
        (None, "no polygons and is no crowd"),
    ],
)
def test_an_annotation_that_cannot_be_drawn_is_named_and_stops_its_scene_alone(root, segmentation, what):
    annotate(root, segmentation=segmentation)
    source = CocoStuff(root)
    (problem,) = check(source, "val", progress=False).problems
    assert f"cannot be drawn for 000000000009.jpg: annotation 77 has {what}" in str(problem)
    for read in (lambda: source.load("val", "000000000009"), lambda: source.ids("val")):
        with pytest.raises(DataError) as caught:
            read()
        assert str(problem) in str(caught.value)
    assert source.load("val", "000000000010").id == "000000000010"


def test_scenes_before_a_bad_one_can_be_run(root):
    annotate(root, image_id=10, segmentation=[SQUARE[:-1]])
    assert CocoStuff(root).ids("val", 1) == ["000000000009"]


def test_a_picture_that_is_not_listed_has_unknown_instances(root):
    change(root, lambda content: content["images"].pop())
    source = CocoStuff(root)
    (problem,) = check(source, "val", progress=False).problems
    assert "does not list 000000000010.jpg, so its instances are unknown" in str(problem)
    with pytest.raises(DataError, match="does not list 000000000010"):
        source.ids("val")


def test_pictures_of_another_size_than_annotated_are_refused(root):
    change(root, lambda content: content["images"][0].update(height=480, width=640))
    (problem,) = check(CocoStuff(root), "val", progress=False).problems
    assert "annotates 000000000009 at 480x640 (height x width), but its files are 40x60" in str(problem)
    with pytest.raises(DataError, match="at 480x640"):
        CocoStuff(root).load("val", "000000000009")


def test_folders_in_file_names_do_not_matter(root):
    before = CocoStuff(root).load("val", "000000000009").instances
    for prefix in ("val2017/", "val2017\\"):
        change(root, lambda c, p=prefix: c["images"][0].update(file_name=f"{p}000000000009.jpg"))
        assert (CocoStuff(root).load("val", "000000000009").instances == before).all()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"images": 3, "annotations": []}', '{"images": [3], "annotations": []}', "[" * 100_000,
     '{"images": [], "annotations": [3]}', '{"images": [{"id": [], "file_name": "a"}], "annotations": []}',
     '{"images": [{"id": 1, "file_name": 3}], "annotations": []}',
     '{"images": [], "annotations": [{"image_id": {}}]}'],
)  # fmt: skip
def test_a_file_that_is_no_annotation_file_is_named_once(root, text):
    (root / "annotations/instances_val2017.json").write_text(text)
    (problem,) = check(CocoStuff(root), "val", progress=False).problems  # for two scenes
    assert "is not a COCO annotation file" in str(problem)
    with pytest.raises(DataError, match="is not a COCO annotation file"):
        CocoStuff(root).ids("val")


@pytest.mark.parametrize("second", [{"id": 9, "file_name": "other.jpg"}, {"id": 12, "file_name": "000000000009.png"}])
def test_two_listed_pictures_of_one_id_or_name_are_refused(root, second):
    change(root, lambda content: content["images"].append(second))
    with pytest.raises(DataError, match="two images of the id"):
        read_annotations(root / "annotations/instances_val2017.json")


def test_missing_annotations_and_a_second_layout_are_told(tmp_path):
    root = coco_official_root(tmp_path, with_annotations=False)
    assert any(
        "instances_val2017.json is not there, so the scenes have no instances" in n
        for n in CocoStuff(root).notes("val")
    )
    coco_spade_root(root)
    save(root / "train2017/000000000001.jpg", picture(1))
    assert CocoStuff(root).notes("train") == [f"{root / 'train2017'} is not read: train_img is"]
