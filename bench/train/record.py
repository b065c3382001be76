"""What a training shows of itself: log lines, TensorBoard scalars, validation losses and sample sheets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from bench.api.training.batches import in_order

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch.utils.tensorboard import SummaryWriter

    from bench.api.training.task import TrainingScenes, TrainingTask

#: Scenes on a sample sheet.
SHEET = 8


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

    def validation(self, step: int, task: TrainingTask, scenes: TrainingScenes) -> None:
        """The task's validation losses over all of `scenes`, as `val/...`; what is drawn is the same every time."""
        means = validation_losses(task, scenes)
        if not means:
            return
        numbers = "  ".join(f"{key} {value:.4f}" for key, value in means.items())
        self._write(f"step {step}  validation: {numbers}", step, {f"val/{key}": value for key, value in means.items()})

    def sheet(self, task: TrainingTask, scenes: TrainingScenes, step: int) -> None:
        """Originals above samples, as one PNG; the same scenes and noise every time.

        Scene by scene: at paper size a few of them together would not fit beside the training.
        """
        generator = torch.Generator().manual_seed(0)
        columns = []
        for index in range(min(SHEET, len(scenes))):
            scene = scenes.batch([index])
            columns.append(torch.cat([scene.image[0], task.sample(scene, generator)[0]], dim=1))
        _save(torch.cat(columns, dim=2), self.folder / f"samples-{step:07d}.png")

    def say(self, line: str) -> None:
        """A line of its own."""
        if self.report is not None:
            self.report(line)

    def _write(self, line: str, step: int, scalars: dict[str, float]) -> None:
        if self.writer is not None:
            self.say(line)
            for key, value in scalars.items():
                self.writer.add_scalar(key, value, step)


def validation_losses(task: TrainingTask, scenes: TrainingScenes) -> dict[str, float]:
    """Mean over all of `scenes` of the task's validation losses; the same draws for the same scenes every time."""
    sums: dict[str, float] = {}
    for rows, scene in in_order(scenes, task.batch_size):
        for key, value in task.validation(scene, torch.Generator().manual_seed(rows[0])).items():
            sums[key] = sums.get(key, 0.0) + value * len(scene)
    return {key: value / len(scenes) for key, value in sums.items()}


def _save(picture: Tensor, path: Path) -> None:
    pixels = (picture.permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()
    Image.fromarray(pixels).save(path)
