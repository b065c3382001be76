"""Train an embedded judge on the scenes that the project renders.

A judge is a plain one: pictures as they are rendered, mirrored, with mild changes of light and a little noise, so
that it is not thrown by the small artefacts of a generator; it is no denoiser and never sees generated pictures.
Everything random is a function of (seed, step), so training that was interrupted and resumed from a checkpoint takes
the same path as training that was not.
"""

from __future__ import annotations

import copy
import json
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from metrics.judges.classes import IGNORED, train_ids
from metrics.judges.embedded import EmbeddedJudge, JudgeNet, JudgeSpec, to_blocks
from metrics.miou import class_counts, iou_from_counts

PEAK_RATE = 3e-3
WEIGHT_DECAY = 1e-2
WARMUP_STEPS = 100
EMA_DECAY = 0.998
CLIP_NORM = 1.0
CHECKPOINT_EVERY = 200


class Batch(Protocol):
    """`image` (B, 3, H, W) float32 in [0, 1]; `labels` (B, H, W) int64 label ids of the data set."""

    @property
    def image(self) -> Tensor: ...

    @property
    def labels(self) -> Tensor: ...


class Scenes(Protocol):
    """Scenes by number; `bench.scenes` has implementations."""

    def __len__(self) -> int: ...

    def batch(self, indices: Sequence[int]) -> Batch: ...


def train_judge(
    spec: JudgeSpec,
    train_scenes: Scenes,
    val_scenes: Scenes,
    out_path: Path,
    *,
    steps: int = 3000,
    batch_size: int = 32,
    seed: int = 0,
    device: torch.device | str = "cpu",
    checkpoint_dir: Path,
    log: Callable[[str], None] = print,
) -> float:
    """Train for `steps` optimiser steps, write weights to `out_path` and a model card beside it; return val mIoU.

    The weights are float16 with normalisation folded in; the mIoU is that of the written file on `val_scenes`
    (0..1, dataset level, against the labels). A checkpoint is written to `checkpoint_dir` every 200 steps; a
    checkpoint of the same settings found there is continued, one of other settings raises ValueError.
    """
    device = torch.device(device)
    settings = {"steps": steps, "batch_size": batch_size, "seed": seed, "scenes": len(train_scenes)}
    torch.manual_seed(seed)
    network = JudgeNet(spec).to(device)
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.AdamW(_parameter_groups(network), lr=PEAK_RATE)
    loss_of = nn.CrossEntropyLoss(weight=_class_weights(spec, train_scenes).to(device), ignore_index=IGNORED)

    checkpoint = checkpoint_dir / f"{spec.dataset}_judge.pt"
    first, seconds = _resume(checkpoint, settings, network, average, optimiser)
    if first:
        log(f"continuing at step {first} of {steps}")
    started = time.perf_counter() - seconds
    for step in range(first, steps):
        network.train()
        for group in optimiser.param_groups:
            group["lr"] = PEAK_RATE * _rate(step, steps)
        batch = train_scenes.batch(scene_indices(seed, len(train_scenes), step * batch_size, batch_size))
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        images, targets = augment(
            batch.image, torch.from_numpy(train_ids(batch.labels, spec.evaluated)).long(), generator
        )
        corner = int(torch.randint(4, (), generator=generator)) if spec.sparse else None
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = network(images.to(device), corner)
        truth = to_blocks(targets) if corner is None else to_blocks(targets)[..., corner]
        loss = loss_of(logits.float().flatten(0, -2), truth.flatten().to(device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimiser.step()
        _update_average(average, network, step)
        done, seconds = step + 1, time.perf_counter() - started
        if done % 50 == 0 or done == steps:
            rate = done * batch_size / seconds
            log(f"step {done}/{steps}  loss {loss.item():.4f}  {rate:.0f} images/s  {seconds:.0f} s")
        if done % CHECKPOINT_EVERY == 0 or done == steps:
            _save(checkpoint, settings, network, average, optimiser, done, seconds)

    export(spec, average, out_path, settings)
    iou = evaluate(EmbeddedJudge(spec, out_path, device), val_scenes)
    miou = float(np.nanmean(iou))
    log(f"mIoU on {len(val_scenes)} validation scenes: {miou:.4f}")
    _write_card(spec, out_path.with_suffix(".md"), settings, len(val_scenes), iou, device, seconds)
    return miou


def evaluate(judge: EmbeddedJudge, scenes: Scenes, batch_size: int = 50) -> np.ndarray:
    """IoU per class (C,), dataset level, of the judge's map of the original pictures; NaN where a class is absent."""
    evaluated = judge.evaluated
    total = np.zeros((3, len(evaluated)), dtype=np.int64)
    for start in range(0, len(scenes), batch_size):
        batch = scenes.batch(range(start, min(start + batch_size, len(scenes))))
        predicted = train_ids(judge.predict(batch.image), evaluated)
        truth = train_ids(batch.labels, evaluated)
        total += class_counts(predicted, truth, len(evaluated), IGNORED).sum(axis=0)
    return iou_from_counts(total)


def scene_indices(seed: int, scenes: int, first: int, count: int) -> list[int]:
    """Scenes number first..first+count of an endless walk that shuffles all scenes anew in every epoch."""
    indices: list[int] = []
    while len(indices) < count:
        epoch, offset = divmod(first + len(indices), scenes)
        order = torch.randperm(scenes, generator=torch.Generator().manual_seed(seed * 7_919 + epoch))
        indices += order[offset : offset + count - len(indices)].tolist()
    return indices


def augment(images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror half the pictures; vary brightness, contrast and saturation by up to 20 %; add noise of sigma <= 0.03."""
    batch = len(images)
    mirrored = torch.rand(batch, generator=generator) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    targets = torch.where(mirrored[:, None, None], targets.flip(-1), targets)

    brightness, contrast, saturation = 0.8 + 0.4 * torch.rand(3, batch, 1, 1, 1, generator=generator)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * saturation
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = mean * brightness + (images - mean) * contrast
    sigma = 0.03 * torch.rand(batch, 1, 1, 1, generator=generator)
    noise = torch.randn(images.shape, generator=generator)
    return (images + sigma * noise).clamp_(0, 1), targets


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


def _class_weights(spec: JudgeSpec, scenes: Scenes, looked_at: int = 512) -> Tensor:
    """Weights (C,) that fall with the square root of a class's share of pixels, within [0.5, 4]; absent classes 1."""
    counts = np.zeros(256)
    for start in range(0, min(looked_at, len(scenes)), 64):
        targets = train_ids(scenes.batch(range(start, min(start + 64, looked_at, len(scenes)))).labels, spec.evaluated)
        counts += np.bincount(targets.ravel(), minlength=256)
    counts = counts[: len(spec.evaluated)]
    present = counts > 0
    weights = np.ones(len(counts), dtype=np.float32)
    if present.any():
        weights[present] = np.sqrt(np.median(counts[present]) / counts[present]).clip(0.5, 4.0)
    return torch.from_numpy(weights)


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
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["settings"] != settings:
        raise ValueError(
            f"{path} is of other settings ({state['settings']}, not {settings}): remove it or name another folder"
        )
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["seconds"]


def export(spec: JudgeSpec, average: JudgeNet, path: Path, settings: dict[str, int]) -> None:
    """Write the averaged network, normalisation folded in, as float16 safetensors."""
    network = copy.deepcopy(average).cpu().fuse()
    tensors = {key: value.half().contiguous() for key, value in network.state_dict().items()}
    # one entry, because safetensors writes several in an order that changes from run to run
    metadata = {"judge": json.dumps({"model": spec.version, "labels": spec.evaluated, **settings})}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file(tensors, part, metadata)
    os.replace(part, path)


def _write_card(
    spec: JudgeSpec,
    path: Path,
    settings: dict[str, int],
    val_scenes: int,
    iou: np.ndarray,
    device: torch.device,
    seconds: float,
) -> None:
    height, width = spec.size
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    values = zip(spec.evaluated, iou.tolist(), strict=True)
    rows = "\n".join(f"| {label} | {value:.3f} |" for label, value in values if math.isfinite(value))
    card = f"""# The {spec.dataset} judge ({spec.version})

`{spec.weights_file}`: a segmentation U-Net for scenes of the `{spec.dataset}` renderer at {height}x{width} and its
{len(spec.evaluated)} evaluated classes; it is what `mIoU` asks. It knows rendered scenes only and says nothing about
photographs.

- Data: {settings["scenes"]} rendered training scenes; {val_scenes} other scenes for validation. No real images.
- Training: {settings["steps"]} steps of {settings["batch_size"]} scenes, AdamW, cosine rate, class-weighted
  cross-entropy, moving average of weights; mirroring, mild changes of light, noise of sigma up to 0.03.
- Seed {settings["seed"]}; {seconds:.0f} s on {device.type} ({machine}), PyTorch {torch.__version__}.
- mIoU on the validation scenes, dataset level: **{float(np.nanmean(iou)):.4f}**.
- Licence: Apache-2.0, as the project.

Classes that occur in the validation scenes:

| label id | IoU |
|---|---|
{rows}
"""
    path.write_text(card, encoding="utf-8")
