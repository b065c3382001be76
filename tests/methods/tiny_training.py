"""Trainings so small that a test can afford several: scenes, a convolution, and a GESCO of a few thousand weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.api.method import MethodContext
from bench.api.scenes import LabelSpace, Scene
from bench.api.training.task import TrainingTask
from bench.train.trainer import TrainingRun
from methods.common.diffusion.profile import DiffusionProfile, UNetConfig, configured
from methods.gesco.task import Corruption, GescoTask

SPACE = LabelSpace("two", ("a", "b"), ((0, 0, 0), (255, 255, 255)), (0, 1))


class TinyScenes:
    """Ten random scenes of 8x8, the left half of label 0 and the right one of label 1."""

    def __init__(self, count: int = 10) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.rand(count, 3, 8, 8, generator=generator)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: list[int]) -> Scene:
        labels = torch.zeros(len(indices), 8, 8, dtype=torch.long)
        labels[:, :, 4:] = 1
        blank = torch.zeros_like(labels, dtype=torch.int32)
        return Scene(self.images[indices], labels, blank, None, tuple(map(str, indices)), SPACE)


class TinyTask(TrainingTask):
    """A convolution, batch norm and all, that learns to copy, with noise drawn from the trainer's generator.

    `explode_at`: the step from which on the loss is not finite, for this process; `diverge_at`: the step from which on
    it is multiplied by 1000.
    """

    batch_size = 4
    steps = 20

    def __init__(
        self, explode_at: int | None = None, rate: float = 1e-2, noise: float = 0.1, diverge_at: int | None = None
    ) -> None:
        torch.manual_seed(0)
        self.rate, self.noise, self.explode_at, self.diverge_at = rate, noise, explode_at, diverge_at
        network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3))
        self.networks: dict[str, nn.Module] = {"net": network}
        self.emas: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {"net": torch.optim.AdamW(network.parameters(), rate)}
        self.losses: list[float] = []
        self.seen: list[tuple[str, ...]] = []

    def recipe(self) -> dict[str, Any]:
        return {"rate": self.rate}

    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        noise = torch.randn(scene.image.shape, generator=generator)
        loss = ((self.networks["net"](scene.image + self.noise * noise) - scene.image) ** 2).mean()
        self.optimizers["net"].zero_grad()
        loss.backward()
        self.optimizers["net"].step()
        self.losses.append(float(loss.detach()))
        self.seen.append(scene.ids)
        if self.explode_at is not None and step >= self.explode_at:
            return {"loss": float("nan")}
        diverged = self.diverge_at is not None and step >= self.diverge_at
        return {"loss": self.losses[-1] * (1000 if diverged else 1)}

    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        return scene.image

    def export(self) -> dict[str, Tensor]:
        return self.networks["net"].state_dict()


def tiny_gesco(options: Mapping[str, Any] | None = None, dropout: float = 0.0, seed: int = 0) -> GescoTask:
    """GESCO's training with a two-level network on 8x8 scenes, every null-label and noise draw included."""
    network = UNetConfig(
        map_channels=3, width=8, multipliers=(1, 2), blocks=1, attention_factors=(2,), head_channels=8,
        spade_hidden=4, groups=4, dropout=dropout,
    )  # fmt: skip
    profile = DiffusionProfile(
        network=network, prediction="epsilon", batch_size=2, learning_rate=1e-3, warmup_steps=0, ema_decay=0.9,
        steps=20, sampler="ddim", sampling_steps=2,
    )  # fmt: skip
    profile, [corruption] = configured(profile, options or {}, "gesco", Corruption())
    torch.manual_seed(seed)
    return GescoTask(MethodContext("tiny", SPACE, 8, 8), profile, None, corruption)


def randomise(task: GescoTask) -> None:
    """Give the network weights in the middle of a training: at its start many are zero, and so are gradients."""
    torch.manual_seed(1)
    for parameter in task.network.parameters():
        nn.init.normal_(parameter, std=0.1)


def run_in(folder: Path, steps: int = 20, **changes: Any) -> TrainingRun:
    """A run with a checkpoint and a log line every five steps."""
    return TrainingRun(folder, steps, seed=3, **{"checkpoint_every": 5, "log_every": 5, **changes})


def state_of(task: TrainingTask) -> dict[str, Tensor]:
    """Networks and averages of a task, as one mapping."""
    groups = {**{f"net.{k}": v for k, v in task.networks.items()}, **{f"ema.{k}": v for k, v in task.emas.items()}}
    return {f"{group}.{key}": value.clone() for group, m in groups.items() for key, value in m.state_dict().items()}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run: (step, value) by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {name: [(s.step, s.value) for s in events.Scalars(name)] for name in events.Tags()["scalars"]}
