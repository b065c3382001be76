"""`bench train`: scenes for the trainer, and weights with their model card at the end."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import torch

from bench.api.device import cpu_name
from bench.api.errors import DataError, MethodError, MetricError, UsageError, nearest
from bench.api.method import MethodContext
from bench.api.provenance import code_provenance
from bench.api.registry import METHODS
from bench.api.scenes import SceneSource
from bench.api.seeding import digest
from bench.api.specs import apply_options
from bench.api.tensors import write_weights
from bench.api.training.augment import Augmentation
from bench.api.training.distributed import local_first, ranks
from bench.api.training.task import TrainingTask
from bench.api.training.update import Precision
from bench.api.weights import weights_name
from bench.data.folder import FolderSource
from bench.data.materialise import MaterialisedScenes, materialise
from bench.train.destination import Destination, check_replaceable
from bench.train.trainer import TrainingRun, train
from metrics.evaluators.embedded import SPECS
from metrics.evaluators.registry import training_task

#: Scenes of the splits `val` and `test` that an embedded evaluator (segmenter, detector, depth) is measured on.
EVALUATOR_SCENES = 500
#: Held-out scenes of the validation loss: at most so many of the split `val`.
VALIDATION_SCENES = 64


@dataclass(frozen=True)
class Pace:
    """Steps between checkpoints, sample sheets and validation losses."""

    checkpoint: int
    sample: int
    validate: int


#: At paper size a checkpoint is 10 GB, and a sample sheet takes as long as some hundred steps.
PACES = {"embedded": Pace(250, 1000, 0), "paper": Pace(2500, 5000, 2500)}


@dataclass(frozen=True)
class TrainingRequest:
    """What `bench train` was asked for; `to` is where the result goes, `out` where checkpoints and logs go.

    `options` set fields of the recipe. None stands for the recipe's `steps`, for the data set's
    `training_scenes`, and for the profile's pace.
    """

    target: str
    source: SceneSource
    scenes: int | None
    out: Path
    to: Destination
    profile: str
    device: torch.device
    seed: int
    steps: int | None
    jobs: int
    time_limit: float | None
    sample_every: int | None
    checkpoint_every: int | None
    validate_every: int | None
    early_stop: int
    precision: Precision
    checkpoint_gradients: bool
    compiled: bool | None
    options: Mapping[str, Any]


def _scenes(request: TrainingRequest, split: str, count: int | None, with_depth: bool) -> MaterialisedScenes:
    """The first `count` scenes of a split, in the cache; None: the data set's `training_scenes`."""
    source = request.source
    if count is None:
        count = source.training_scenes or len(source.ids(split))
    cache = platformdirs.user_cache_path("gesco-bench") / "scenes"
    return materialise(source, split, count, cache, jobs=request.jobs, with_depth=with_depth)


def _held_out(request: TrainingRequest, split: str, most: int, with_depth: bool) -> MaterialisedScenes | None:
    """At most so many scenes of a split; None where there is no such split."""
    source = request.source
    there = source.available_splits() if isinstance(source, FolderSource) else source.splits
    return _scenes(request, split, len(source.ids(split, most)), with_depth) if split in there else None


def train_target(request: TrainingRequest, report: Callable[[str], None]) -> Path | None:
    """Train to the end, or to the time limit; the weights file written, or None where training is not finished.

    Where torchrun started several processes, all call this, and the first one writes.
    """
    if request.target not in (names := [*METHODS.names(), *SPECS]):
        raise UsageError(f"unknown method '{request.target}'{nearest(request.target, names)}")
    source = request.source
    context = MethodContext.of(source, request.profile, str(request.device))
    code = code_provenance()  # now: the code that runs; the tree may have moved on when the training ends
    augmentation, task = _augmentation(request), _task(request, context)
    steps = task.steps = request.steps or task.steps  # a task's learning rates may depend on it
    pace = PACES.get(request.profile, PACES["embedded"])
    validation, validate_every = _validation(request, task, pace, report)
    scenes = local_first(lambda: _scenes(request, "train", request.scenes, task.with_depth))
    run = TrainingRun(
        request.out,
        steps,
        request.seed,
        checkpoint_every=request.checkpoint_every or pace.checkpoint,
        sample_every=pace.sample if request.sample_every is None else request.sample_every,
        validate_every=validate_every,
        patience=request.early_stop,
        augmentation=augmentation,
        time_limit=request.time_limit,
        precision=request.precision,
        checkpoint_gradients=request.checkpoint_gradients,
        compiled=request.compiled,
    )
    data = {
        "dataset": source.name,
        "size": [source.height, source.width],
        "scenes": len(scenes),
        "scenes_sha256": digest(source.fingerprint("train", scenes.ids)),
    }
    known = {
        "method": request.target,
        "profile": request.profile,
        "seed": request.seed,
        "options": dict(request.options),
        "recipe": {**task.recipe(), **augmentation.recipe()},
    }
    path = request.to.folder / (task.weights_file or weights_name(request.target, context))
    check_replaceable(path, {**data, **known, "steps": steps}, task.record)
    summary = train(task, scenes, run, data, report, validation)
    if not summary["finished"] or not ranks().first:
        return None
    card = {
        **data,
        **summary,
        **known,
        **({"early_stop": run.patience, "validate_every": run.validate_every} if run.patience else {}),
        **task.facts(),
        "device": torch.cuda.get_device_name(request.device) if request.device.type == "cuda" else cpu_name(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "code": code,
        "licence": f"that of {source.name}" if isinstance(source, FolderSource) else "Apache-2.0",
    }
    write_weights(path, task.export(), {task.record: card})
    measured = task.measure(path, lambda split: _held_out(request, split, EVALUATOR_SCENES, task.with_depth))
    if measured:
        report(measured)
    path.with_suffix(".md").write_text(_model_card(card) + measured, encoding="utf-8")
    return path


def _task(request: TrainingRequest, context: MethodContext) -> TrainingTask:
    """The task of the method or evaluator with the options set; UsageError for what cannot be asked for."""
    torch.manual_seed(request.seed)  # the networks' initial weights
    options = {key: value for key, value in request.options.items() if key not in Augmentation.names()}
    try:
        if request.target in SPECS:
            return training_task(request.target, context, options)
        method = METHODS.load(request.target)
        return method.training_task(context, options) if options else method.training_task(context)
    except (MethodError, MetricError) as error:  # an unknown name, profile or option, or nothing that is trained
        raise UsageError(str(error)) from None


def _augmentation(request: TrainingRequest) -> Augmentation:
    """How scenes are to be changed; UsageError for a value that cannot be."""
    options = {key: value for key, value in request.options.items() if key in Augmentation.names()}
    try:
        [augmentation] = apply_options(options, request.target, [Augmentation()])
    except MethodError as error:
        raise UsageError(str(error)) from None
    return augmentation  # type: ignore[no-any-return]


def _validation(
    request: TrainingRequest, task: TrainingTask, pace: Pace, report: Callable[[str], None]
) -> tuple[MaterialisedScenes | None, int]:
    """Held-out scenes and how often they are looked at: as asked, else at the pace if method and data set can.

    Where scenes are few, as rendered ones are not, or the training is to stop by them, at each checkpoint at least.
    """
    source = request.source
    asked, every = request.early_stop or request.validate_every, request.validate_every
    if every is None:
        few = request.early_stop or not type(source).rendered
        every = pace.validate or (pace.checkpoint if few else 0)
    if request.early_stop and not every:
        raise UsageError("--early-stop goes by validation losses, and --validate-every 0 leaves them out")
    if not every:
        return None, 0
    if type(task).validation is TrainingTask.validation:
        if asked:
            raise UsageError(f"{request.target} has no validation loss; leave --validate-every and --early-stop away")
        return None, 0
    try:
        count = len(source.ids("val", VALIDATION_SCENES))
        return local_first(lambda: _scenes(request, "val", count, task.with_depth)), every
    except DataError as error:
        if asked:
            raise
        if ranks().first:
            report(f"no validation loss: {error}")
        return None, 0


def _model_card(card: dict[str, Any]) -> str:
    """The model card as Markdown, made of what the training recorded."""
    losses = ", ".join(f"{name} {value:.4f}" for name, value in card["losses"].items())
    height, width = card["size"]
    processes = f" on each of {card['processes']} processes" if card["processes"] > 1 else ""
    own = "; trained from scratch on scenes that this project renders" if card["licence"] == "Apache-2.0" else ""
    rows = {
        "Method, profile": f"`{card['method']}`, {card['profile']}",
        "Data": f"`{card['dataset']}` train, {card['scenes']} scenes at {height}x{width}, "
        f"digest {card['scenes_sha256'][:12]}",
        "Steps, batch, images seen": f"{card['steps']}, {card['recipe']['batch_size']}{processes}, "
        f"{card['images_seen']}",
        "Wall time, device, precision": f"{card['seconds'] / 60:.0f} minutes, {card['device']}, {card['precision']}",
        "Final losses (mean of the last log window)": losses,
        **_held_out_in_words(card),
        "Seed": card["seed"],
        "Date, commit": f"{card['date']}, {card['code'].get('commit') or 'not from a repository'}"
        + (" with local changes" if card["code"].get("dirty") else ""),
        "Licence": f"{card['licence']}{own}",
        "Reproduce": f"`{_command(card)}`",
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    recipe = "\n".join(f"- `{key}`: {value}" for key, value in card["recipe"].items())
    return f"# {card['method']} on {card['dataset']}\n\n| | |\n|---|---|\n{table}\n\nRecipe:\n\n{recipe}\n"


def _held_out_in_words(card: dict[str, Any]) -> dict[str, str]:
    """What the card says of held-out scenes, where there were any."""
    if "held_out_loss" not in card:
        return {}
    best = card.get("best")
    of = f"; the weights are those of step {best['step']}, where it was lowest" if best else ""
    return {"Held-out loss": f"{card['held_out_loss']:.4f}, on as many training scenes {card['seen_loss']:.4f}{of}"}


def _command(card: dict[str, Any]) -> str:
    """The command that trains the card's weights again, but for the data set's root and the processes."""
    parts = [f"bench train {card['method']} --dataset {card['dataset']} --scenes {card['scenes']}"]
    parts += [f"--steps {card['steps']} --seed {card['seed']}"]
    parts += [f"--profile {card['profile']}"] if card["profile"] != "embedded" else []
    for key, value in card["options"].items():
        text = ",".join(str(v) for v in value) if isinstance(value, list | tuple) else value
        parts.append(f"--option {key}={text}")
    if "early_stop" in card:
        parts.append(f"--early-stop {card['early_stop']} --validate-every {card['validate_every']}")
    return " ".join(parts)
