"""Train an embedded depth network on the scenes that the project renders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench.api.metric import MetricError
from metrics.depth import SCORES, depth_errors, errors
from metrics.evaluators.block_unet import BLOCK, to_blocks
from metrics.evaluators.classes import EVALUATED_IDS, IGNORED, train_ids
from metrics.evaluators.depth_estimation import FARTHEST, DepthEstimator, valid_depth
from metrics.evaluators.embedded_depth import BINS, DepthNet, DepthSpec, EmbeddedDepth, place_of
from metrics.evaluators.training import Batch, Course, Scenes, augment, autocast, export, train_network, write_card


def train_depth(
    spec: DepthSpec, train_scenes: Scenes, held_out: Mapping[str, Scenes], out_path: Path, course: Course
) -> dict[str, dict[str, float]]:
    """Train, write weights to `out_path` and a model card beside it; return `evaluate` by split of `held_out`.

    The weights are float16 with normalisation folded in, and the errors are those of the written file. Checkpoints and
    errors are those of `train_network`; MetricError for scenes without depth.
    """

    def loss_of(pupil: Pupil, batch: Batch, generator: torch.Generator) -> Tensor:
        return depth_loss(pupil, batch, generator, course.device)

    average, trained = train_network(lambda: Pupil(spec), loss_of, spec, train_scenes, course)
    export(spec, average.network, out_path, trained.settings)
    network = EmbeddedDepth(spec, out_path, course.device)
    measured = {split: evaluate(network, scenes) for split, scenes in held_out.items()}
    for split, values in measured.items():
        each = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        course.log(f"{len(held_out[split])} {split} scenes: {each}")
    height, width = spec.size
    what = f"""a network that says how far away everything is in scenes of the `{spec.dataset}` renderer at
{height}x{width}. It was taught that the sky, and all that is farther than {FARTHEST:g} m, is {FARTHEST:g} m away;
measured are pixels up to that depth."""
    rows = "".join(
        f"| {len(held_out[split])} {split} scenes | {' | '.join(f'{value:.4f}' for value in values.values())} |\n"
        for split, values in measured.items()
    )
    heads = " | ".join(next(iter(measured.values())))
    space = "inverse depth" if network.inverse else "depth"
    result = f"""Errors against the true depth, means over pictures. `aligned`: after the scale and shift of each
picture that fit best in {space}, as the metric measures; else as the network answers, in metres. RMSE in metres.

| | {heads} |
|---|{"---|" * (2 * len(SCORES))}
{rows}"""
    write_card(
        spec,
        out_path.with_suffix(".md"),
        trained,
        what,
        f"cross-entropy of {BINS} depths and, beside, of classes",
        result,
    )
    return measured


def evaluate(network: DepthEstimator, scenes: Scenes, batch_size: int = 50) -> dict[str, float]:
    """AbsRel, RMSE (metres) and delta1 of the original pictures' depth against the true depth, means over scenes; after
    the alignment of `metrics.depth`, and without any."""
    aligned, metric = [], []
    for start in range(0, len(scenes), batch_size):
        batch = scenes.batch(range(start, min(start + batch_size, len(scenes))))
        if batch.depth is None:
            raise MetricError("these scenes have no depth to measure against")
        estimates = network.estimate(batch.image).cpu().numpy()
        depths, valid = batch.depth.numpy(), valid_depth(batch.depth).numpy()
        for estimate, depth, inside in zip(estimates, depths, valid, strict=True):
            aligned.append(depth_errors(estimate, depth, inside, network.inverse))
            metric.append(errors((1 / estimate if network.inverse else estimate)[inside], depth[inside]))
    return {
        **dict(zip((f"{name}, aligned" for name in SCORES), np.nanmean(aligned, axis=0).tolist(), strict=True)),
        **dict(zip(SCORES, np.nanmean(metric, axis=0).tolist(), strict=True)),
    }


class Pupil(nn.Module):
    """A depth network with a second head, which is there for the training only and does not ship.

    It names the class of every pixel. To say it the features have to know objects and where they end, and learn that
    sooner than from depth alone.
    """

    def __init__(self, spec: DepthSpec) -> None:
        super().__init__()
        self.network = DepthNet(spec)
        self.labels = nn.Conv2d(2 * spec.widths[0], len(EVALUATED_IDS) * BLOCK**2, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, H, W) -> logits of depths (B, H/2, W/2, 4, BINS) and of classes (B, H/2, W/2, 4, 19)."""
        described = self.network.described(images)
        labels = self.labels(described).permute(0, 2, 3, 1).unflatten(3, (BLOCK**2, -1))
        return self.network.depths(described), labels


def depth_loss(pupil: nn.Module, batch: Batch, generator: torch.Generator, device: torch.device) -> Tensor:
    """Cross-entropy of the depths' bins plus that of the classes. MetricError for scenes without depth."""
    if batch.depth is None:
        raise MetricError("these scenes have no depth to learn from")
    classes = torch.from_numpy(train_ids(batch.labels, EVALUATED_IDS)).long()
    images, (depth, classes) = augment(batch.image, [batch.depth, classes], generator)
    with autocast(device):
        depths, labels = pupil(images.to(device))
    of_classes = nn.functional.cross_entropy(
        labels.float().flatten(0, -2), to_blocks(classes).flatten().to(device), ignore_index=IGNORED
    )
    return bin_loss(depths.float(), to_blocks(depth).to(device)) + of_classes


def bin_loss(logits: Tensor, depth: Tensor) -> Tensor:
    """Mean cross-entropy of logits (..., BINS) for depth (...) in metres; one between two bins is each in part."""
    log_probability = logits.log_softmax(dim=-1)
    place = place_of(depth)
    lower = place.floor().clamp(max=BINS - 2)
    of_lower, of_upper = (log_probability.gather(-1, bins.long()[..., None])[..., 0] for bins in (lower, lower + 1))
    return -((1 - (place - lower)) * of_lower + (place - lower) * of_upper).mean()
