"""The shared trainer: exact resume, guarded checkpoints, a clear stop on a loss that is not finite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from methods.base import LabelSpace, MethodError, Scene
from methods.training.task import TrainingTask
from methods.training.trainer import TrainingRun, scene_order, train

SPACE = LabelSpace("two", ("a", "b"), ((0, 0, 0), (255, 255, 255)), (0, 1))


class TinyScenes:
    """Ten random scenes of 8x8."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.rand(10, 3, 8, 8, generator=generator)

    def __len__(self) -> int:
        return 10

    def batch(self, indices: list[int]) -> Scene:
        blank = torch.zeros(len(indices), 8, 8)
        return Scene(self.images[indices], blank.long(), blank.int(), None, tuple(map(str, indices)), SPACE)


class TinyTask(TrainingTask):
    """A convolution that learns to copy, with noise drawn from the trainer's generator."""

    batch_size = 4
    steps = 20

    def __init__(self, explode_at: int | None = None, rate: float = 1e-2) -> None:
        torch.manual_seed(0)
        self.rate, self.explode_at = rate, explode_at
        network = nn.Conv2d(3, 3, 3, padding=1)
        self.networks: dict[str, nn.Module] = {"net": network}
        self.emas: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {"net": torch.optim.AdamW(network.parameters(), rate)}
        self.losses: list[float] = []

    def recipe(self) -> dict[str, Any]:
        return {"rate": self.rate}

    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        noise = torch.randn(scene.image.shape, generator=generator)
        loss = ((self.networks["net"](scene.image + 0.1 * noise) - scene.image) ** 2).mean()
        self.optimizers["net"].zero_grad()
        loss.backward()
        self.optimizers["net"].step()
        self.losses.append(float(loss.detach()))
        return {"loss": float("nan") if step == self.explode_at else self.losses[-1]}

    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        return scene.image

    def export(self) -> dict[str, Tensor]:
        return self.networks["net"].state_dict()


def run_in(folder: Path, steps: int = 20) -> TrainingRun:
    return TrainingRun(folder, steps, seed=3, checkpoint_every=5, log_every=5)


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = TinyTask()
    train(whole, TinyScenes(), run_in(tmp_path / "whole"), {}, lambda line: None)

    first = TinyTask(explode_at=13)  # stops in the middle of a checkpoint interval, as a kill would
    with pytest.raises(MethodError):
        train(first, TinyScenes(), run_in(tmp_path / "parts"), {}, lambda line: None)
    second = TinyTask()
    summary = train(second, TinyScenes(), run_in(tmp_path / "parts"), {}, lambda line: None)
    assert first.losses[:10] + second.losses == whole.losses
    for key, value in whole.export().items():
        assert torch.equal(second.export()[key], value)
    assert summary["finished"]
    assert summary["images_seen"] == 80


def test_a_loss_that_is_not_finite_stops_and_names_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=r"loss is not finite at step 13.*checkpoint\.pt"):
        train(TinyTask(explode_at=13), TinyScenes(), run_in(tmp_path), {}, lambda line: None)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 10


@pytest.mark.parametrize("change", ["recipe", "data", "seed"])
def test_a_checkpoint_is_not_continued_by_another_recipe(tmp_path: Path, change: str) -> None:
    train(TinyTask(), TinyScenes(), run_in(tmp_path), {"data": "x"}, lambda line: None)
    task = TinyTask(rate=1e-3) if change == "recipe" else TinyTask()
    run = replace(run_in(tmp_path, 30), seed=4) if change == "seed" else run_in(tmp_path, 30)
    with pytest.raises(MethodError, match="another recipe"):
        train(task, TinyScenes(), run, {"data": "y" if change == "data" else "x"}, lambda line: None)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(MethodError, match="cannot be read"):
        train(TinyTask(), TinyScenes(), run_in(tmp_path), {}, lambda line: None)


def test_the_time_limit_leaves_a_checkpoint(tmp_path: Path) -> None:
    summary = train(TinyTask(), TinyScenes(), replace(run_in(tmp_path), time_limit=0.0), {}, lambda line: None)
    assert not summary["finished"]
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == summary["steps"] == 1


def test_an_epoch_sees_every_scene_once_and_epochs_differ() -> None:
    epochs = [[i for step in range(3 * e, 3 * e + 3) for i in scene_order(12, 4, step, 0)] for e in (0, 1)]
    assert [sorted(e) for e in epochs] == [list(range(12))] * 2
    assert epochs[0] != epochs[1]
