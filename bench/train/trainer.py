"""The trainer of methods and evaluators: the loop, its log, checkpoints that resume exactly, and stopping in time."""

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.api.errors import MethodError
from bench.api.training.augment import Augmentation
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
from bench.train.held_out import HeldOut
from bench.train.record import DivergenceMonitor, Record

#: What a step's augmentation draws from, beside its seed, step and process.
_AUGMENTING = 1


#: What is said of a training that ends before its last step: by its held-out loss, or not.
ENDED = {
    True: "ended at step {}: the held-out loss falls no more",
    False: "time limit reached at step {}; run the same command to go on",
}


@dataclass(frozen=True)
class TrainingRun:
    """How one training runs: `steps` in all; checkpoint, log line, sample sheet and validation every so many steps.

    `sample_every` and `validate_every` 0 leave those out; `patience` validations without a lower loss than before end
    the training, and the best network is kept (0: never); `augmentation` changes the scenes of every step; `time_limit`
    stops this process, with a checkpoint, after so many seconds. `precision`, `checkpoint_gradients` and `compiled` are
    explained at `TrainingTask.prepare`.
    """

    out: Path
    steps: int
    seed: int = 0
    checkpoint_every: int = 250
    log_every: int = 50
    sample_every: int = 0
    validate_every: int = 0
    patience: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    time_limit: float | None = None
    precision: Precision = "auto"
    checkpoint_gradients: bool = False
    compiled: bool | None = None

    def due(self, every: int, step: int) -> bool:
        """Whether what is done every so many steps (0: never) is done behind `step`, the last one included."""
        return bool(every) and (step % every == 0 or step == self.steps)


class _Log:
    """The half-full log window, the means of the last full one, and who watches them; a checkpoint keeps `state`."""

    def __init__(self, watched: tuple[str, ...], state: dict[str, Any]) -> None:
        self.monitor = DivergenceMonitor(watched)
        if state:
            self.monitor.restore(state["monitor"])
        self.window: dict[str, list[float]] = dict(state.get("window", {}))
        self.last: dict[str, float] = dict(state.get("last", {}))

    def add(self, losses: dict[str, float]) -> None:
        for key, value in losses.items():
            self.window.setdefault(key, []).append(value)

    def close(self) -> dict[str, float]:
        """The window's means; the next one begins."""
        self.last, self.window = {k: float(np.mean(v)) for k, v in self.window.items()}, {}
        self.monitor.observe(self.last)
        return self.last

    def state(self) -> dict[str, Any]:
        return {"window": self.window, "last": self.last, "monitor": self.monitor.state()}


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
    window, the precision, the number of processes, whether it finished; where scenes were held out, the loss on these
    and on as many seen ones, and with `patience` the best step. Raises MethodError on a loss that is not finite
    or diverges, the last good checkpoint staying, and where there are fewer scenes than a batch has.
    """
    here = ranks()
    path, best = run.out / "checkpoint.pt", run.out / "best.pt"
    together = task.batch_size * here.world
    if len(scenes) < together:
        raise MethodError(
            f"{len(scenes)} scenes are fewer than one batch of {together}; take more scenes or a smaller batch "
            "(--option batch_size=...)"
        )
    run.out.mkdir(parents=True, exist_ok=True)
    task.prepare(run.precision, run.checkpoint_gradients, run.compiled)
    task.begin(scenes)
    rng = torch.Generator().manual_seed(run.seed)
    recipe = {**task.recipe(), **provenance, "seed": run.seed, **_conditions(task, here), **run.augmentation.recipe()}
    found = find_checkpoint(path)
    start, spent, state = load_checkpoint(found, task, recipe, rng) if found else (0, 0.0, {})
    _distribute(task, start, run.out)
    log, step, began = _Log(task.watched, state), start, time.monotonic()
    held_out = HeldOut(task, validation if here.first else None, run.patience, state)
    supply = batches(
        scenes,
        lambda step: rank_order(len(scenes), task.batch_size, step, run.seed, here.rank, here.world),
        range(start, start if held_out.ended else run.steps),
        task.device,
        lambda scene, step: run.augmentation.apply(scene, step_generator(run.seed, step, here.rank, _AUGMENTING)),
    )
    with closing(Record(run.out, start, report if here.first else None)) as record, closing(supply):
        if start:
            record.say(f"resuming at step {start} of {run.steps} from {found}")
        for scene in supply:
            generator = rng if here.world == 1 else step_generator(run.seed, step, here.rank)
            losses = task.step(scene, generator, step)
            late = run.time_limit is not None and time.monotonic() - began > run.time_limit
            losses, late = _agreed(losses, late, task.device)
            _check_finite(losses, step, path)
            step += 1
            log.add(losses)
            if run.due(run.log_every, step):
                images = (step - start) * together
                record.losses(step, run.steps, images / (time.monotonic() - began), log.close())
                _check_steady(log.monitor, step, path)
            if here.first:
                if run.due(run.validate_every, step):
                    held_out.look(step, record, partial(save_checkpoint, best, task, recipe, step, spent, rng))
                done = held_out.ended or step == run.steps
                if done or ((late or run.due(run.checkpoint_every, step)) and not log.monitor.suspicious):
                    record.flush()
                    seconds = spent + time.monotonic() - began
                    save_checkpoint(path, task, recipe, step, seconds, rng, {**log.state(), **held_out.state()})
                if run.due(run.sample_every, step):
                    record.sheet(task, scenes, step)
            if (late or held_out.ended) and step < run.steps:
                record.say(ENDED[held_out.ended].format(step))
                break
    finished = held_out.ended or step >= run.steps
    facts = held_out.facts(scenes, report, partial(load_checkpoint, best, task, recipe, rng)) if finished else {}
    wait_for_all()  # the checkpoint of the first process is written when any returns
    return {
        "steps": run.steps if finished else step,
        "images_seen": step * together,
        "seconds": spent + time.monotonic() - began,
        "losses": log.last,
        "precision": task.precision,
        "processes": here.world,
        "finished": finished,
        **facts,
    }


def _distribute(task: TrainingTask, start: int, out: Path) -> None:
    """Let several processes train together; MethodError where they would not start at one step."""
    if ranks().world > 1:
        if not same_on_all_ranks(start, task.device):
            raise MethodError(f"the processes find different checkpoints: {out} has to be one folder for all of them")
        task.distribute()


def _agreed(losses: dict[str, float], late: bool, device: torch.device) -> tuple[dict[str, float], bool]:
    """The losses' means over all processes, and whether any of them is late."""
    if ranks().world == 1:
        return losses, late
    *means, stop = mean_over_ranks([*losses.values(), float(late)], device)
    return dict(zip(losses, means, strict=True)), stop > 0


def _conditions(task: TrainingTask, here: Ranks) -> dict[str, Any]:
    """The precision and the number of processes where they are not the usual: they must stay for a checkpoint."""
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


def _check_steady(monitor: DivergenceMonitor, step: int, path: Path) -> None:
    if (why := monitor.diverged()) is not None:
        raise MethodError(_stop(f"it diverges: at step {step} {why}", path))


def _stop(why: str, path: Path) -> str:
    """The message of a training that went wrong; the same command would go wrong in the same way."""
    good = f"The last good checkpoint is {path}" if path.exists() else "There is no checkpoint yet"
    return (
        f"training stopped: {why}. {good}. The same command would repeat this exactly: check the data, or train again "
        "with a lower learning rate (--option learning_rate=...) or another --seed in another --out."
    )
