"""Checkpoints that resume exactly: networks, averages, optimisers, step and random state in one atomic file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from methods.base import MethodError
from methods.training.task import TrainingTask


def save_checkpoint(
    path: Path, task: TrainingTask, recipe: dict[str, Any], step: int, seconds: float, rng: torch.Generator
) -> None:
    """Write beside `path` first, then replace it, so that a kill leaves the previous checkpoint whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    state = {
        "recipe": recipe,
        "step": step,
        "seconds": seconds,
        "rng": rng.get_state(),
        "networks": {k: v.state_dict() for k, v in task.networks.items()},
        "emas": {k: v.state_dict() for k, v in task.emas.items()},
        "optimizers": {k: v.state_dict() for k, v in task.optimizers.items()},
    }
    try:
        torch.save(state, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: Path, task: TrainingTask, recipe: dict[str, Any], rng: torch.Generator) -> tuple[int, float]:
    """Restore everything from `path`; the next step and the seconds spent so far.

    MethodError where the file is damaged or belongs to another recipe.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise MethodError(f"checkpoint {path} cannot be read ({error}); delete it to start from scratch") from error
    different = [k for k in recipe if state["recipe"].get(k) != recipe[k]]
    if different:
        told = ", ".join(f"{k} was {state['recipe'].get(k)!r}, now {recipe[k]!r}" for k in different)
        raise MethodError(f"checkpoint {path} belongs to another recipe ({told}); choose another --out or delete it")
    for group, modules in (("networks", task.networks), ("emas", task.emas)):
        for key, module in modules.items():
            module.load_state_dict(state[group][key])
    for key, optimizer in task.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][key])
    rng.set_state(state["rng"])
    return int(state["step"]), float(state["seconds"])
