"""The contact sheet: pictures from the cache in their places, received maps in the label colours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Answer
from PIL import Image

from bench.data.cityscapes import CITYSCAPES
from bench.data.registry import open_dataset
from bench.data.streets import Streets
from bench.pictures.cells import paint_labels, strongest_class
from bench.pictures.sheet import GAP, HEADER, MARGIN

Cli = Callable[..., Answer]


def test_the_strongest_class_leaves_the_edge_channel_out() -> None:
    maps = torch.tensor([[[0.9, 0.2]], [[0.1, 0.3]], [[5.0, 5.0]]])
    assert strongest_class(maps, (7, 23, CITYSCAPES.size), CITYSCAPES).tolist() == [[7, 23]]  # road, sky, edges


def test_the_sheet_shows_truth_maps_and_pictures(cli: Cli, fakes: Path) -> None:
    answer = cli("run", "--methods", "fake_pixels,fake_maps", "--psnr", "100,10", "--out", "o")
    assert answer.code == 0, answer.err
    answer = cli("sheet", "--scenes", "2", "--psnr", "100,10,1", "--out", "o")
    assert answer.code == 0, answer.err
    with Image.open(Path(answer.out.strip())) as picture:
        sheet = np.array(picture)
    factor = 4  # 64 pixels wide becomes at least 240
    high, wide = 32 * factor, 64 * factor
    blocks, rows, columns = 2, 2, 4  # scenes; PSNRs that were run; truth, received map and the two methods
    assert sheet.shape == (
        HEADER + blocks * (rows * (high + GAP) + 2 * GAP),
        GAP + columns * (wide + GAP) + MARGIN,
        3,
    )

    def shown(scene: int, row: int, column: int) -> np.ndarray:
        top = HEADER + scene * (rows * (high + GAP) + 2 * GAP) + row * (high + GAP)
        left = GAP + column * (wide + GAP) + (MARGIN if column else 0)
        return sheet[top : top + high : factor, left : left + wide : factor]

    source = open_dataset("streets", size=(32, 64))
    for number, scene_id in enumerate(source.ids("test", 2)):
        scene = source.load("test", scene_id)
        labels = paint_labels(scene.labels, CITYSCAPES)
        assert np.array_equal(shown(number, 0, 0), scene.image)
        assert np.array_equal(shown(number, 1, 0), labels)
        assert np.array_equal(shown(number, 0, 1), labels)  # the map came through the clean channel
        noisy = (shown(number, 1, 1) == labels).all(axis=2).mean()
        assert 0.05 < noisy < 0.95
        assert np.array_equal(shown(number, 0, 2), scene.image)
        assert not np.array_equal(shown(number, 1, 2), scene.image)


def test_a_single_psnr_leaves_room_for_the_labels(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    answer = cli("sheet", "--scenes", "1", "--psnr", "10", "--out", "o")
    assert answer.code == 0, answer.err
    with Image.open(Path(answer.out.strip())) as picture:
        assert picture.height == HEADER + 2 * (32 * 4 + GAP) + 2 * GAP


def test_a_sheet_of_chosen_methods_shows_no_picture_that_may_not_be_shown(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--methods", "fake_pixels,fake_maps", "--psnr", "10", "--out", "o").code == 0
    answer = cli("sheet", "--scenes", "1", "--psnr", "10", "--methods", "fake_maps", "--labels-only", "--out", "o")
    assert answer.code == 0, answer.err
    with Image.open(Path(answer.out.strip())) as picture:
        sheet = np.array(picture)
    high, wide, columns = 32 * 4, 64 * 4, 3  # labels, received map and the one method
    assert sheet.shape == (HEADER + high + GAP + 2 * GAP, GAP + columns * (wide + GAP) + MARGIN, 3)
    source = open_dataset("streets", size=(32, 64))
    labels = paint_labels(source.load("test", source.ids("test", 1)[0]).labels, CITYSCAPES)
    assert np.array_equal(sheet[HEADER : HEADER + high : 4, GAP : GAP + wide : 4], labels)


def test_a_psnr_that_was_not_run_is_refused_and_a_lost_cache_is_named(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    answer = cli("sheet", "--psnr", "20", "--out", "o")
    assert (answer.code, "no cell at PSNR 20" in answer.err) == (2, True)
    (fakes / "o" / "cells").rename(fakes / "o" / "gone")
    answer = cli("sheet", "--out", "o")
    assert (answer.code, "holds none of the results' cells" in answer.err) == (1, True)


def test_scenes_that_changed_since_the_run_do_not_stand_beside_its_pictures(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    version = Streets().renderer_version()
    monkeypatch.setattr(Streets, "renderer_version", lambda self: version + 1)
    answer = cli("sheet", "--psnr", "10", "--out", "o")
    assert answer.code == 1
    assert "the scenes of streets changed since the run" in answer.err
