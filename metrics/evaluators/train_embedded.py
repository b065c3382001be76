"""Train an embedded judge on the scenes that the project renders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metrics.evaluators.block_unet import to_blocks
from metrics.evaluators.classes import IGNORED, train_ids
from metrics.evaluators.embedded import EmbeddedJudge, JudgeNet, JudgeSpec
from metrics.evaluators.training import Batch, Course, Scenes, augment, autocast, table, train_network, write_card
from metrics.evaluators.training import export as export_network
from metrics.miou import class_counts, iou_from_counts


def train_judge(
    spec: JudgeSpec, train_scenes: Scenes, held_out: Mapping[str, Scenes], out_path: Path, course: Course
) -> dict[str, float]:
    """Train, write weights to `out_path` and a model card beside it; return mIoU by split of `held_out`.

    The weights are float16 with normalisation folded in; the mIoU are those of the written file (0..1, dataset level,
    against the labels). Checkpoints and errors are those of `train_network`.
    """
    device = course.device
    cross_entropy = nn.CrossEntropyLoss(weight=_class_weights(spec, train_scenes).to(device), ignore_index=IGNORED)

    def loss_of(network: JudgeNet, batch: Batch, generator: torch.Generator) -> Tensor:
        places = torch.from_numpy(train_ids(batch.labels, spec.evaluated)).long()
        images, (targets,) = augment(batch.image, [places], generator)
        corner = int(torch.randint(4, (), generator=generator)) if spec.sparse else None
        with autocast(device):
            logits = network(images.to(device), corner)
        truth = to_blocks(targets) if corner is None else to_blocks(targets)[..., corner]
        return cross_entropy(logits.float().flatten(0, -2), truth.flatten().to(device))

    average, trained = train_network(lambda: JudgeNet(spec), loss_of, spec, train_scenes, course)
    export(spec, average, out_path, trained.settings)
    judge = EmbeddedJudge(spec, out_path, device)
    iou = {split: evaluate(judge, scenes) for split, scenes in held_out.items()}
    miou = {split: float(np.nanmean(values)) for split, values in iou.items()}
    for split, value in miou.items():
        course.log(f"mIoU on {len(held_out[split])} {split} scenes: {value:.4f}")
    height, width = spec.size
    what = f"""a segmentation U-Net for scenes of the `{spec.dataset}` renderer at {height}x{width} and its
{len(spec.evaluated)} evaluated classes."""
    result = "mIoU, dataset level, and IoU of the classes that occur:\n\n" + table(
        {f"{len(scenes)} {split} scenes": iou[split] for split, scenes in held_out.items()}, spec.evaluated, "mIoU"
    )
    write_card(spec, out_path.with_suffix(".md"), trained, what, "class-weighted cross-entropy", result)
    return miou


def export(spec: JudgeSpec, average: JudgeNet, path: Path, facts: dict[str, Any]) -> None:
    """Write the averaged network, normalisation folded in, as float16 safetensors that `EmbeddedJudge` reads."""
    export_network(spec, average, path, {"labels": spec.evaluated, **facts})


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
