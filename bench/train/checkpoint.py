"""Checkpoints that resume exactly: networks, averages, optimisers, loss scaling, step and random state in one file."""

from pathlib import Path
from typing import Any

import torch

from bench.api.errors import MethodError
from bench.api.files import replacing
from bench.api.training.task import TrainingTask


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save_checkpoint(
    path: Path,
    task: TrainingTask,
    recipe: dict[str, Any],
    step: int,
    seconds: float,
    rng: torch.Generator,
    log: dict[str, Any] | None = None,
) -> None:
    """Write beside `path` first, keep what is at `path` as `previous(path)`, then take its place.

    A kill at any moment leaves a whole checkpoint at one of the two, where `find_checkpoint` finds it.
    """
    state = {
        "recipe": recipe,
        "step": step,
        "seconds": seconds,
        "rng": rng.get_state(),
        "log": log or {},
        "networks": {k: v.state_dict() for k, v in task.networks.items()},
        "emas": {k: v.state_dict() for k, v in task.emas.items()},
        "optimizers": {k: v.state_dict() for k, v in task.optimizers.items()},
        "scaler": task.scaler.state_dict() if task.scaler else {},
    }
    with replacing(path) as temporary:
        torch.save(state, temporary)
        if path.exists():
            path.replace(previous(path))


def find_checkpoint(path: Path) -> Path | None:
    """The checkpoint at `path`, or the one before it where a kill came between the two renames; None for neither."""
    return next((p for p in (path, previous(path)) if p.exists()), None)


def load_checkpoint(
    path: Path, task: TrainingTask, recipe: dict[str, Any], rng: torch.Generator
) -> tuple[int, float, dict[str, Any]]:
    """Restore everything from `path`; the next step, the seconds spent so far and the trainer's log.

    MethodError where the file is damaged or belongs to another recipe.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        older = previous(path)
        remedy = f"delete it to go on from {older}" if older.exists() else "delete it to start from scratch"
        raise MethodError(
            f"checkpoint {path} cannot be read: it is damaged, or none of this trainer; {remedy}"
        ) from error
    names = dict.fromkeys([*recipe, *state["recipe"]])
    different = [k for k in names if state["recipe"].get(k) != recipe.get(k)]
    if different:
        told = ", ".join(f"{k} was {state['recipe'].get(k)!r}, now {recipe.get(k)!r}" for k in different)
        raise MethodError(f"checkpoint {path} belongs to another recipe ({told}); choose another --out or delete it")
    for group, modules in (("networks", task.networks), ("emas", task.emas)):
        for key, module in modules.items():
            module.load_state_dict(state[group][key])
    for key, optimizer in task.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][key])
    if task.scaler and state.get("scaler"):
        task.scaler.load_state_dict(state["scaler"])
    rng.set_state(state["rng"])
    return int(state["step"]), float(state["seconds"]), state.get("log", {})
