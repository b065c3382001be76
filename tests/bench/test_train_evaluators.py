"""`bench train segmenter|detector|depth`: the networks that metrics ask."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from bench.api.errors import UsageError
from bench.cli import app
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
        ("detector --dataset stuff", "no embedded detector for stuff; known: streets"),
        ("depth --dataset stuff", "no embedded depth network for stuff; known: streets"),
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
