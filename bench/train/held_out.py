"""Held-out scenes of a training: its validation losses, when it ends by them, and how far the network overfits."""

import math
from collections.abc import Callable
from typing import Any

from bench.api.errors import MethodError
from bench.api.scenes import Scene
from bench.api.training.distributed import ranks
from bench.api.training.task import TrainingScenes, TrainingTask
from bench.train.record import Record, validation_losses

#: Loss on held-out scenes over that on training scenes from which on a network is said to overfit.
OVERFITS = 1.25


class _Spread:
    """So many of other scenes, at even distances: neighbours in a list are often of one drive."""

    def __init__(self, scenes: TrainingScenes, number: int) -> None:
        self.scenes, self.number = scenes, min(number, len(scenes))

    def __len__(self) -> int:
        return self.number

    def batch(self, indices: list[int]) -> Scene:
        """As of all scenes."""
        return self.scenes.batch([index * len(self.scenes) // self.number for index in indices])


class HeldOut:
    """The held-out `scenes`, None for none, and the lowest loss on them so far; a checkpoint keeps `state`.

    After `patience` losses in a row that are no lower the training has `ended` (0: never).
    """

    def __init__(self, task: TrainingTask, scenes: TrainingScenes | None, patience: int, state: dict[str, Any]) -> None:
        """MethodError for patience with several processes, of which one alone looks at held-out scenes."""
        if patience and ranks().world > 1:
            raise MethodError("--early-stop works with one process")
        self.task, self.scenes, self.patience = task, scenes, patience
        self.best: dict[str, float] = dict(state.get("best", {}))
        self.worse: int = state.get("worse", 0)

    @property
    def ended(self) -> bool:
        """Whether the training is to end by what it was told of."""
        return 0 < self.patience <= self.worse

    def look(self, step: int, record: Record, keep: Callable[[], None]) -> None:
        """Record the validation losses; `keep` is called where the first one is the lowest so far."""
        loss = record.validation(step, self.task, self.scenes) if self.scenes else None
        if not self.patience or loss is None:
            return
        if loss < self.best.get("loss", math.inf):
            self.best, self.worse = {"step": step, "loss": loss}, 0
            keep()
        else:
            self.worse += 1

    def state(self) -> dict[str, Any]:
        """Nothing where the training does not end by them, so that its checkpoints stay as they were."""
        return {"best": self.best, "worse": self.worse} if self.patience else {}

    def facts(
        self, seen: TrainingScenes, report: Callable[[str], None], restore: Callable[[], object]
    ) -> dict[str, Any]:
        """What a card says of the trained network: the best step, and the loss here and on as many of those `seen`.

        `restore` brings the best network back, where there is one.
        """
        found: dict[str, Any] = {}
        if self.best:
            restore()
            found["best"] = self.best
        if self.scenes is None:
            return found
        both = (validation_losses(self.task, scenes) for scenes in (self.scenes, _Spread(seen, len(self.scenes))))
        losses = [next(iter(losses.values()), math.nan) for losses in both]
        if not all(map(math.isfinite, losses)):
            return found
        told = f"loss on {len(self.scenes)} held-out scenes {losses[0]:.4f}, on training scenes {losses[1]:.4f}"
        if losses[0] > OVERFITS * losses[1]:
            remedy = "more scenes, changed ones (--option crop=0.6, flip=true, colour=0.2) or --early-stop help"
            told = f"warning: the network overfits: {told}; {remedy}"
        report(told)
        return {**found, "held_out_loss": losses[0], "seen_loss": losses[1]}
