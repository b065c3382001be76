"""`stuff` as a data set: ids, fingerprints, materialised and exported scenes, and what its judge is trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from scene_roots import camvid_root
from typer.testing import CliRunner

import bench.data.stuff.render
from bench.api.errors import DataError, UsageError
from bench.api.metric import Comparison, MetricContext
from bench.cli import app
from bench.data.materialise import materialise
from bench.data.registry import open_dataset
from bench.data.stuff import Stuff
from metrics.miou import MeanIoU


def test_it_is_found_by_name_and_needs_no_root() -> None:
    source = open_dataset("stuff")
    assert isinstance(source, Stuff)
    assert (source.height, source.width) == (64, 64)
    assert source.label_space.size == 183
    assert source.label_space.unknown == 182


def test_ids_go_on_without_end_and_say_what_they_are() -> None:
    assert Stuff().ids("test", 2) == ["test-000000", "test-000001"]
    assert len(Stuff().ids("val", 700)) == 700
    with pytest.raises(DataError, match="stuff has no scene 'val-000001'"):
        Stuff().load("test", "val-000001")
    with pytest.raises(DataError, match="did you mean 'train'"):
        Stuff().ids("trian")


def test_fingerprint_follows_renderer_size_split_and_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprint(split: str = "test", count: int = 2, size: tuple[int, int] | None = None) -> str:
        return Stuff(size).fingerprint(split, Stuff().ids(split, count))

    first = fingerprint()
    assert first == fingerprint()
    others = {fingerprint("val"), fingerprint(count=3), fingerprint(size=(32, 32))}
    monkeypatch.setattr(bench.data.stuff.render, "RENDERER_VERSION", 1000)
    assert len({first, *others, fingerprint()}) == 5


def test_materialised_scenes_are_the_rendered_ones(tmp_path: Path) -> None:
    scenes = materialise(Stuff(), "val", 3, tmp_path, progress=False)
    batch = scenes.batch([2, 0])
    scene = Stuff().load("val", "val-000002")
    np.testing.assert_array_equal(batch.labels[0], scene.labels)
    np.testing.assert_array_equal(batch.instances[0], scene.instances)
    assert batch.depth is None


def test_exported_scenes_come_back(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["data", "export", "stuff", str(tmp_path / "x"), "--split", "val", "--limit", "2"])
    assert answer.exit_code == 0, answer.output
    back = open_dataset("cityscapes", tmp_path / "x")
    scene_id = back.ids("val")[1]
    scene, rendered = back.load("val", scene_id), Stuff().load("val", "val-000001")
    assert back.label_space == Stuff.label_space
    for field in ("image", "labels", "instances"):
        np.testing.assert_array_equal(getattr(scene, field), getattr(rendered, field))


@pytest.fixture
def train_segmenter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`bench train segmenter` for one step on few scenes, with all its files in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache")
    monkeypatch.setattr("bench.train.request.EVALUATOR_SCENES", 2)
    common = "--scenes 8 --steps 1 --option batch_size=8 --threads 1 --device cpu --weights-dir weights"

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["train", "segmenter", *arguments, *common.split()])

    return run


def test_the_segmenter_of_stuff_is_trained_written_and_found(
    train_segmenter: Callable[..., Result], tmp_path: Path
) -> None:
    answer = train_segmenter("--dataset", "stuff")
    assert answer.exit_code == 0, answer.output
    path = tmp_path / "weights" / "stuff_judge.safetensors"
    assert "asks on `stuff`" in path.with_suffix(".md").read_text()

    space = Stuff.label_space
    context = MetricContext("stuff", space, weights_dir=path.parent)
    batch = materialise(Stuff(), "val", 2, tmp_path / "cache", progress=False).batch([0, 1])
    metric = MeanIoU(context)
    measured = metric.measure(Comparison(batch.image, batch.image, batch.labels, batch.instances))
    assert "judge=stuff-v1@64x64|182 classes" in metric.protocol
    assert measured["gt"].shape == (2, 3, 182)
    assert measured["gt"][:, 1].sum() == (batch.labels != 182).sum()
    assert measured["gt"].nbytes < 5000


def test_a_segmenter_for_another_size_or_of_too_few_scenes_is_refused(
    train_segmenter: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "bench.toml").write_text("[data.stuff]\nsize = [32, 32]\n")
    with pytest.raises(UsageError, match="the stuff segmenter works at 64x64"):
        raise train_segmenter("--dataset", "stuff").exception  # type: ignore[misc]
    with pytest.raises(DataError, match="the split train of camvid has 2 scenes"):
        raise train_segmenter("--dataset", "camvid", "--root", str(camvid_root(tmp_path / "c"))).exception  # type: ignore[misc]
    assert not (tmp_path / "weights").exists()
