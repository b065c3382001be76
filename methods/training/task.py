"""What the shared trainer needs to know of a method: its networks, its optimisers and one training step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from methods.base import Scene


class TrainingScenes(Protocol):
    """Scenes at hand for training, read by index."""

    def __len__(self) -> int: ...

    def batch(self, indices: list[int]) -> Scene:
        """The scenes of these indices, in this order."""
        ...


class TrainingTask(ABC):
    """One method's training. The trainer owns data order, checkpoints, logging and the random generator.

    `networks`, `emas` and `optimizers` hold everything that a checkpoint has to restore. Learning rates have to be a
    function of the step alone, so that a resumed training equals an uninterrupted one.
    """

    #: the recipe's batch size and number of steps
    batch_size: int
    steps: int
    networks: dict[str, nn.Module]
    emas: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]

    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """Everything that determines the training beside data, seed and steps, as JSON-serialisable data. A
        checkpoint is only continued by an equal recipe."""

    @abstractmethod
    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        """One full update (all optimisers, EMA included); scalars for the log. All randomness from `generator`."""

    @abstractmethod
    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Pictures for the sample sheet, (B, 3, H, W) float32 in [0, 1]."""

    @abstractmethod
    def export(self) -> dict[str, Tensor]:
        """The weights that ship."""
