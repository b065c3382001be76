"""Scenes that the tests of the embedded evaluators train and measure on, and trainings on them."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from bench.api.method import MethodContext
from bench.api.scenes import Scene, stack
from bench.api.tensors import write_weights
from bench.data.cityscapes import CITYSCAPES
from bench.data.streets import Streets
from bench.train.trainer import TrainingRun, train
from metrics.evaluators.embedded import EVALUATORS, EvaluatorSpec
from metrics.evaluators.training import EvaluatorTask


class Blocks:
    """Scenes of (32, 32): two bright blocks, a car and a person, on a dark ground; what is lower is nearer."""

    size = (32, 32)

    def __init__(self, count: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.full((count, *self.size), 7)
        self.instances = torch.zeros(count, *self.size, dtype=torch.int32)
        self.depth = torch.linspace(40, 4, 32)[None, :, None].expand(count, *self.size).contiguous()
        self.image = 0.2 * torch.rand(count, 3, *self.size, generator=generator)
        for scene in range(count):
            x, y, other_x, other_y = torch.randint(0, 8, (4,), generator=generator).tolist()
            self._add(scene, 26, (x, y, x + 8, y + 6), (1.0, 0.3, 0.3))
            self._add(scene, 24, (16 + other_x, 16 + other_y, 20 + other_x, 24 + other_y), (0.3, 0.3, 1.0))

    def _add(self, scene: int, label: int, box: tuple[int, int, int, int], colour: tuple[float, ...]) -> None:
        x0, y0, x1, y1 = box
        self.labels[scene, y0:y1, x0:x1] = label
        self.instances[scene, y0:y1, x0:x1] = label * 1000
        self.image[scene, :, y0:y1, x0:x1] = torch.tensor(colour)[:, None, None]

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices):
        rows = list(indices)
        arrays = (self.image[rows], self.labels[rows], self.instances[rows], self.depth[rows])
        return Scene(*arrays, tuple(map(str, rows)), CITYSCAPES)


class Rendered:
    """The first test scenes of `streets`."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def batch(self, indices) -> Scene:
        return stack([_rendered(index) for index in indices], Streets.label_space)


@lru_cache(maxsize=64)
def _rendered(index: int):
    return Streets().load("test", f"test-{index:06d}")


def task_of(spec: EvaluatorSpec, options: dict[str, Any] | None = None) -> EvaluatorTask:
    """An evaluator's training, its network from PyTorch's global generator."""
    context = MethodContext(spec.dataset, CITYSCAPES, *spec.size)
    return import_module(EVALUATORS[spec.name].module).Task(spec, context, options or {})


def trained(
    spec: EvaluatorSpec, folder: Path, steps: int, scenes: Any, seed: int = 1, batch_size: int = 4, sparse: bool = False
) -> Path:
    """The weights file of a training by the trainer, from a checkpoint where there is one, written every 5 steps."""
    torch.manual_seed(seed)
    task = task_of(spec, {"batch_size": batch_size, "sparse": sparse})
    task.steps = steps
    run = TrainingRun(folder / "run", steps, seed, checkpoint_every=5)
    train(task, scenes, run, {}, lambda line: None)
    path = folder / spec.weights_file
    write_weights(path, task.export(), {task.record: task.facts()})
    return path
