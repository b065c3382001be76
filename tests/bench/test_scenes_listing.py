"""Which files make a scene: endings and accents are not taken literally, two files are never one scene, and what is not
ours is ignored and counted."""

import os
import shutil
import unicodedata

import numpy as np
import pytest
from scene_roots import blocks, camvid_root, cityscapes_root, coco_official_root, coco_spade_root, picture, save

from bench.api.errors import DataError
from bench.cli.data import app
from bench.config import Config
from bench.data.camvid import CAMVID, CamVid
from bench.data.cityscapes import Cityscapes
from bench.data.coco_stuff import CocoStuff
from bench.data.folder import FolderSource, check
from bench.run.plan import make_plan


def problems_of(source: FolderSource, split: str) -> list[str]:
    """What the check says, which has to be what a run stops at."""
    problems = [str(problem) for problem in check(source, split, progress=False).problems]
    if problems:
        with pytest.raises(DataError) as caught:
            [source.load(split, scene_id) for scene_id in source.ids(split)]
        assert problems[0] in str(caught.value)
    return problems


def upper(folder, ending: str) -> None:
    """Write the endings of the files in `folder` in capital letters."""
    for path in list(folder.rglob(f"*{ending}")):
        path.rename(path.with_name(path.name[: -len(ending)] + ending.upper()))


def test_endings_are_compared_without_case_everywhere(tmp_path):
    cityscapes = cityscapes_root(tmp_path / "a")
    spade, official = coco_spade_root(tmp_path / "b"), coco_official_root(tmp_path / "c", with_annotations=True)
    camvid = camvid_root(tmp_path / "d")
    sources = [Cityscapes(cityscapes), CocoStuff(spade), CocoStuff(official), CamVid(camvid)]
    splits = ["val", "train", "val", "test"]
    before = [[s.load(split, i) for i in s.ids(split)] for s, split in zip(sources, splits, strict=True)]
    for ending in (".png", ".jpg", ".json", "_leftImg8bit.PNG", "_gtFine_labelIds.PNG", "_gtFine_instanceIds.PNG"):
        upper(tmp_path, ending)
    sources = [Cityscapes(cityscapes), CocoStuff(spade), CocoStuff(official), CamVid(camvid)]
    for source, split, scenes in zip(sources, splits, before, strict=True):
        assert source.ids(split) == [scene.id for scene in scenes]
        for scene in scenes:
            again = source.load(split, scene.id)
            np.testing.assert_array_equal(again.image, scene.image)
            np.testing.assert_array_equal(again.labels, scene.labels)
            np.testing.assert_array_equal(again.instances, scene.instances)
        assert check(source, split, progress=False).problems == []


@pytest.mark.parametrize("second", ["0001TP_000000.jpg", "0001TP_000000.JPEG", "0001TP_000000.PNG"])
def test_two_pictures_of_one_stem_are_named_and_neither_is_taken(tmp_path, second):
    root = camvid_root(tmp_path)
    save(root / "test" / second, picture(5))
    (problem,) = problems_of(CamVid(root), "test")
    assert "is one of 2 files for the scene 0001TP_000000" in problem
    assert second in problem
    assert "0001TP_000000.png" in problem


def test_two_maps_of_one_stem_are_named(tmp_path):
    root = camvid_root(tmp_path)
    save(root / "testannot/0001TP_000000.PNG", blocks(1, [0]))
    (problem,) = problems_of(CamVid(root), "test")
    assert "is one of 2 files for the scene" in problem


def test_one_scene_in_two_cities_is_named(tmp_path):
    root = cityscapes_root(tmp_path)
    for folder in ("leftImg8bit", "gtFine"):
        shutil.copytree(root / folder / "val/bonn", root / folder / "val/berlin")
    assert len(problems_of(Cityscapes(root), "val")) == 6
    assert all("is one of 2 files for the scene bonn_" in str(p) for p in Cityscapes(root).listing("val").problems)


def test_names_that_differ_in_unicode_form_are_one_scene(tmp_path):
    root = camvid_root(tmp_path)
    for form, folder, old in (
        ("NFD", "test", "test/0001TP_000000.png"),
        ("NFC", "testannot", "testannot/0001TP_000000.png"),
    ):
        (root / old).rename(root / folder / (unicodedata.normalize(form, "Zürich") + ".png"))
    assert CamVid(root).ids("test") == [unicodedata.normalize("NFC", "Zürich")]
    assert problems_of(CamVid(root), "test") == []


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"a\x1b[31mred.png", b"a\nb.png"])
def test_a_name_that_cannot_be_printed_is_refused_with_escapes(tmp_path, name):
    root = camvid_root(tmp_path)
    for folder in ("test", "testannot"):
        shutil.copy(root / folder / "0001TP_000000.png", os.fsencode(root / folder) + b"/" + name)
    for problem in problems_of(CamVid(root), "test"):
        assert "has a name that cannot be printed" in problem
        assert problem.isprintable()
    assert len(problems_of(CamVid(root), "test")) == 2


def test_the_files_of_other_tools_beside_the_maps_are_ignored_and_counted(tmp_path):
    """mmsegmentation writes `ID_labelTrainIds.png`, and CamVid's colours are `ID_L.png`."""
    roots = [
        camvid_root(tmp_path / "camvid"),
        coco_spade_root(tmp_path / "coco"),
        cityscapes_root(tmp_path / "city", count=1),
    ]
    truths = [roots[0] / "testannot", roots[1] / "train_label", roots[2] / "gtFine/val/bonn"]
    stems = ["0001TP_000000", "000000000007", "bonn_000000_000019_gtFine"]
    for truth, stem in zip(truths, stems, strict=True):
        for ending in ("_labelTrainIds.png", "_L.png", ".txt"):
            shutil.copy(next(truth.glob("*.png")), truth / f"{stem}{ending}")
        (truth / ".DS_Store").write_bytes(b"x")
        (truth / f"._{stem}.png").write_bytes(b"x")
        (truth / "thumbnails.png").mkdir()
    sources = [CamVid(roots[0]), CocoStuff(roots[1]), Cityscapes(roots[2])]
    for source, split, truth in zip(sources, ["test", "train", "val"], truths, strict=True):
        report = check(source, split, progress=False)
        folder = truth.parent if isinstance(source, Cityscapes) else truth
        assert report.problems == []
        assert report.scenes == {split: 1}
        (note,) = report.notes
        assert note.startswith(f"{folder} holds 6 other files, ignored: ")
        assert source.notes(split) == report.notes


def test_a_run_tells_what_it_ignores(tmp_path):
    root = camvid_root(tmp_path)
    shutil.copy(root / "testannot/0001TP_000000.png", root / "testannot/0001TP_000000_labelTrainIds.png")
    plan = make_plan(
        Config.model_validate({"run": {"methods": ["full_image"], "datasets": ["camvid"], "metrics": []}}), root
    )
    assert [line for line in plan.left_out if "labelTrainIds" in line] == [
        f"camvid: {root / 'testannot'} holds 1 other file, ignored: 0001TP_000000_labelTrainIds.png"
    ]


def test_what_the_official_zips_hold_is_no_news(tmp_path):
    root = cityscapes_root(tmp_path, count=1)
    for ending in ("color.png", "polygons.json"):
        (root / f"gtFine/val/bonn/bonn_000000_000019_gtFine_{ending}").write_bytes(b"x")
    assert Cityscapes(root).notes("val") == []


def test_a_map_whose_picture_is_lost_is_a_problem_and_not_foreign(tmp_path):
    root = camvid_root(tmp_path)
    for name in ("0001TP_000000_2.png", "0002TP_labelTrainIds.png"):
        save(root / "testannot" / name, blocks(1, [0]))
    problems = problems_of(CamVid(root), "test")
    assert len(problems) == 2
    assert all("but no image for it" in problem for problem in problems)


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        (lambda path: path.rename(path.with_suffix(".tif")), r"0001TP_000000\.tif has another ending: convert it"),
        (
            lambda path: path.rename(path.with_name("0001tp_000000.png")),
            r"written with other capital letters: rename it",
        ),
        (lambda path: (path.unlink(), path.mkdir()), r"0001TP_000000\.png is a folder"),
        (lambda path: path.unlink(), r"restore it, or move .*testannot/0001TP_000000\.png elsewhere"),
    ],
)
def test_what_is_said_of_a_missing_picture_does_not_lead_to_deleting_its_map(tmp_path, change, remedy):
    root = camvid_root(tmp_path)
    change(root / "test/0001TP_000000.png")
    with pytest.raises(DataError, match=rf"is missing: .*{remedy}"):
        CamVid(root).ids("test")
    assert any("is missing" in problem for problem in problems_of(CamVid(root), "test"))


def test_a_folder_that_may_not_be_listed_is_a_problem(tmp_path, monkeypatch):
    root = camvid_root(tmp_path)
    usual = os.scandir

    def refusing(folder):
        if str(folder) == str(root / "testannot"):
            raise PermissionError(13, "Permission denied")
        return usual(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    assert any("testannot cannot be read (Permission denied)" in p for p in problems_of(CamVid(root), "test"))


def test_the_order_of_scenes_is_not_the_file_systems(tmp_path, monkeypatch):
    root = camvid_root(tmp_path)
    for n in (3, 1, 2):
        for folder in ("test", "testannot"):
            shutil.copy(root / folder / "0001TP_000000.png", root / folder / f"0001TP_00000{n}.png")
    usual = os.scandir

    class Backwards:
        def __init__(self, folder):
            self.entries = sorted(usual(folder), key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(os, "scandir", Backwards)
    assert CamVid(root).ids("test") == [f"0001TP_00000{n}" for n in range(4)]


def test_a_root_with_braces_in_its_name_is_read(tmp_path):
    root = camvid_root(tmp_path / "{x} 100%")
    (root / "testannot/0001TP_000000.png").unlink()
    (problem,) = problems_of(CamVid(root), "test")
    assert str(root) in problem


def test_auto_takes_val_where_camvid_has_no_test_split(tmp_path):
    root = camvid_root(tmp_path)
    for kind in ("", "annot"):
        (root / f"test{kind}").rename(root / f"val{kind}")
    assert CamVid(root).evaluation_split() == "val"
    plan = make_plan(
        Config.model_validate({"run": {"methods": ["full_image"], "datasets": ["camvid"], "metrics": []}}), root
    )
    assert {cell.scenes.split for cell in plan.cells} == {"val"}


@pytest.mark.parametrize("what", ["no labels", "empty"])
def test_auto_takes_val_where_camvids_test_split_cannot_be_scored(tmp_path, what):
    root = camvid_root(tmp_path)
    for kind in ("", "annot"):
        shutil.copytree(root / f"train{kind}", root / f"val{kind}")
        if kind or what == "empty":
            shutil.rmtree(root / f"test{kind}")
        if what == "empty":
            (root / f"test{kind}").mkdir()
    source = CamVid(root)
    assert source.evaluation_split() == "val"
    said = [note for note in source.notes("val") if "has no labels (testannot is missing)" in note]
    assert bool(said) == (what == "no labels")


def test_auto_prefers_test_and_never_takes_train(tmp_path):
    root = camvid_root(tmp_path)
    assert CamVid(root).evaluation_split() == "test"
    for kind in ("", "annot"):
        shutil.rmtree(root / f"test{kind}")
    with pytest.raises(DataError, match="neither a test nor a val split of camvid: there is train"):
        CamVid(root).evaluation_split()
    assert CAMVID.name == CamVid(root).label_space.name


def test_the_command_prints_notes_and_they_are_no_problem(tmp_path):
    from typer.testing import CliRunner

    root = camvid_root(tmp_path)
    (root / "testannot/readme.txt").write_text("x")
    result = CliRunner().invoke(app, ["check", "camvid", "--root", str(root), "--quiet"])
    assert result.exit_code == 0, result.output
    assert "note: " in result.output
    assert "1 other file, ignored: readme.txt" in result.output
    assert "no problem" in result.output
