"""The trainer of methods and evaluators: the loop, its log, checkpoints that resume exactly, and stopping in time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.api.errors import MethodError
from bench.api.training.batches import batches, rank_order
from bench.api.training.distributed import (
    Ranks,
    mean_over_ranks,
    ranks,
    same_on_all_ranks,
    step_generator,
    wait_for_all,
)
from bench.api.training.task import TrainingScenes, TrainingTask
from bench.api.training.update import Precision, resolve
from bench.train.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from bench.train.divergence import DivergenceMonitor
from bench.train.record import Record


@dataclass(frozen=True)
class TrainingRun:
    """How one training runs: `steps` in all; a checkpoint, a log line, a sample sheet and a validation every so many
    steps.

    `sample_every` and `validate_every` 0 leave those out; `time_limit` stops this process, with a checkpoint, after so
    many seconds. `precision`, `checkpoint_gradients` and `compiled` are explained at `TrainingTask.prepare`.
    """

    out: Path
    steps: int
    seed: int = 0
    checkpoint_every: int = 250
    log_every: int = 50
    sample_every: int = 0
    validate_every: int = 0
    time_limit: float | None = None
    precision: Precision = "auto"
    checkpoint_gradients: bool = False
    compiled: bool | None = None


def train(
    task: TrainingTask,
    scenes: TrainingScenes,
    run: TrainingRun,
    provenance: dict[str, Any],
    report: Callable[[str], None] = print,
    validation: TrainingScenes | None = None,
) -> dict[str, Any]:
    """Train to `run.steps`, from the checkpoint in `run.out` where there is one.

    `provenance` names the data and whatever else identifies the run; with the task's recipe and the seed it guards
    the checkpoint. `validation` are the held-out scenes of the validation loss. Where torchrun started several
    processes (inside `process_group`), every one calls this, and rank 0 writes.

    Returns a summary: steps done, images seen by all processes, seconds over all runs, mean losses of the last log
    window, the precision, the number of processes, whether it finished. Raises MethodError on a loss that is not finite
    or diverges, the last good checkpoint staying, and where there are fewer scenes than a batch has.
    """
    here = ranks()
    path = run.out / "checkpoint.pt"
    if len(scenes) < here.world * task.batch_size:
        raise MethodError(
            f"{len(scenes)} scenes are fewer than one batch of {here.world * task.batch_size}; take more scenes or a "
            "smaller batch (--option batch_size=...)"
        )
    run.out.mkdir(parents=True, exist_ok=True)
    task.prepare(run.precision, run.checkpoint_gradients, run.compiled)
    task.begin(scenes)
    rng = torch.Generator().manual_seed(run.seed)
    recipe = {**task.recipe(), **provenance, "seed": run.seed, **_conditions(task, here)}
    found = find_checkpoint(path)
    start, spent, log = load_checkpoint(found, task, recipe, rng) if found else (0, 0.0, {})
    if here.world > 1:
        if not same_on_all_ranks(start, task.device):
            raise MethodError(
                f"the processes find different checkpoints: {run.out} has to be one folder for all of them"
            )
        task.distribute()
    if start and here.first:
        report(f"resuming at step {start} of {run.steps} from {found}")
    monitor = DivergenceMonitor(task.watched)
    if log:
        monitor.restore(log["monitor"])
    window: dict[str, list[float]] = dict(log.get("window", {}))
    last: dict[str, float] = dict(log.get("last", {}))
    began = time.monotonic()
    step = start

    def order(step: int) -> list[int]:
        return rank_order(len(scenes), task.batch_size, step, run.seed, here.rank, here.world)

    def checkpoint() -> None:
        if here.first:
            record.flush()
            state = {"window": window, "last": last, "monitor": monitor.state()}
            save_checkpoint(path, task, recipe, step, spent + time.monotonic() - began, rng, state)

    supply = batches(scenes, order, range(start, run.steps), task.device)
    with Record(run.out, start, report if here.first else None) as record, closing(supply):
        for scene in supply:
            generator = rng if here.world == 1 else step_generator(run.seed, step, here.rank)
            losses = task.step(scene, generator, step)
            late = run.time_limit is not None and time.monotonic() - began > run.time_limit
            if here.world > 1:
                *means, stop = mean_over_ranks([*losses.values(), float(late)], task.device)
                losses, late = dict(zip(losses, means, strict=True)), stop > 0
            _check_finite(losses, step, path)
            step += 1
            for key, value in losses.items():
                window.setdefault(key, []).append(value)
            done = step == run.steps
            if step % run.log_every == 0 or done:
                last = {k: float(np.mean(v)) for k, v in window.items()}
                window = {}
                images = (step - start) * task.batch_size * here.world
                record.losses(step, run.steps, images / (time.monotonic() - began), last)
                monitor.observe(last)
                if (why := monitor.diverged()) is not None:
                    raise MethodError(_stop(f"it diverges: at step {step} {why}", path))
            if run.validate_every and (step % run.validate_every == 0 or done) and validation and here.first:
                record.validation(step, task, validation)
            if ((step % run.checkpoint_every == 0 or late) and not monitor.suspicious) or done:
                checkpoint()
            if run.sample_every and (step % run.sample_every == 0 or done) and here.first:
                record.sheet(task, scenes, step)
            if late and not done:
                if here.first:
                    report(f"time limit reached at step {step}; run the same command to go on")
                break
    wait_for_all()  # the checkpoint of the first process is written when any returns
    return {
        "steps": step,
        "images_seen": step * task.batch_size * here.world,
        "seconds": spent + time.monotonic() - began,
        "losses": last,
        "precision": task.precision,
        "processes": here.world,
        "finished": step >= run.steps,
    }


def _conditions(task: TrainingTask, here: Ranks) -> dict[str, Any]:
    """What of the conditions of a run has to stay for a checkpoint to be continued: where they are not the usual ones,
    the precision and the number of processes."""
    conditions: dict[str, Any] = {}
    if task.precision != resolve("auto", task.device, task.precisions):
        conditions["precision"] = task.precision
    if here.world > 1:
        conditions["processes"] = here.world
    return conditions


def _check_finite(losses: dict[str, float], step: int, path: Path) -> None:
    broken = ", ".join(key for key, value in losses.items() if not math.isfinite(value))
    if broken:
        raise MethodError(_stop(f"{broken} is not finite at step {step}", path))


def _stop(why: str, path: Path) -> str:
    """The message of a training that went wrong; the same command would go wrong in the same way."""
    good = f"The last good checkpoint is {path}" if path.exists() else "There is no checkpoint yet"
    return (
        f"training stopped: {why}. {good}. The same command would repeat this exactly: check the data, or train again "
        "with a lower learning rate (--option learning_rate=...) or another --seed in another --out."
    )
