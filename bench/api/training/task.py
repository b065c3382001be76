"""What the trainer needs to know of what it trains, a method or an evaluator: networks, optimisers, one step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from bench.api.errors import MethodError
from bench.api.scenes import Scene
from bench.api.training.distributed import average, average_before_step, broadcast
from bench.api.training.update import Precision, autocast, resolve


class TrainingScenes(Protocol):
    """Scenes at hand for training, read by index, from several threads at once."""

    def __len__(self) -> int: ...

    def batch(self, indices: list[int]) -> Scene:
        """The scenes of these indices, in this order."""
        ...


class TrainingTask(ABC):
    """One method's or evaluator's training. The trainer owns data order, checkpoints, logging and the random generator.

    `networks`, `emas` and `optimizers` (and `scaler`, where there is one) hold everything that a checkpoint has to
    restore. Learning rates have to be a function of the step alone, so that a resumed training equals an uninterrupted
    one. `batch_size` is that of one process; with several the trainer gives each its own scenes.
    """

    #: the recipe's batch size (of one process) and number of steps
    batch_size: int
    steps: int
    networks: dict[str, nn.Module]
    emas: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]

    #: the precisions that `step` can work in; `prepare` sets the one in force
    precisions: ClassVar[tuple[Precision, ...]] = ("float32",)
    precision: Precision = "float32"
    #: loss scaling, where the precision needs it; its state belongs to a checkpoint
    scaler: torch.amp.GradScaler | None = None
    #: The scalars of `step` whose explosion means that the training diverges: positive, of a steady order of magnitude.
    watched: ClassVar[tuple[str, ...]] = ("loss", "gradient_norm")
    #: whether its scenes need true depth
    with_depth: ClassVar[bool] = False
    #: The file of the weights, where it is not named after the method, the data set and the size; and the entry of its
    #: metadata that holds the card.
    weights_file: str | None = None
    record: str = "card"

    def begin(self, scenes: TrainingScenes) -> None:
        """Look at the training scenes before the first step, of a resumed training too."""
        return

    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """Everything that determines the training beside data, seed and steps, as JSON-serialisable data.

        A checkpoint is only continued by an equal recipe.
        """

    def facts(self) -> dict[str, Any]:
        """What the weights' card says beside the training, as JSON-serialisable data.

        Under `sampling` how the trained network has to be used, as far as the method leaves that open.
        """
        return {}

    @abstractmethod
    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        """One full update (all optimisers, EMA included); scalars for the log. All randomness from `generator`.

        The scalars' names are the same on every process at one step.
        """

    @abstractmethod
    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Pictures for the sample sheet, (B, 3, H, W) float32 in [0, 1]."""

    @abstractmethod
    def export(self) -> dict[str, Tensor]:
        """The weights that ship."""

    def validation(self, scene: Scene, generator: torch.Generator) -> dict[str, float]:
        """Losses of the averaged network, mean over held-out scenes.

        All randomness is from `generator`, which is the same for these scenes every time. Empty for a method whose
        losses say nothing there.
        """
        return {}

    def measure(self, weights: Path, held_out: Callable[[str], TrainingScenes | None]) -> str:
        """What the network in a written weights file is worth on held-out scenes of a split, in Markdown for its card.

        `held_out` answers None for a split that there is not. Nothing for a method, which metrics measure behind its
        channel.
        """
        return ""

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(next(iter(self.networks.values())).parameters()).device

    def prepare(self, precision: Precision, checkpoint_gradients: bool, compiled: bool | None = None) -> None:
        """Set how the steps are computed; called before a checkpoint is loaded.

        `auto` is bfloat16 on CUDA where the task has it, float32 otherwise. `checkpoint_gradients` computes activations
        again in the backward pass instead of keeping them. `compiled` lets the compiler fuse forward and backward pass;
        None is yes on CUDA where the task has it. MethodError for what this task cannot do.
        """
        self.precision = resolve(precision, self.device, self.precisions)
        if checkpoint_gradients:
            raise MethodError("gradient checkpointing exists for the diffusion methods only; leave it away")
        if compiled:
            raise MethodError("compiled training exists for the diffusion methods only; leave --compile away")

    def autocast(self) -> AbstractContextManager[None]:
        """The context in which the networks run: the precision's autocast, nothing for float32."""
        return autocast(self.device, self.precision)

    def distribute(self) -> None:
        """Let several processes (torch.distributed is initialised) train one model; called after loading a checkpoint.

        All start from rank 0's networks, and every optimiser step is preceded by averaging the gradients over the
        processes. Batch statistics are those of all processes together on CUDA; on the CPU, where PyTorch has no such
        layer, each process normalises by its own and the running ones are averaged.
        """
        if self.device.type == "cuda":
            convert = nn.SyncBatchNorm.convert_sync_batchnorm
            self.networks.update({k: convert(v) for k, v in self.networks.items()})  # type: ignore[no-untyped-call]
        broadcast(_state([*self.networks.values(), *self.emas.values()]))
        for optimizer in self.optimizers.values():
            average_before_step(optimizer)
        if self.device.type != "cuda":
            buffers = [b for network in self.networks.values() for b in network.buffers() if b.is_floating_point()]
            next(iter(self.optimizers.values())).register_step_pre_hook(lambda *_: average(buffers))


def _state(modules: list[nn.Module]) -> Iterator[Tensor]:
    for module in modules:
        yield from (p.data for p in module.parameters())
        yield from module.buffers()
