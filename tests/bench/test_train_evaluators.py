"""`bench train segmenter|detector|depth`: the networks that metrics ask."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from scene_roots import blocks, picture, save
from typer.testing import CliRunner

from bench.api.errors import MetricError, UsageError
from bench.api.metric import Comparison, MetricContext
from bench.api.registry import METRICS
from bench.api.scenes import stack
from bench.cli import app
from bench.data.own import OwnScenes
from metrics.evaluators.embedded import EmbeddedDepth, EmbeddedDetector, EmbeddedSegmenter

Train = Callable[..., Result]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """`bench train ARGUMENTS` for one step on few scenes, with all its files in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache")
    monkeypatch.setattr("bench.train.request.EVALUATOR_SCENES", 2)
    common = (
        "--scenes 4 --steps 2 --option batch_size=2 --threads 1 --device cpu --weights-dir weights --sample-every 2"
    )
    return lambda *arguments: CliRunner().invoke(app, ["train", *arguments, *common.split()])


@pytest.mark.parametrize(
    ("target", "reader", "version"),
    [
        ("segmenter", EmbeddedSegmenter, "streets-v1"),
        ("detector", EmbeddedDetector, "streets-detector-v1"),
        ("depth", EmbeddedDepth, "streets-depth-v1"),
    ],
)
def test_it_is_trained_measured_on_two_splits_written_and_found(
    target: str, reader: type, version: str, train: Train
) -> None:
    answer = train(target, "--sample-every", "2")
    assert answer.exit_code == 0, answer.output
    path = Path("weights") / f"streets_{'judge' if target == 'segmenter' else target}.safetensors"
    assert f"wrote {path}" in answer.output
    assert Path(f"runs/train/{target}-streets/samples-0000002.png").is_file()
    card = path.with_suffix(".md").read_text()
    assert "| 2 val scenes | 2 test scenes |" in answer.output
    assert "| 2 val scenes | 2 test scenes |" in card
    assert f"`bench train {target} --dataset streets --scenes 4 --steps 2 --seed 0 --option batch_size=2`" in card
    found = reader.load("streets", path.parent, torch.device("cpu"))
    assert found.protocol == f"{version}@64x128"
    again = train(target)  # a finished training is measured and written anew, not made anew
    assert "resuming at step 2 of 2" in again.output
    assert path.with_suffix(".md").read_text() == card
    assert isinstance(train(target, "--option", "learning_rate=1").exception, UsageError)


def test_validation_precision_and_a_time_limit_are_those_of_every_training(train: Train) -> None:
    answer = train("detector", "--validate-every", "2", "--precision", "bfloat16", "--time-limit", "600")
    assert answer.exit_code == 0, answer.output
    assert "step 2  validation: loss" in answer.output
    assert "bfloat16" in Path("weights/streets_detector.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "depth --option warmup=3",
            "unknown training option 'warmup' of the depth network; did you mean",
        ),
        ("detector --profile paper", "the detector has no profile 'paper'"),
        ("judge", "the judge is called segmenter now: bench train segmenter"),
        ("dept", "unknown method 'dept'; did you mean 'depth'?"),
    ],
)
def test_what_cannot_be_trained_is_refused(arguments: str, message: str, train: Train) -> None:
    answer = train(*arguments.split())
    assert isinstance(answer.exception, UsageError)
    assert message in str(answer.exception)
    assert not Path("weights").exists()


CLASSES = """name = "mine"
size = [32, 48]
[classes]
3 = { name = "ground", colour = "#00ff00" }
7 = { name = "box", colour = "#ff0000", thing = true }
255 = { name = "nothing", colour = "#000000", unknown = true }
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of the user's own with instances and depth, and an empty folder of the user's weights."""
    monkeypatch.setenv("GESCO_BENCH_WEIGHTS", str(tmp_path / "user"))
    root = tmp_path / "mine"
    for split, count in (("train", 4), ("val", 2)):
        for n in range(count):
            labels = blocks(n, [3, 7, 255])
            save(root / split / "images" / f"{n}.png", picture(n))
            save(root / split / "labels" / f"{n}.png", labels)
            save(root / split / "instances" / f"{n}.png", (labels == 7).astype(np.uint8))
            save(root / split / "depth" / f"{n}.png", np.full((40, 60), 2560, np.uint16))
    (root / "classes.toml").write_text(CLASSES)
    return root


def own(target: str, *more: str) -> Result:
    common = "--dataset folder:mine --steps 2 --option batch_size=2 --threads 1 --device cpu --sample-every 0"
    return CliRunner().invoke(app, ["train", target, *common.split(), *more])


@pytest.mark.parametrize(
    ("target", "metric", "file"),
    [("segmenter", "mIoU", "mine_judge"), ("detector", "objects", "mine_detector"), ("depth", "depth", "mine_depth")],
)
def test_an_evaluator_of_any_data_set_is_trained_and_asked(
    target: str, metric: str, file: str, mine: Path, train: Train
) -> None:
    space = OwnScenes(mine).label_space
    with pytest.raises(MetricError, match=f"bench train {target} --dataset mine"):
        METRICS.build(metric, MetricContext("mine", space))
    answer = own(target)
    assert answer.exit_code == 0, answer.output
    assert f"{metric} asks it on mine from now on" in answer.output
    card = (mine.parent / "user" / "own" / f"{file}.md").read_text()
    assert "scenes like those of `mine` only" in card
    assert "| 2 val scenes |" in card
    asked = METRICS.build(metric, MetricContext("mine", space))
    assert f"mine-{target}(weights own)@32x48" in asked.protocol
    scene = stack([OwnScenes(mine).load("val", name) for name in "01"], space)
    asked.prepare()
    measured = asked.measure(Comparison(scene.image, scene.image, scene.labels, scene.instances, scene.depth))
    assert {len(values) for values in measured.values()} == {2}


def test_a_segmenter_of_other_classes_is_refused(mine: Path, train: Train) -> None:
    assert own("segmenter").exit_code == 0
    (mine / "classes.toml").write_text(CLASSES.replace("thing = true", "evaluated = false"))
    with pytest.raises(MetricError, match="knows the label ids"):
        METRICS.build("mIoU", MetricContext("mine", OwnScenes(mine).label_space))


@pytest.mark.parametrize(
    ("target", "change", "message"),
    [
        ("segmenter", ("[32, 48]", "[30, 48]"), "needs sides that are multiples of 16, not 30x48"),
        ("detector", ("thing = true", "evaluated = true"), "no class of mine is one"),
        ("detector", ("instances", ""), "have no instance of a thing"),
        ("depth", ("depth", ""), "mine has no depth"),
        ("smis", ("mine", "mine"), "smis groups its channels for the 35 label ids"),
    ],
)
def test_what_a_data_set_lacks_is_said_before_the_first_step(
    target: str, change: tuple[str, str], message: str, mine: Path, train: Train
) -> None:
    (mine / "classes.toml").write_text(CLASSES.replace(*change))
    if not change[1]:
        for split in ("train", "val"):
            (mine / split / change[0]).rename(mine / split / "away")
    answer = own(target)
    assert message in str(answer.exception)
    assert not list(mine.parent.glob("user/own/*"))
    assert "step" not in answer.output


@pytest.mark.slow
def test_torchrun_trains_a_detector_on_two_processes_and_the_first_one_measures_it(tmp_path: Path, fakes: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "bench"]
    what = (
        "train detector --scenes 8 --steps 2 --option batch_size=2 --threads 1 --device cpu --weights-dir w --out run"
    )
    done = subprocess.run([*launch, *what.split()], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("wrote") == done.stdout.count("| 500 val scenes | 500 test scenes |") == 1
    assert "2, 2 on each of 2 processes, 8" in (tmp_path / "w" / "streets_detector.md").read_text()
