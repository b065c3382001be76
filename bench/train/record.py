"""What a training shows of itself, and noticing that it diverges before its last good checkpoint is overwritten.

It shows log lines, TensorBoard scalars, validation losses and sample sheets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from bench.api.training.batches import in_order
from bench.api.training.task import TrainingScenes, TrainingTask

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


#: Scenes on a sample sheet.
SHEET = 8

#: A log entry is out of bounds above FACTOR times the median of the last HISTORY entries within bounds; this many of
#: them in a row mean divergence. In the trainings of the shipped weights no loss or gradient norm came above 2 medians.
FACTOR = 10.0
PATIENCE = 3
HISTORY = 20
#: Nothing is judged before there are so many entries: in the beginning losses move by themselves.
LEAST = 5


class DivergenceMonitor:
    """Watches the logged means of some scalars.

    `observe` takes one log entry after the other; `suspicious` says that the latest one was out of bounds, and that the
    state of the training should therefore not replace a good one; `diverged` gives the sentence for people.
    """

    def __init__(self, watched: tuple[str, ...]) -> None:
        """Watch the scalars of these names, as far as they are logged."""
        self.watched = watched
        self.history: dict[str, list[float]] = {}
        self.out_of_bounds: dict[str, int] = {}
        self.latest: dict[str, float] = {}

    def observe(self, means: Mapping[str, float]) -> None:
        """Take the means of one log window."""
        for name in self.watched:
            if name not in means:
                continue
            value = self.latest[name] = abs(means[name])
            history = self.history.setdefault(name, [])
            if len(history) >= LEAST and value > FACTOR * median(history) > 0:
                self.out_of_bounds[name] = self.out_of_bounds.get(name, 0) + 1
            else:
                self.out_of_bounds[name] = 0
                self.history[name] = [*history, value][-HISTORY:]

    @property
    def suspicious(self) -> bool:
        """Whether a scalar was out of bounds in the latest log window."""
        return any(self.out_of_bounds.values())

    def diverged(self) -> str | None:
        """What diverged, in words; None as long as nothing has been out of bounds PATIENCE times in a row."""
        for name, count in self.out_of_bounds.items():
            if count >= PATIENCE:
                usual = median(self.history[name])
                return (
                    f"{name} is {self.latest[name]:.3g}, {self.latest[name] / usual:.0f} times its usual {usual:.3g}, "
                    f"and was out of bounds {count} log lines in a row"
                )
        return None

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"history": self.history, "out_of_bounds": self.out_of_bounds}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state()` of a checkpoint."""
        self.history = {k: list(v) for k, v in state["history"].items()}
        self.out_of_bounds = dict(state["out_of_bounds"])


class Record:
    """The log of one training in `folder`; nothing is written where `report` is None (the processes but the first).

    TensorBoard shows nothing of what an earlier process logged behind step `start`, where this one goes on.
    """

    def __init__(self, folder: Path, start: int, report: Callable[[str], None] | None) -> None:
        self.folder, self.report = folder, report
        self.writer: SummaryWriter | None = None
        if report is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)

    def close(self) -> None:
        """End the TensorBoard file."""
        if self.writer is not None:
            self.writer.close()

    def flush(self) -> None:
        """Write out what is logged so far, so that a kill behind a checkpoint leaves no hole in the curve before it."""
        if self.writer is not None:
            self.writer.flush()

    def losses(self, step: int, steps: int, rate: float, means: dict[str, float]) -> None:
        """A log line, and the same as scalars; `rate` in images a second."""
        numbers = "  ".join(f"{key} {value:.4f}" for key, value in means.items())
        self._write(f"step {step}/{steps}  {rate:.1f} images/s  {numbers}", step, means)

    def validation(self, step: int, task: TrainingTask, scenes: TrainingScenes) -> float | None:
        """The task's validation losses over all of `scenes`, as `val/...`; what is drawn is the same every time.

        The first one is what a training goes by; None for a task without any.
        """
        means = validation_losses(task, scenes)
        if not means:
            return None
        numbers = "  ".join(f"{key} {value:.4f}" for key, value in means.items())
        self._write(f"step {step}  validation: {numbers}", step, {f"val/{key}": value for key, value in means.items()})
        return next(iter(means.values()))

    def sheet(self, task: TrainingTask, scenes: TrainingScenes, step: int) -> None:
        """Originals above samples, as one PNG; the same scenes and noise every time.

        Scene by scene: at paper size a few of them together would not fit beside the training.
        """
        generator = torch.Generator().manual_seed(0)
        columns = []
        for index in range(min(SHEET, len(scenes))):
            scene = scenes.batch([index])
            columns.append(torch.cat([scene.image[0], task.sample(scene, generator)[0]], dim=1))
        pixels = (torch.cat(columns, dim=2).permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()
        Image.fromarray(pixels).save(self.folder / f"samples-{step:07d}.png")

    def say(self, line: str) -> None:
        """A line of its own."""
        if self.report is not None:
            self.report(line)

    def _write(self, line: str, step: int, scalars: dict[str, float]) -> None:
        if self.writer is not None:
            self.say(line)
            for key, value in scalars.items():
                self.writer.add_scalar(key, value, step)


def validation_losses(task: TrainingTask, scenes: TrainingScenes, most: int | None = None) -> dict[str, float]:
    """Mean over `scenes` (the first `most`) of the task's validation losses; the same draws for the same scenes."""
    sums: dict[str, float] = {}
    count = 0
    for rows, scene in in_order(scenes, task.batch_size, most):
        count += len(scene)
        for key, value in task.validation(scene, torch.Generator().manual_seed(rows[0])).items():
            sums[key] = sums.get(key, 0.0) + value * len(scene)
    return {key: value / count for key, value in sums.items()}
