"""`bench train` end to end, at a handful of steps: weights, model card, resume, and weights that a method loads."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from bench.api.files import file_digest
from bench.api.method import MethodContext
from bench.api.specs import build_method, parse_spec
from bench.data.cityscapes import CITYSCAPES
from methods.gesco.method import Gesco, GescoFast

#: runs `bench ARGUMENTS` in this process (see conftest)
Cli = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("quick_scenes")


@pytest.fixture
def quick_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendered scenes go to a cache of the test's own; the defaults hold."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "defaults.toml").touch()


def arguments(folder: Path, method: str, steps: int) -> list[str]:
    """`bench train` for a few steps on a few scenes."""
    return [
        "train", method, "--scenes", "8", "--steps", str(steps), "--threads", "1", "--device", "cpu",
        "--weights-dir", str(folder / "weights"), "--out", str(folder / f"run-{method}"), "--sample-every", "0",
        "--config", str(folder / "defaults.toml"),
    ]  # fmt: skip


def train(cli: Cli, folder: Path, method: str, steps: int, *more: str) -> str:
    """Train a few steps on a few scenes; what the command printed."""
    answer = cli(*arguments(folder, method, steps), *more)
    assert answer.code == 0, answer.err
    return answer.out


def card_of(weights: Path) -> dict[str, Any]:
    with safe_open(weights, framework="pt") as file:
        return json.loads(file.metadata()["card"])


@pytest.mark.parametrize("method", ["gesco", "smis"])
def test_training_writes_weights_that_the_method_loads(cli: Cli, tmp_path: Path, method: str) -> None:
    assert "wrote" in train(cli, tmp_path, method, 2)
    weights = tmp_path / "weights" / f"{method}-streets-64x128.safetensors"
    card = card_of(weights)
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
    with pytest.raises(AssertionError, match=r"another training \(another recipe; steps was 2, now 3\)"):
        train(cli, tmp_path, "gesco", 3)
    with pytest.raises(AssertionError, match=r"another recipe.*steps was 2, now 3"):  # the checkpoint's
        train(cli, tmp_path, "gesco", 3, "--name", "longer")


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (("gesko",), "did you mean 'gesco'"),
        (("full_image",), "has no training"),
        (("gesco", "--dataset", "street"), "did you mean 'streets'"),
        (("gesco", "--profile", "huge"), "unknown profile 'huge'"),
        (("gesco", "--option", "noise_wights=1"), "did you mean 'noise_weights'"),
        (("gesco", "--option", "width"), "--option 'width' has no value"),
        (("gesco", "--option", "noise=pink"), "'independent' or 'broadcast'"),
        (("smis", "--option", "generator_rate=fast"), "training option generator_rate of smis"),
        (("gesco", "--precision", "bfloat"), "did you mean 'bfloat16'"),
        (("smis", "--early-stop", "5", "--validate-every", "0"), "--early-stop goes by validation losses"),
        (("smis", "--option", "crop=2"), "training option crop=2.0: a share of the sides"),
        (("gesco", "--teacher", "weights"), "unknown training option 'teacher' of gesco"),
        (("gesco_fast", "--teacher", "nowhere"), "there is no teacher at nowhere"),
    ],
)
def test_mistakes_are_one_line(cli: Cli, mistake: tuple[str, ...], said: str) -> None:
    answer = cli("train", *mistake)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err


SMALL = (
    "--option",
    "width=8",
    "--option",
    "multipliers=1,2",
    "--option",
    "head_channels=8",
    "--option",
    "batch_size=2",
)


def test_options_change_network_and_recipe_and_inference_follows(cli: Cli, tmp_path: Path) -> None:
    settings = "precision = 'bfloat16'\nvalidate_every = 1\noptions = { noise_weights = [1, 1, 1, 1, 1, 1, 9] }\n"
    (tmp_path / "defaults.toml").write_text(f"[train.gesco]\n{settings}")
    out = train(cli, tmp_path, "gesco", 1, *SMALL, "--option", "noise_levels=0.5,0.4,0.3,0.2,0.1,0.05,0")
    assert "validation: loss" in out
    weights = tmp_path / "weights" / "gesco-streets-64x128.safetensors"
    card = card_of(weights)
    assert (card["recipe"]["batch_size"], card["images_seen"], card["precision"]) == (2, 2, "bfloat16")
    assert (card["recipe"]["network"]["width"], card["recipe"]["network"]["multipliers"]) == (8, [1, 2])
    assert (card["recipe"]["noise_weights"][-1], card["recipe"]["noise_levels"][0]) == (9, 0.5)
    assert "--option width=8 " in weights.with_suffix(".md").read_text()

    context = MethodContext("streets", CITYSCAPES, 64, 128, weights_dir=tmp_path / "weights")
    method = build_method(parse_spec("gesco:steps=2"), context)
    assert isinstance(method, Gesco)
    assert (method.network.config.width, method.network.config.multipliers) == (8, (1, 2))


def test_a_student_learns_from_the_weights_that_are_named_and_its_card_says_so(cli: Cli, tmp_path: Path) -> None:
    train(cli, tmp_path, "gesco", 1, *SMALL)
    teacher = tmp_path / "weights" / "gesco-streets-64x128.safetensors"
    train(cli, tmp_path, "gesco_fast", 1, "--teacher", str(teacher), "--option", "batch_size=2")
    weights = tmp_path / "weights" / "gesco_fast-streets-64x128.safetensors"
    assert card_of(weights)["recipe"]["teacher"]["weights_sha256"] == file_digest(teacher)
    assert file_digest(teacher) in weights.with_suffix(".md").read_text()

    context = MethodContext("streets", CITYSCAPES, 64, 128, weights_dir=tmp_path / "weights")
    method = build_method(parse_spec("gesco_fast+digital"), context)
    assert isinstance(method, GescoFast)
    assert (method.network.config.width, method.options["steps"], method.options["fds"]) == (8, 2, True)


def test_bench_runs_as_a_module(fakes: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "train", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "torchrun --nproc-per-node" in done.stdout


@pytest.mark.slow
def test_torchrun_trains_on_two_processes(tmp_path: Path, fakes: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "bench"]
    command = [*launch, *arguments(tmp_path, "gesco", 2), *SMALL]
    for expected in ("wrote", "resuming at step 2 of 2"):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count(expected) == 1
    card = card_of(tmp_path / "weights" / "gesco-streets-64x128.safetensors")
    assert (card["processes"], card["images_seen"]) == (2, 8)
    assert "2, 2 on each of 2 processes, 8" in (tmp_path / "weights" / "gesco-streets-64x128.md").read_text()


#: `bench ARGUMENTS`, which kills itself two steps after its first checkpoint.
KILLED = """
import os, signal
from methods.gesco.task import GescoTask

step = GescoTask.step
def deadly(self, scene, generator, at):
    if at == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, scene, generator, at)
GescoTask.step = deadly

from bench.cli import main
main()
"""


@pytest.mark.slow
def test_kill_9_and_the_same_command_again_equal_one_uninterrupted_run(tmp_path: Path, fakes: Path) -> None:
    def command(name: str, *how: str) -> list[str]:
        return [sys.executable, *how, *arguments(tmp_path / name, "gesco", 40), *SMALL, "--checkpoint-every", "5"]

    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "defaults.toml").touch()
    killed = subprocess.run(command("killed", "-c", KILLED), capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
    assert torch.load(tmp_path / "killed" / "run-gesco" / "checkpoint.pt", weights_only=True)["step"] == 5
    for name in ("killed", "whole"):
        done = subprocess.run(command(name, "-m", "bench"), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        assert ("resuming at step" in done.stdout) == (name == "killed")
    states = [torch.load(tmp_path / n / "run-gesco" / "checkpoint.pt", weights_only=True) for n in ("killed", "whole")]
    for group in ("networks", "emas"):
        one, other = (state[group]["unet"] for state in states)
        assert all(torch.equal(one[key], other[key]) for key in one)
