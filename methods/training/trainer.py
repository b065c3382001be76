"""The trainer that all methods share: data order, logging, sample sheets, checkpoints that resume exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from methods.base import MethodError
from methods.training.checkpoint import load_checkpoint, save_checkpoint
from methods.training.task import TrainingScenes, TrainingTask


@dataclass(frozen=True)
class TrainingRun:
    """How one training runs: `steps` in all, a checkpoint, a log line and a sample sheet every so many steps.

    `sample_every` 0 writes no sheets; `time_limit` stops this process, with a checkpoint, after so many seconds.
    """

    out: Path
    steps: int
    seed: int = 0
    checkpoint_every: int = 250
    log_every: int = 50
    sample_every: int = 0
    time_limit: float | None = None


def scene_order(count: int, batch_size: int, step: int, seed: int) -> list[int]:
    """Scene indices of one step's batch: a fresh permutation every epoch, as a pure function of (seed, step)."""
    per_epoch = max(1, count // batch_size)
    epoch, position = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return [int(i) for i in order[position * batch_size : (position + 1) * batch_size]]


def train(
    task: TrainingTask,
    scenes: TrainingScenes,
    run: TrainingRun,
    provenance: dict[str, Any],
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train to `run.steps`, from the checkpoint in `run.out` where there is one.

    `provenance` names the data and whatever else identifies the run; with the task's recipe and the seed it guards
    the checkpoint. Returns a summary: steps done, images seen, seconds over all processes, mean losses of the last log
    window, whether it finished. Raises MethodError on a loss that is not finite, the last good checkpoint staying.
    """
    run.out.mkdir(parents=True, exist_ok=True)
    path = run.out / "checkpoint.pt"
    rng = torch.Generator().manual_seed(run.seed)
    recipe = {**task.recipe(), **provenance, "seed": run.seed}
    start, spent = load_checkpoint(path, task, recipe, rng) if path.exists() else (0, 0.0)
    if start:
        report(f"resuming at step {start} of {run.steps} from {path}")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(run.out / "tensorboard"))
    window: dict[str, list[float]] = {}
    last: dict[str, float] = {}
    began = time.monotonic()
    step = start
    try:
        while step < run.steps:
            scene = scenes.batch(scene_order(len(scenes), task.batch_size, step, run.seed))
            losses = task.step(scene, rng, step)
            if not all(math.isfinite(v) for v in losses.values()):
                broken = ", ".join(key for key, value in losses.items() if not math.isfinite(value))
                raise MethodError(
                    f"training stopped: {broken} is not finite at step {step}. The last good checkpoint is {path}; "
                    "lower the learning rate or check the data."
                )
            step += 1
            for key, value in losses.items():
                window.setdefault(key, []).append(value)
            if step % run.log_every == 0 or step == run.steps:
                last = {k: float(np.mean(v)) for k, v in window.items()}
                window = {}
                rate = (step - start) * task.batch_size / (time.monotonic() - began)
                report(
                    f"step {step}/{run.steps}  {rate:.1f} images/s  "
                    + "  ".join(f"{k} {v:.4f}" for k, v in last.items())
                )
                for key, value in last.items():
                    writer.add_scalar(key, value, step)
            stopping = run.time_limit is not None and time.monotonic() - began > run.time_limit
            if step % run.checkpoint_every == 0 or step == run.steps or stopping:
                save_checkpoint(path, task, recipe, step, spent + time.monotonic() - began, rng)
            if run.sample_every and (step % run.sample_every == 0 or step == run.steps):
                _write_sheet(task, scenes, run.out / f"samples-{step:07d}.png")
            if stopping:
                report(f"time limit reached at step {step}; run the same command to go on")
                break
    finally:
        writer.close()
    return {
        "steps": step,
        "images_seen": step * task.batch_size,
        "seconds": spent + time.monotonic() - began,
        "losses": last,
        "finished": step >= run.steps,
    }


def _write_sheet(task: TrainingTask, scenes: TrainingScenes, path: Path, count: int = 8) -> None:
    """Originals above samples, as one PNG; the same scenes and noise every time."""
    scene = scenes.batch(list(range(min(count, len(scenes)))))
    pictures = task.sample(scene, torch.Generator().manual_seed(0))
    rows = [torch.cat(list(batch), dim=2) for batch in (scene.image, pictures)]
    sheet = (torch.cat(rows, dim=1).permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()
    Image.fromarray(sheet).save(path)
