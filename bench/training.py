"""`bench train`: scenes for the trainer, and weights with their model card at the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import torch

from bench.device import cpu_name
from bench.errors import UsageError
from bench.provenance import code_provenance
from bench.scenes.base import SceneSource
from bench.scenes.materialise import MaterialisedScenes, materialise
from bench.seeding import digest
from methods.base import MethodContext, MethodError
from methods.registry import load_method
from methods.training.trainer import TrainingRun, train
from methods.weights import weights_name, write_weights

#: `bench train judge` trains the embedded judge of mIoU, which is no method.
JUDGE = "judge"
JUDGE_STEPS = 2500
JUDGE_BATCH = 32
JUDGE_VALIDATION_SCENES = 500


@dataclass(frozen=True)
class TrainingRequest:
    """What `bench train` was asked for; `weights_dir` is where the result goes, `out` where checkpoints and logs go."""

    target: str
    source: SceneSource
    scenes: int
    out: Path
    weights_dir: Path
    profile: str
    device: torch.device
    seed: int
    steps: int | None
    jobs: int
    time_limit: float | None
    sample_every: int


def _scenes(request: TrainingRequest, split: str, count: int) -> MaterialisedScenes:
    cache = platformdirs.user_cache_path("gesco-bench") / "scenes"
    return materialise(request.source, split, count, cache, jobs=request.jobs)


def train_target(request: TrainingRequest, report: Callable[[str], None]) -> Path | None:
    """Train to the end, or to the time limit; the weights file written, or None where training is not finished."""
    if request.target == JUDGE:
        return _train_judge(request, report)
    source = request.source
    context = MethodContext(
        source.name, source.label_space, source.height, source.width, request.profile, request.device
    )
    torch.manual_seed(request.seed)  # the networks' initial weights
    try:
        task = load_method(request.target).training_task(context)
    except MethodError as error:  # an unknown method or profile, or one without training
        raise UsageError(str(error)) from None
    scenes = _scenes(request, "train", request.scenes)
    steps = task.steps = request.steps or task.steps  # a task's learning rates may depend on it
    run = TrainingRun(
        request.out, steps, request.seed, time_limit=request.time_limit, sample_every=request.sample_every
    )
    data = {
        "dataset": source.name,
        "size": [source.height, source.width],
        "scenes": len(scenes),
        "scenes_sha256": digest(source.fingerprint("train", scenes.ids)),
    }
    summary = train(task, scenes, run, data, report)
    if not summary["finished"]:
        return None
    card = {
        **data,
        **summary,
        "method": request.target,
        "profile": request.profile,
        "seed": request.seed,
        "recipe": task.recipe(),
        "device": torch.cuda.get_device_name(request.device) if request.device.type == "cuda" else cpu_name(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "code": code_provenance(),
        "licence": "Apache-2.0",
    }
    path = request.weights_dir / weights_name(request.target, context)
    write_weights(path, task.export(), {"card": card})
    path.with_suffix(".md").write_text(_model_card(card), encoding="utf-8")
    return path


def _train_judge(request: TrainingRequest, report: Callable[[str], None]) -> Path:
    from metrics.judges.train_streets import train_judge

    path = request.weights_dir / "streets_judge.safetensors"
    train_judge(
        _scenes(request, "train", request.scenes),
        _scenes(request, "val", JUDGE_VALIDATION_SCENES),
        path,
        steps=request.steps or JUDGE_STEPS,
        batch_size=JUDGE_BATCH,
        seed=request.seed,
        device=str(request.device),
        checkpoint_dir=request.out,
        log=report,
    )
    return path


def _model_card(card: dict[str, Any]) -> str:
    """The model card as Markdown, made of what the training recorded."""
    losses = ", ".join(f"{name} {value:.4f}" for name, value in card["losses"].items())
    height, width = card["size"]
    rows = {
        "Method, profile": f"`{card['method']}`, {card['profile']}",
        "Data": f"`{card['dataset']}` train, {card['scenes']} scenes at {height}x{width}, "
        f"digest {card['scenes_sha256'][:12]}",
        "Steps, batch, images seen": f"{card['steps']}, {card['recipe']['batch_size']}, {card['images_seen']}",
        "Wall time, device": f"{card['seconds'] / 60:.0f} minutes, {card['device']}",
        "Final losses (mean of the last log window)": losses,
        "Seed": card["seed"],
        "Date, commit": f"{card['date']}, {card['code'].get('commit') or 'not from a repository'}"
        + (" with local changes" if card["code"].get("dirty") else ""),
        "Licence": f"{card['licence']}; trained from scratch on scenes that this project renders",
        "Reproduce": f"`bench train {card['method']} --dataset {card['dataset']} --scenes {card['scenes']} "
        f"--steps {card['steps']} --seed {card['seed']}`",
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    recipe = "\n".join(f"- `{key}`: {value}" for key, value in card["recipe"].items())
    return f"# {card['method']} on {card['dataset']}\n\n| | |\n|---|---|\n{table}\n\nRecipe:\n\n{recipe}\n"
