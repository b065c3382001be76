"""`bench data check`: every problem of a damaged root is listed, and nothing is said about a sound one."""

import shutil

import numpy as np
import pytest
from scene_roots import SHARED, camvid_root, cityscapes_root, coco_official_root, coco_spade_root, save
from typer.testing import CliRunner

from bench.cli.data import app
from bench.data.camvid import CamVid
from bench.data.cityscapes import Cityscapes
from bench.data.coco_stuff import CocoStuff
from bench.data.folder import check


def run(*arguments: object):
    return CliRunner().invoke(app, ["check", *map(str, arguments), "--quiet"])


def test_sound_roots_have_no_problem(tmp_path):
    sources = [
        Cityscapes(cityscapes_root(tmp_path / "a")),
        CocoStuff(coco_spade_root(tmp_path / "b")),
        CocoStuff(coco_official_root(tmp_path / "c", with_annotations=True)),
        CamVid(camvid_root(tmp_path / "d")),
    ]
    reports = [check(source, progress=False) for source in sources]
    assert [report.problems for report in reports] == [[], [], [], []]
    assert [report.scenes for report in reports] == [{"val": 2}, {"train": 1}, {"val": 1}, {"train": 2, "test": 1}]


def test_every_problem_of_a_damaged_root_is_listed(tmp_path):
    cityscapes_root(tmp_path, count=6)
    truth, images = tmp_path / "gtFine/val/bonn", tmp_path / "leftImg8bit/val/bonn"
    truncated = images / "bonn_000000_000019_leftImg8bit.png"
    truncated.write_bytes(truncated.read_bytes()[:3000])
    (images / "bonn_000001_000019_leftImg8bit.png").unlink()
    (truth / "bonn_000002_000019_gtFine_instanceIds.png").unlink()
    save(truth / "bonn_000003_000019_gtFine_labelIds.png", np.full((40, 60), 200, np.uint8))
    save(truth / "bonn_000004_000019_gtFine_instanceIds.png", np.zeros((20, 60), np.uint16))
    # both maps of the truncated image's scene are broken as well
    save(truth / "bonn_000000_000019_gtFine_labelIds.png", np.full((40, 60), 99, np.uint8))
    (truth / "bonn_000000_000019_gtFine_instanceIds.png").write_bytes(b"")

    report = check(Cityscapes(tmp_path), jobs=2, progress=False)
    found = {(p.path.name, p.what.split(":")[0].split(" (")[0].split(",")[0]) for p in report.problems}
    assert found == {
        ("bonn_000000_000019_leftImg8bit.png", "cannot be read"),
        ("bonn_000000_000019_gtFine_labelIds.png", "has label values 99"),
        ("bonn_000000_000019_gtFine_instanceIds.png", "cannot be read"),
        ("bonn_000001_000019_leftImg8bit.png", "is missing"),
        ("bonn_000002_000019_gtFine_instanceIds.png", "is missing"),
        ("bonn_000003_000019_gtFine_labelIds.png", "has label values 200"),
        ("bonn_000004_000019_gtFine_instanceIds.png", "is 20x60"),
    }
    assert len(report.problems) == 7
    assert all(problem.remedy for problem in report.problems)
    assert report.scenes == {"val": 4}


def test_a_flipped_byte_is_found_even_where_the_picture_still_decodes(tmp_path):
    cityscapes_root(tmp_path)
    path = tmp_path / "leftImg8bit/val/bonn/bonn_000000_000019_leftImg8bit.png"
    data = bytearray(path.read_bytes())
    data[-14] ^= 1  # the checksum of the last data chunk, behind the pixels
    path.write_bytes(data)
    problems = check(Cityscapes(tmp_path), progress=False).problems
    assert [problem.path for problem in problems] == [path]


@pytest.mark.parametrize(("value", "wrong"), [(181, False), (182, True), (254, True), (255, False)])
def test_the_values_of_coco_stuff_maps(tmp_path, value, wrong):
    coco_spade_root(tmp_path)
    save(tmp_path / "train_label/000000000007.png", np.full((40, 60), value, np.uint8))
    assert bool(check(CocoStuff(tmp_path), progress=False).problems) == wrong


def test_the_command_lists_all_and_exits_with_1(tmp_path):
    camvid_root(tmp_path)
    (tmp_path / "trainannot/0001TP_000000.png").unlink()
    save(tmp_path / "trainannot/0001TP_000001.png", np.full((40, 60), 12, np.uint8))
    result = run("camvid", "--root", tmp_path)
    assert result.exit_code == 1
    assert "0001TP_000000.png is missing" in result.output
    assert "0001TP_000001.png has label values 12" in result.output
    assert "2 problems" in result.output


def test_the_command_looks_at_the_split_asked_for(tmp_path):
    camvid_root(tmp_path)
    (tmp_path / "trainannot/0001TP_000000.png").unlink()
    result = run("camvid", "--root", tmp_path, "--split", "test")
    assert result.exit_code == 0
    assert "no problem" in result.output


def test_an_empty_root_is_a_problem(tmp_path):
    result = run("cityscapes", "--root", tmp_path)
    assert result.exit_code == 1
    assert "leftImg8bit/SPLIT/CITY" in result.output


def test_a_folder_without_files_is_a_problem(tmp_path):
    (tmp_path / "train").mkdir()
    result = run("camvid", "--root", tmp_path)
    assert result.exit_code == 1
    assert "has no file in its split train" in result.output


def test_the_embedded_data_set_has_nothing_to_check():
    assert run("streets").exit_code == 0


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real samples are not here")
def test_a_damaged_copy_of_a_real_sample(tmp_path):
    shutil.copytree(SHARED / "samples" / "coco_stuff", tmp_path / "root")
    for path in (tmp_path / "root").rglob("*"):
        path.chmod(0o755)
    broken = tmp_path / "root/train_img/000000017914.jpg"
    broken.write_bytes(broken.read_bytes()[:10_000])
    problems = check(CocoStuff(tmp_path / "root"), progress=False).problems
    assert [problem.path for problem in problems] == [broken]
