"""The embedded segmenters, and their training.

The U-Net of `metrics.evaluators.block_unet`, whose every block of 2x2 pixels leaves with 4 logits a class (about 4 ms a
picture of 64x128 on one CPU core).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.api.method import MethodContext
from bench.api.scenes import Scene
from bench.api.training.batches import in_order
from bench.api.training.task import TrainingScenes
from metrics.evaluators.block_unet import BLOCK, BlockUNet, at_size, from_blocks, load_network, to_blocks
from metrics.evaluators.embedded import EmbeddedSegmenter, EvaluatorSpec
from metrics.evaluators.labels import IGNORED, train_ids
from metrics.evaluators.segmenters.lite0 import Lite0Net, from_imagenet
from metrics.evaluators.training import MEASURED_AT_ONCE, EvaluatorTask, Recipe, augment
from metrics.miou import class_counts, iou_from_counts


class SegmenterNet(BlockUNet):
    """A segmenter's network: pictures (B, 3, H, W) in [0, 1] -> logits in blocks (B, H/2, W/2, 4, C).

    H and W must be multiples of 16. `from_blocks` turns the logits into (B, C, H, W). With `corner`, 0..3, only the
    logits of that pixel of each block are made: (B, H/2, W/2, 1, C).
    """

    def __init__(self, spec: EvaluatorSpec) -> None:
        super().__init__(spec.widths)
        self.classes = len(spec.classes)
        self.head = nn.Conv2d(spec.widths[0], self.classes * BLOCK**2, 1)

    def forward(self, images: Tensor, corner: int | None = None) -> Tensor:
        """The logits of every pixel, or of one `corner` of the blocks."""
        x = self.features(images)
        if corner is None:
            logits = self.head(x)
        else:
            rows = slice(corner * self.classes, (corner + 1) * self.classes)
            logits = nn.functional.conv2d(x, self.head.weight[rows], self.head.get_parameter("bias")[rows])
        result: Tensor = logits.permute(0, 2, 3, 1).unflatten(3, (-1, self.classes))
        return result


def fresh(spec: EvaluatorSpec, trained: bool = False) -> SegmenterNet | Lite0Net:
    """The network of a spec, not trained; with `trained` its features are ImageNet's where it has any of them."""
    if spec.network == "unet":
        return SegmenterNet(spec)
    return from_imagenet(spec) if trained else Lite0Net(spec)


def load(spec: EvaluatorSpec, weights: Path, device: torch.device | str) -> Callable[[Tensor], Tensor]:
    """`EmbeddedSegmenter.predict` with the weights of a file.

    Pictures of another size than the network's are brought to it with an antialiased bilinear filter, and the logits
    back to the pictures' size.
    """
    network = load_network(fresh(spec), spec, weights, device)
    label_ids = torch.tensor(spec.classes, dtype=torch.uint8, device=device)

    @torch.inference_mode()
    def predict(images: Tensor) -> Tensor:
        size = tuple(images.shape[-2:])
        images = at_size(images, spec.size, device)
        if size == spec.size:
            # argmax before unpacking: as many times less to move as there are classes
            blocks = network(images).argmax(dim=-1, keepdim=True)
            return label_ids[from_blocks(blocks).squeeze(1)]
        logits = from_blocks(network(images))
        return label_ids[nn.functional.interpolate(logits, size, mode="bilinear").argmax(dim=1)]

    return predict


def recipe_of(spec: EvaluatorSpec) -> Recipe:
    """How a segmenter is trained: features that are there already need fewer steps, and smaller ones."""
    usual = Recipe(2500, 32, sparse=len(spec.classes) > 100)
    return usual if spec.network == "unet" else replace(usual, steps=400, learning_rate=1e-3)


class Task(EvaluatorTask["SegmenterNet | Lite0Net"]):
    """Cross-entropy of every pixel's class, rare classes weighing more."""

    objective: ClassVar[str] = "class-weighted cross-entropy"

    def __init__(self, spec: EvaluatorSpec, context: MethodContext, options: Mapping[str, Any]) -> None:
        super().__init__(spec, context, fresh(spec, trained=True), recipe_of(spec), options)
        self.cross_entropy = nn.CrossEntropyLoss(ignore_index=IGNORED)

    def begin(self, scenes: TrainingScenes) -> None:
        """Weigh the classes by how rare they are among the scenes."""
        weights = _class_weights(self.spec, scenes).to(self.device)
        self.cross_entropy = nn.CrossEntropyLoss(weight=weights, ignore_index=IGNORED)

    def loss(self, network: SegmenterNet | Lite0Net, scene: Scene, generator: torch.Generator) -> Tensor:
        """Weighted cross-entropy, on changed pictures."""
        places = torch.from_numpy(train_ids(scene.labels, self.spec.classes)).long()
        images, (targets,) = augment(scene.image, [places], generator)
        corner = int(torch.randint(4, (), generator=generator)) if self.settings.sparse else None
        with self.autocast():
            logits = network(images.to(self.device), corner)
        truth = to_blocks(targets) if corner is None else to_blocks(targets)[..., corner]
        loss: Tensor = self.cross_entropy(logits.float().flatten(0, -2), truth.flatten().to(self.device))
        return loss

    def picture(self, images: Tensor) -> Tensor:
        """Every pixel in the colour of its class."""
        colours = torch.tensor(self.space.palette, device=images.device)[list(self.spec.classes)]
        places = from_blocks(self.average(images).argmax(dim=-1, keepdim=True)).squeeze(1)
        return (colours[places] / 255).permute(0, 3, 1, 2)

    def evaluate(self, weights: Path, scenes: TrainingScenes) -> dict[str, float]:
        """IoU of each class, dataset level against the labels, and their mean."""
        segmenter, classes = EmbeddedSegmenter(self.spec, weights, self.device), self.spec.classes
        total = np.zeros((3, len(classes)), dtype=np.int64)
        for _, scene in in_order(scenes, MEASURED_AT_ONCE):
            predicted, truth = train_ids(segmenter.predict(scene.image), classes), train_ids(scene.labels, classes)
            total += class_counts(predicted, truth, len(classes), IGNORED).sum(axis=0)
        iou = iou_from_counts(total)
        return {"mIoU": float(np.nanmean(iou)), **self.by_class("IoU", iou.tolist())}


def _class_weights(spec: EvaluatorSpec, scenes: TrainingScenes, looked_at: int = 512) -> Tensor:
    """Weights (C,) that fall with the square root of a class's share of pixels, within [0.5, 4]; absent classes 1."""
    counts = np.zeros(256)
    for _, scene in in_order(scenes, MEASURED_AT_ONCE, looked_at):
        counts += np.bincount(train_ids(scene.labels, spec.classes).ravel(), minlength=256)
    counts = counts[: len(spec.classes)]
    present = counts > 0
    weights = np.ones(len(counts), dtype=np.float32)
    if present.any():
        weights[present] = np.sqrt(np.median(counts[present]) / counts[present]).clip(0.5, 4.0)
    return torch.from_numpy(weights)
