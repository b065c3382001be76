"""`bench train judge|detector|depth`: the networks that metrics ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from bench.api.errors import UsageError
from bench.cli import app
from metrics.evaluators.embedded_depth import EmbeddedDepth
from metrics.evaluators.embedded_detector import EmbeddedDetector

Train = Callable[..., Result]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """`bench train ARGUMENTS` for one step on few scenes, with all its files in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache")
    monkeypatch.setattr("bench.train.request.EVALUATOR_SCENES", 2)
    common = "--scenes 4 --steps 1 --threads 1 --device cpu --weights-dir weights"
    return lambda *arguments: CliRunner().invoke(app, ["train", *arguments, *common.split()])


@pytest.mark.parametrize(("target", "reader"), [("detector", EmbeddedDetector), ("depth", EmbeddedDepth)])
def test_it_is_trained_measured_on_two_splits_written_and_found(target: str, reader: type, train: Train) -> None:
    answer = train(target)
    assert answer.exit_code == 0, answer.output
    path = Path("weights") / f"streets_{target}.safetensors"
    assert f"wrote {path}" in answer.output
    card = path.with_suffix(".md").read_text()
    for split in ("val", "test"):
        assert f"on 2 {split} scenes" in answer.output or f"2 {split} scenes:" in answer.output
        assert f"2 {split} scenes" in card
    found = reader.load("streets", path.parent, torch.device("cpu"))
    assert found.protocol == f"streets-{target}-v1@64x128"
    again = train(target)  # a finished training is measured and written anew, not made anew
    assert "continuing at step 1 of 1" in again.output
    assert path.with_suffix(".md").read_text() == card


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("detector --dataset stuff", "no embedded detector for stuff; known: streets"),
        ("depth --dataset stuff", "no embedded depth network for stuff; known: streets"),
        ("depth --option width=3", "the depth network has no options"),
        ("detector --time-limit 60", "the detector knows no --time-limit"),
        ("dept", "unknown method 'dept'; did you mean 'depth'?"),
    ],
)
def test_what_cannot_be_trained_is_refused(arguments: str, message: str, train: Train) -> None:
    answer = train(*arguments.split())
    assert isinstance(answer.exception, UsageError)
    assert message in str(answer.exception)
    assert not Path("weights").exists()
