"""What the shared trainer needs to know of a method: its networks, its optimisers and one training step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

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

    `networks`, `emas` and `optimizers` hold everything that a checkpoint has to restore; `scheduled` below is called
    before every step, so that learning rates are a function of the step alone and resume exactly.
    """

    #: batch size of the recipe
    batch_size: ClassVar[int] = 4
    networks: dict[str, nn.Module]
    emas: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]

    @abstractmethod
    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        """One full update (all optimisers, EMA included); scalars for the log. All randomness from `generator`."""

    @abstractmethod
    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Pictures for the sample sheet, (B, 3, H, W) float32 in [0, 1]."""

    @abstractmethod
    def export(self) -> dict[str, Tensor]:
        """The weights that ship."""
