"""What the trainings of all embedded evaluators share: the loop, its checkpoints, the pictures' changes, the export.

Evaluators are plain ones: pictures as they are rendered, mirrored, with mild changes of light and a little noise, so
that they are not thrown by the small artefacts of a generator; they are no denoisers and never see generated pictures.
Everything random is a function of (seed, step), so training that was interrupted and resumed from a checkpoint takes
the same path as training that was not.
"""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.api.metric import MetricError
from metrics.evaluators.block_unet import BlockUNet, EvaluatorSpec

PEAK_RATE = 3e-3
WEIGHT_DECAY = 1e-2
WARMUP_STEPS = 100
EMA_DECAY = 0.998
CLIP_NORM = 1.0
CHECKPOINT_EVERY = 200


class Batch(Protocol):
    """`image` (B, 3, H, W) float32 in [0, 1]; `labels` (B, H, W) int64 label ids of the data set; `instances` (B, H, W)
    int32; `depth` (B, H, W) float32 metres, or None."""

    @property
    def image(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor: ...
    @property
    def instances(self) -> Tensor: ...
    @property
    def depth(self) -> Tensor | None: ...


class Scenes(Protocol):
    """Scenes by number; `bench.data` has implementations."""

    def __len__(self) -> int: ...

    def batch(self, indices: Sequence[int]) -> Batch: ...


@dataclass(frozen=True)
class Course:
    """How long and where a training runs: optimiser steps, scenes a step, the seed of everything random, the device,
    the folder of checkpoints, and who is told of its progress."""

    steps: int
    batch_size: int
    seed: int
    device: torch.device
    checkpoint_dir: Path
    log: Callable[[str], None] = print


@dataclass(frozen=True)
class Trained:
    """What a training leaves: its settings, for the weights' metadata and the card, and the seconds it took."""

    settings: dict[str, int]
    seconds: float
    device: torch.device


N = TypeVar("N", bound=nn.Module)
#: The loss (a scalar) of a network on a batch; all that is random in it comes from the generator.
LossOf = Callable[[N, Batch, torch.Generator], Tensor]


def train_network(
    make: Callable[[], N], loss_of: LossOf[N], spec: EvaluatorSpec, scenes: Scenes, course: Course
) -> tuple[N, Trained]:
    """Train the network that `make` builds; returns the moving average of its weights, normalisation not yet folded.

    AdamW with a warm-up and half a cosine. A checkpoint is written every 200 steps; a checkpoint of the same settings
    found there is continued, one of other settings, or a damaged one, raises MetricError.
    """
    steps, batch_size, seed = course.steps, course.batch_size, course.seed
    settings = {"steps": steps, "batch_size": batch_size, "seed": seed, "scenes": len(scenes)}
    torch.manual_seed(seed)
    network = make().to(course.device)
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.AdamW(_parameter_groups(network), lr=PEAK_RATE)

    checkpoint = course.checkpoint_dir / f"{spec.dataset}_{spec.kind}.pt"
    first, seconds = _resume(checkpoint, settings, network, average, optimiser)
    if first:
        course.log(f"continuing at step {first} of {steps}")
    started = time.perf_counter() - seconds
    for step in range(first, steps):
        network.train()
        for group in optimiser.param_groups:
            group["lr"] = PEAK_RATE * _rate(step, steps)
        batch = scenes.batch(scene_indices(seed, len(scenes), step * batch_size, batch_size))
        loss = loss_of(network, batch, torch.Generator().manual_seed(seed * 1_000_003 + step))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimiser.step()
        _update_average(average, network, step)
        done, seconds = step + 1, time.perf_counter() - started
        if done % 50 == 0 or done == steps:
            rate = done * batch_size / seconds
            course.log(f"step {done}/{steps}  loss {loss.item():.4f}  {rate:.0f} images/s  {seconds:.0f} s")
        if done % CHECKPOINT_EVERY == 0 or done == steps:
            _save(checkpoint, settings, network, average, optimiser, done, seconds)
    return average, Trained(settings, seconds, course.device)


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on a GPU; on the CPU nothing changes."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def scene_indices(seed: int, scenes: int, first: int, count: int) -> list[int]:
    """Scenes number first..first+count of an endless walk that shuffles all scenes anew in every epoch."""
    indices: list[int] = []
    while len(indices) < count:
        epoch, offset = divmod(first + len(indices), scenes)
        order = torch.randperm(scenes, generator=torch.Generator().manual_seed(seed * 7_919 + epoch))
        indices += order[offset : offset + count - len(indices)].tolist()
    return indices


def augment(images: Tensor, maps: Sequence[Tensor], generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
    """Mirror half the pictures, and their `maps` (B, H, W) with them; vary brightness, contrast and saturation by up to
    20 %; add noise of sigma <= 0.03."""
    batch = len(images)
    mirrored = torch.rand(batch, generator=generator) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    maps = [torch.where(mirrored[:, None, None], one.flip(-1), one) for one in maps]

    brightness, contrast, saturation = 0.8 + 0.4 * torch.rand(3, batch, 1, 1, 1, generator=generator)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * saturation
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = mean * brightness + (images - mean) * contrast
    sigma = 0.03 * torch.rand(batch, 1, 1, 1, generator=generator)
    noise = torch.randn(images.shape, generator=generator)
    return (images + sigma * noise).clamp_(0, 1), maps


def _rate(step: int, steps: int) -> float:
    """Share of the peak learning rate: linear warm-up, then half a cosine down to zero."""
    warmup = min(WARMUP_STEPS, steps // 10)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Weight decay for convolution kernels, none for biases and normalisation."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, step: int) -> None:
    """Exponential moving average of weights and running statistics; the decay grows into `EMA_DECAY`."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    mine = average.state_dict()
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            mine[key].lerp_(value, 1 - decay)


def _save(
    path: Path,
    settings: dict[str, int],
    network: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    state = {
        "settings": settings,
        "step": step,
        "seconds": seconds,
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    torch.save(state, part)
    os.replace(part, path)


def _resume(
    path: Path, settings: dict[str, int], network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[int, float]:
    """Load a checkpoint, if there is one; returns the steps done and the seconds they took."""
    if not path.exists():
        return 0, 0.0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["settings"] == settings:
            network.load_state_dict(state["network"])
            average.load_state_dict(state["average"])
            optimiser.load_state_dict(state["optimiser"])
            return state["step"], state["seconds"]
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
        raise MetricError(
            f"the checkpoint {path} cannot be continued ({str(error).splitlines()[0]}): remove it to start anew"
        ) from error
    raise MetricError(
        f"{path} is of other settings ({state['settings']}, not {settings}): remove it or name another folder"
    )


def export(spec: EvaluatorSpec, average: BlockUNet, path: Path, facts: Mapping[str, Any]) -> None:
    """Write the averaged network, normalisation folded in, as float16 safetensors with `facts` in its metadata."""
    network = copy.deepcopy(average).cpu().fuse()
    tensors = {key: value.half().contiguous() for key, value in network.state_dict().items()}
    # one entry, because safetensors writes several in an order that changes from run to run
    metadata = {spec.kind: json.dumps({"model": spec.version, **facts})}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file(tensors, part, metadata)
    part.chmod(0o644)  # safetensors makes it private; other users of an installed package may read it
    os.replace(part, path)


def write_card(spec: EvaluatorSpec, path: Path, trained: Trained, what: str, loss: str, result: str) -> None:
    """Write the model card: `what` the network is, its `loss`, and the measured `result`, all in Markdown."""
    settings, device = trained.settings, trained.device
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    card = f"""# The {spec.dataset} {spec.title} ({spec.version})

`{spec.weights_file}`: {what}

It is what `{spec.metric}` asks. It knows rendered scenes only and says nothing about photographs.

- Data: {settings["scenes"]} rendered training scenes, and others to measure on. No real images.
- Training: {settings["steps"]} steps of {settings["batch_size"]} scenes, AdamW, cosine rate, {loss},
  moving average of weights; mirroring, mild changes of light, noise of sigma up to 0.03.
- Seed {settings["seed"]}; {trained.seconds:.0f} s on {device.type} ({machine}), PyTorch {torch.__version__}.
- Train it again: `{spec.command} --scenes {settings["scenes"]} --steps {settings["steps"]} --seed {settings["seed"]}`
- Measure it again, on 500 test scenes, as the scores that end in `[original]`:
  `bench run --datasets {spec.dataset} --metrics {spec.metric} --methods full_image --psnr 100 --scenes 500`
- Licence: Apache-2.0, as the project.

{result}"""
    path.write_text(card, encoding="utf-8")


def table(columns: Mapping[str, np.ndarray], label_ids: Sequence[int], mean: str) -> str:
    """A Markdown table of values per class (C,) under their headings, without classes that occur nowhere; the last row
    is their mean, named `mean`."""
    header = f"| label id | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}\n"
    values = np.stack(list(columns.values()), axis=1)
    rows = [
        f"| {label} | {' | '.join(f'{value:.3f}' for value in row)} |\n"
        for label, row in zip(label_ids, values, strict=True)
        if not np.isnan(row).all()
    ]
    means = " | ".join(f"**{value:.4f}**" for value in np.nanmean(values, axis=0))
    return header + "".join(rows) + f"| {mean} | {means} |\n"
