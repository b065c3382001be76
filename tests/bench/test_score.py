"""`bench score`: pictures that were made elsewhere, measured like those of a cell."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Answer
from scene_roots import blocks, picture, save
from table_frames import all_rows

from bench.api.scores import COSTS, score_info

Cli = Callable[..., Answer]


def scores(out: Path, method: str) -> pd.DataFrame:
    """Everything that metrics say of a method, sorted."""
    frame = all_rows(out)
    costs = frame["metric"].map(lambda name: score_info(name).family == "cost")
    frame = frame[(frame["method"] == method) & ~costs]
    columns = ["metric", "scene", "value", "std", "stderr", "scenes", "higher_is_better", "protocol"]
    return frame[columns].sort_values(["metric", "scene"]).reset_index(drop=True)


@pytest.mark.parametrize("given", ["cell", "pack", "unpacked"])
def test_a_cells_own_pictures_have_its_scores_to_the_last_bit(cli: Cli, fakes: Path, given: str) -> None:
    metrics = ("--metrics", "mIoU,LPIPS,FID[lite0],FakeMSE", "--out", "o")
    assert cli("run", "--methods", "fake_pixels", "--psnr", "10", *metrics).code == 0
    pack = next((fakes / "o" / "cells" / "streets" / "fake_pixels").glob("*/pack.zip"))
    places = {"cell": pack.parent, "pack": pack, "unpacked": fakes / "unpacked"}
    with zipfile.ZipFile(pack) as packed:
        packed.extractall(places["unpacked"])
    answer = cli(
        "score", str(places[given]), "--against", "streets", "--scenes", "3", "--name", "theirs", "--psnr", "10",
        *metrics,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert "theirs" in answer.out
    assert not list((fakes / "o" / "tmp").iterdir())
    was, now = scores(fakes / "o", "fake_pixels"), scores(fakes / "o", "theirs")
    assert {"mIoU", "LPIPS", "FID[lite0]", "FakeMSE"} <= set(was["metric"])
    pd.testing.assert_frame_equal(was, now, check_exact=True)
    frame = all_rows(fakes / "o")
    assert not COSTS.keys() & set(frame[frame["method"] == "theirs"]["metric"])  # nobody knows them
    assert cli("table", "bits", "--out", "o").code == 0


def test_a_damaged_pack_is_not_scored(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--methods", "fake_pixels", "--psnr", "10", "--metrics", "FakeMSE", "--out", "o").code == 0
    pack = next((fakes / "o" / "cells" / "streets" / "fake_pixels").glob("*/pack.zip"))
    score = ("--against", "streets", "--scenes", "3", "--name", "theirs", "--metrics", "FakeMSE", "--out", "p")
    damaged = bytearray(pack.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    pack.write_bytes(damaged)
    (fakes / "lone.zip").write_bytes(damaged[:-30])
    for given in (pack, pack.parent, fakes / "lone.zip"):
        answer = cli("score", str(given), *score)
        assert answer.code == 1
        assert "is damaged, or no zip of pictures" in answer.err
        assert not list((fakes / "p").rglob("pack.zip"))


def test_pictures_named_like_scenes_are_scored_and_mistakes_listed(cli: Cli, fakes: Path) -> None:
    made = fakes / "made"
    for n in range(2):
        save(made / f"test-00000{n}.png", picture(n, 32, 64))
    score = ("score", "made", "--against", "streets", "--metrics", "FakeMSE", "--out", "o")
    assert cli(*score, "--scenes", "2").code == 0
    assert list(all_rows(fakes / "o")["method"].unique()) == ["made", "pure_noise"]
    answer = cli(*score, "--scenes", "4")
    assert answer.code == 2
    assert "2 of 4 scenes of streets test have no picture in made: test-000002, test-000003" in answer.err
    answer = cli(*score, "--scenes", "1")
    assert answer.code == 2
    assert "1 pictures in made belong to none of these scenes: test-000001.png" in answer.err
    save(made / "test-000001.png", picture(1, 16, 64))
    answer = cli(*score, "--scenes", "2")
    assert answer.code == 1
    assert "is 16x64, the scenes of streets are read at 32x64" in answer.err
    answer = cli(*score, "--scenes", "2", "--name", "oasis")
    assert answer.code == 2
    assert "that no method has" in answer.err


def test_other_pictures_of_the_same_name_replace_the_row(cli: Cli, fakes: Path) -> None:
    values = []
    for seed in (0, 1):
        save(fakes / "made" / "test-000000.png", picture(seed, 32, 64))
        answer = cli("score", "made", "--against", "streets", "--metrics", "FakeMSE", "--scenes", "1", "--out", "o")
        assert answer.code == 0, answer.err
        values.append(scores(fakes / "o", "made")["value"].iloc[0])
    assert values[0] != values[1]


@pytest.mark.parametrize("with_labels", [False, True])
def test_a_plain_folder_of_originals_will_do(cli: Cli, fakes: Path, with_labels: bool) -> None:
    for n in range(2):
        save(fakes / "originals" / f"{n}.png", picture(n))
        save(fakes / "maps" / f"{n}.png", blocks(n, [0, 4]))
    shutil.copytree(fakes / "originals", fakes / "made")
    more = ("--labels", "maps") if with_labels else ()
    answer = cli("score", "made", "--against", "originals", "--metrics", "FakeMSE", "--out", "o", *more)
    assert answer.code == 0, answer.err
    frame = all_rows(fakes / "o")
    own = frame[frame["method"] == "made"]
    assert set(own["dataset"]) == {"originals"}
    assert (own[own["metric"] == "FakeMSE"]["value"] == 0).all()
    classes = next((fakes / "o" / "against").glob("*/*/classes.toml")).read_text()
    assert ("class_4" in classes) == with_labels
    assert np.isfinite(own["value"]).all()
