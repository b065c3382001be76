"""Data sets of the user's own: a folder and its classes.toml."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scene_roots import Drawn, ade20k_root, blocks, camvid_root, cityscapes_root, coco_spade_root, picture, save
from typer.testing import CliRunner

from bench.api.errors import DataError, UsageError
from bench.api.scenes import SceneSource
from bench.cli import app
from bench.config import load_config
from bench.data.ade20k import Ade20k
from bench.data.camvid import CamVid
from bench.data.cityscapes import Cityscapes
from bench.data.coco_stuff import CocoStuff
from bench.data.folder import check
from bench.data.own import OwnScenes, export_folder, init
from bench.data.registry import known_dataset, open_dataset
from bench.data.streets import Streets
from bench.data.stuff import Stuff
from bench.run.plan import make_plan

CLASSES = """
name = "mine"
size = [20, 30]
[classes]
3 = { name = "sky", colour = "#0000ff" }
7 = { name = "car", colour = "#ff0000", thing = true }
255 = { name = "nothing", colour = "#000000", unknown = true }
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Two scenes of the values 3, 7 and 255, with instances and depth; the second picture is a JPEG."""
    root = tmp_path / "mine"
    for n, ending in enumerate(("png", "jpg")):
        labels = blocks(n, [3, 7, 255])
        save(root / "val" / "images" / f"{n}.{ending}", picture(n))
        save(root / "val" / "labels" / f"{n}.png", labels)
        save(
            root / "val" / "instances" / f"{n}.png", np.where(labels == 7, 1 + (np.arange(60) > 30), 0).astype(np.uint8)
        )
        save(root / "val" / "depth" / f"{n}.png", np.full((40, 60), 640 * n, np.uint16))
    (root / "classes.toml").write_text(CLASSES)
    return root


def test_values_of_the_maps_become_label_ids_in_their_order(mine: Path) -> None:
    source = OwnScenes(mine)
    scene = source.load("val", "1")
    raw = np.asarray(Image.open(mine / "val/labels/1.png"))[1::2, 1::2]
    assert np.array_equal(scene.labels, np.select([raw == 3, raw == 7], [0, 1], 2))
    assert (scene.labels.shape, scene.image.shape) == ((20, 30), (20, 30, 3))
    assert set(np.unique(scene.instances)) == {0, 1000, 1001}
    assert scene.depth is not None
    assert (scene.depth == 2.5).all()
    space = source.label_space
    assert (space.names, space.evaluated, space.things, space.unknown) == (("sky", "car", "nothing"), (0, 1), (1,), 2)
    assert space.palette == ((0, 0, 255), (255, 0, 0), (0, 0, 0))
    assert (source.name, source.splits, source.evaluation_split()) == ("mine", ("val",), "val")


def test_instances_and_depth_may_be_absent(mine: Path) -> None:
    for name in ("instances", "depth"):
        (mine / "val" / name).rename(mine / f"no-{name}")
    scene = OwnScenes(mine).load("val", "0")
    assert not scene.instances.any()
    assert scene.depth is None


def test_a_worker_opens_the_same_scenes(mine: Path) -> None:
    source = OwnScenes(mine, (10, 15))
    again = pickle.loads(pickle.dumps(source))
    assert again.fingerprint("val", ["0"]) == source.fingerprint("val", ["0"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("7 = ", "8 = ", "label values 7, which mine does not have; give each a line under [classes]"),
        ('"sky"', '"car"', "two classes are called 'car'"),
        ("thing = true", "evaluated = false", ""),
        ("[20, 30]", "[20]", "size"),
        ("#0000ff", "blue", "classes.3.colour"),
        ("thing", "things", "unknown key; did you mean 'thing'?"),
        ('"mine"', '"Streets"', "the data set 'Streets' exists already"),
        ('"mine"', '"my/own"', "name: "),
        ("thing", "unknown", "more than one class is unknown"),
        ("[classes]", "[classes", "cannot be read as TOML"),
        ("size", "name = 'other'\nsize", "cannot be read as TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_classes_toml_is_said(mine: Path, old: str, new: str, said: str) -> None:
    (mine / "classes.toml").write_text(CLASSES.replace(old, new))
    if not said:
        assert OwnScenes(mine).label_space.evaluated == (0,)
        return
    with pytest.raises(DataError) as told:
        OwnScenes(mine).load("val", "0")
    assert said in str(told.value)
    assert "classes.toml" in str(told.value)


def test_no_evaluated_class_is_refused(mine: Path) -> None:
    (mine / "classes.toml").write_text(
        CLASSES.replace('" }', '", evaluated = false }').replace("thing", "evaluated = false, thing")
    )
    with pytest.raises(DataError, match="no class is evaluated"):
        OwnScenes(mine)


def test_a_missing_folder_or_description_says_what_to_do(mine: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        OwnScenes(tmp_path / "none")
    (mine / "classes.toml").unlink()
    with pytest.raises(DataError, match=r"`bench data init .*mine` writes one"):
        OwnScenes(mine)


def test_every_problem_of_files_is_listed(mine: Path, tmp_path: Path) -> None:
    val = mine / "val"
    save(val / "images" / "0.jpg", picture(3))  # two files of one stem
    (val / "instances" / "1.png").unlink()
    save(val / "images" / "2.png", picture(2))
    for name in ("labels", "instances", "depth"):
        save(val / name / "2.png", np.zeros((39, 60), np.uint8))
    report = check(OwnScenes(mine), progress=False)
    told = "\n".join(str(problem) for problem in report.problems)
    assert "is one of 2 files for the scene 0" in told
    assert "there is 1.jpg but no instance map for it" in told
    assert told.count("is 39x60, but its image") == 3
    with pytest.raises(DataError, match=r"`bench data check folder:.*mine --split val` lists all"):
        OwnScenes(mine).ids("val")


def test_links_that_leave_the_folder_are_not_followed(mine: Path, tmp_path: Path) -> None:
    secret = save(tmp_path / "secret.png", picture(9))
    (mine / "val/images/0.png").unlink()
    (mine / "val/images/0.png").symlink_to(secret)
    with pytest.raises(DataError, match=r"0\.png is a link that leaves the folder"):
        OwnScenes(mine).ids("val")
    with pytest.raises(DataError, match="is a link that leaves the folder"):
        OwnScenes(mine).load("val", "0")
    (mine / "val/images/0.png").unlink()
    (mine / "val/images/0.png").symlink_to("1.jpg")  # within it is no matter
    assert OwnScenes(mine).ids("val") == ["0", "1"]
    (mine / "val").rename(tmp_path / "elsewhere")
    (mine / "val").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="val is a link that leaves the folder"):
        OwnScenes(mine).ids("val")


@pytest.mark.parametrize("changed", ["classes.toml", "val/images/0.png", "val/depth/0.png"])
def test_any_change_of_the_folder_makes_other_scenes(mine: Path, changed: str) -> None:
    before = OwnScenes(mine).fingerprint("val", ["0"])
    assert before == OwnScenes(mine).fingerprint("val", ["0"])
    if changed == "classes.toml":
        (mine / changed).write_text(CLASSES.replace("sky", "heaven"))
    else:
        save(mine / changed, np.zeros((40, 60), np.uint8))
    assert before != OwnScenes(mine).fingerprint("val", ["0"])


def roots(tmp_path: Path) -> list[tuple[SceneSource, str, int]]:
    return [
        (Cityscapes(cityscapes_root(tmp_path / "c"), (20, 30)), "val", 2),
        (CocoStuff(coco_spade_root(tmp_path / "o"), (20, 30)), "train", 1),
        (CamVid(camvid_root(tmp_path / "v"), (20, 30)), "train", 2),
        (Drawn(), "train", 2),
        (Ade20k(ade20k_root(tmp_path / "a"), (20, 30)), "val", 2),
        (Streets((32, 64)), "test", 1),
        (Stuff((32, 32)), "test", 1),
    ]


@pytest.mark.parametrize("which", range(7))
def test_every_data_set_is_written_as_one_of_your_own_and_read_back(tmp_path: Path, which: int) -> None:
    source, split, count = roots(tmp_path)[which]
    out = tmp_path / "my-own"
    report = export_folder(source, split, out, count, progress=False)
    assert (report.written, report.kept) == (count, 0)
    assert export_folder(source, split, out, count, progress=False).kept == count
    read = OwnScenes(out)
    assert (read.name, read.height, read.width) == ("my_own", source.height, source.width)
    assert check(read, progress=False).problems == []
    theirs, ours = source.label_space, read.label_space
    for fact in ("names", "palette", "evaluated", "things", "unknown"):
        assert getattr(theirs, fact) == getattr(ours, fact), fact
    assert read.ids(split) == source.ids(split, count)
    for scene_id in read.ids(split):
        was, now = source.load(split, scene_id), read.load(split, scene_id)
        assert np.array_equal(was.image, now.image)
        assert np.array_equal(was.labels, now.labels)
        assert np.array_equal(was.instances if theirs.things else 0 * was.instances, now.instances)
        assert (was.depth is None) == (now.depth is None)
        if was.depth is not None:
            shown = was.depth < 255  # the sky of streets is beyond 16 bits
            assert np.abs(was.depth - now.depth)[shown].max() <= 1 / 512
            assert (now.depth[~shown] > 255).all()


def test_a_folder_of_another_data_set_is_left_alone(mine: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds other classes"):
        export_folder(Drawn(), "train", mine, 1, progress=False)
    with pytest.raises(DataError, match="is not empty"):
        export_folder(Drawn(), "train", mine / "val", 1, progress=False)


def test_init_writes_what_the_label_maps_hold(mine: Path) -> None:
    with pytest.raises(DataError, match="is there already"):
        init(mine, progress=False)
    (mine / "classes.toml").unlink()
    indexed = Image.fromarray(blocks(0, [3, 7, 255]))
    indexed.putpalette([255, 128, 0] * 256)
    indexed.save(mine / "val/labels/0.png")
    assert init(mine, progress=False) == [3, 7, 255]
    source = OwnScenes(mine)
    assert source.label_space.names == ("class_3", "class_7", "unlabelled")
    assert (source.label_space.unknown, source.label_space.palette[0]) == (2, (255, 128, 0))
    assert (source.height, source.width) == (128, 192)
    assert "in 2 of 2 maps" in (mine / "classes.toml").read_text()
    (mine / "classes.toml").unlink()
    save(mine / "val/labels/0.png", np.arange(2400, dtype=np.uint16).reshape(40, 60))
    with pytest.raises(DataError, match=r"hold \d+ values: are they instances"):
        init(mine, progress=False)
    with pytest.raises(DataError, match="has no label map: put pictures into SPLIT/images"):
        init(mine / "val", progress=False)


def test_it_is_named_by_its_folder_or_by_bench_toml(mine: Path, tmp_path: Path) -> None:
    toml = tmp_path / "bench.toml"
    toml.write_text('[data.mine]\nroot = "mine"\nsize = [10, 20]\n[metrics.mIoU.evaluators]\nmine = "hf:somewhere"\n')
    config = load_config(toml)
    assert known_dataset("MINE", config.data) == "mine"
    section = config.data["mine"]
    assert open_dataset("mine", None, section.size, section.root).label_space.names[0] == "sky"
    assert open_dataset(f"folder:{mine}").name == "mine"
    run = {"datasets": ("mine",), "methods": ("full_image",), "metrics": (), "psnr": (10.0,), "device": "cpu"}
    by_name = make_plan(config.model_copy(update={"run": config.run.model_copy(update=run)})).cells[0]
    run["datasets"] = (f"folder:{mine}",)
    by_folder = make_plan(config.model_copy(update={"run": config.run.model_copy(update=run)})).cells[0]
    assert (by_name.scenes.size, by_folder.scenes.size) == ((10, 20), (20, 30))
    assert by_name.scenes.dataset == by_folder.scenes.dataset == "mine"
    assert by_name.scenes.open().name == by_folder.scenes.open().name == "mine"
    (mine / "classes.toml").write_text(CLASSES.replace("mine", "yours"))
    with pytest.raises(DataError, match="names the data set 'yours', not 'mine'"):
        open_dataset("mine", None, None, mine)
    with pytest.raises(DataError, match="have changed"):
        by_folder.scenes.open()
    toml.write_text('[data.cityscpaes]\nroot = "mine/val"\n')
    with pytest.raises(UsageError, match=r"in \[data\.cityscpaes\]; did you mean 'cityscapes'"):
        make_plan(load_config(toml))


def test_every_command_of_data_takes_it(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def data(*arguments: str) -> str:
        answer = CliRunner().invoke(app, ["data", *arguments])
        assert answer.exit_code == 0, answer.output
        return answer.output

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (mine / "classes.toml").unlink()
    assert "wrote mine/classes.toml: 3 classes" in data("init", "mine", "--quiet")
    assert "mine in" in (told := data("check", "folder:mine", "--jobs", "1", "--quiet"))
    assert "no problem; complete scenes: val 2" in told
    assert "[data.mine]" not in data("list")
    (tmp_path / "bench.toml").write_text('[data.mine]\nroot = "mine"\nsize = [20, 30]\n')
    assert "[data.mine] in bench.toml" in (told := data("list"))
    assert "20x30" in told
    export = ("export", "mine", "edited", "--split", "val", "--jobs", "1", "--quiet")
    assert "read them with: --datasets folder:edited --split val" in data(*export, "--format", "folder")
    assert OwnScenes(tmp_path / "edited").ids("val") == ["0", "1"]
    wrong = CliRunner().invoke(app, ["data", *export, "--format", "folders"])
    assert "unknown format 'folders'; did you mean 'folder'" in str(wrong.exception)


def test_many_pictures_are_listed_without_reading_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "many"
    for name in ("images", "labels"):
        (root / "val" / name).mkdir(parents=True)
        for n in range(2000):
            os.link(root / "empty", root / "val" / name / f"{n}.png") if n else (root / "empty").touch()
    (root / "classes.toml").write_text(CLASSES)

    def read(*_: object) -> None:
        raise AssertionError("a picture was read")

    for name in ("read_rgb", "read_map", "file_digest"):
        monkeypatch.setattr(f"bench.data.folder.{name}", read)
    assert len(OwnScenes(root).ids("val")) == 1999
