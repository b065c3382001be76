"""`bench train` end to end, at a handful of steps: weights, model card, resume, and weights that a method loads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from bench.scenes.labels import CITYSCAPES
from methods.base import MethodContext
from methods.registry import build_method, parse_spec

#: runs `bench ARGUMENTS` in this process (see conftest)
Cli = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("quick_scenes")


@pytest.fixture
def quick_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendered scenes go to a cache of the test's own; the defaults hold."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "defaults.toml").touch()


def train(cli: Cli, folder: Path, method: str, steps: int) -> str:
    """Train a few steps on a few scenes; what the command printed."""
    answer = cli(
        "train", method, "--scenes", "8", "--steps", str(steps), "--threads", "1", "--device", "cpu",
        "--weights-dir", str(folder / "weights"), "--out", str(folder / f"run-{method}"), "--sample-every", "0",
        "--config", str(folder / "defaults.toml"),
    )  # fmt: skip
    assert answer.code == 0, answer.err
    return answer.out


@pytest.mark.parametrize("method", ["gesco", "smis"])
def test_training_writes_weights_that_the_method_loads(cli: Cli, tmp_path: Path, method: str) -> None:
    assert "wrote" in train(cli, tmp_path, method, 2)
    weights = tmp_path / "weights" / f"{method}-streets-64x128.safetensors"
    with safe_open(weights, framework="pt") as file:
        card = json.loads(file.metadata()["card"])
    assert (card["steps"], card["scenes"], card["images_seen"]) == (2, 8, 2 * card["recipe"]["batch_size"])
    text = weights.with_suffix(".md").read_text()
    assert "Apache-2.0" in text
    assert f"bench train {method}" in text
    context = MethodContext("streets", CITYSCAPES, 64, 128, weights_dir=tmp_path / "weights")
    assert build_method(parse_spec(method), context).weights_digest()


def test_the_same_command_goes_on_and_another_recipe_is_refused(cli: Cli, tmp_path: Path) -> None:
    train(cli, tmp_path, "gesco", 2)
    weights = tmp_path / "weights" / "gesco-streets-64x128.safetensors"
    with safe_open(weights, framework="pt") as file:
        first = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    assert "resuming at step 2 of 2" in train(cli, tmp_path, "gesco", 2)
    with safe_open(weights, framework="pt") as file:
        assert all(torch.equal(first[key], file.get_tensor(key)) for key in first)
    with pytest.raises(AssertionError, match=r"another recipe.*steps was 2, now 3"):
        train(cli, tmp_path, "gesco", 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gesko",), "did you mean 'gesco'"),
        (("full_image",), "has no training"),
        (("gesco", "--dataset", "street"), "did you mean 'streets'"),
        (("gesco", "--profile", "huge"), "unknown profile 'huge'"),
    ],
)
def test_mistakes_are_one_line(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    answer = cli("train", *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
