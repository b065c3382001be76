"""The embedded depth network: small, for the street scenes that the project renders; and its training.

The U-Net of `metrics.evaluators.block_unet`, which is also told each pixel's row: on a street most of depth is in it.
It classifies: every pixel leaves with the probabilities of `BINS` depths (Cao et al., "Estimating Depth from Monocular
Images as Classification", arXiv 1605.02305). An average of the near and the far side of an edge is no depth that
occurs, and a network that is taught to answer with one number gives it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.api.errors import MetricError
from bench.api.method import MethodContext
from bench.api.scenes import Scene
from bench.api.training.batches import in_order
from bench.api.training.task import TrainingScenes
from metrics.depth import SCORES, depth_errors, errors
from metrics.evaluators.block_unet import (
    BLOCK,
    BlockUNet,
    ConvNorm,
    EvaluatorNet,
    at_size,
    from_blocks,
    load_network,
    to_blocks,
)
from metrics.evaluators.depth import FARTHEST, valid_depth
from metrics.evaluators.embedded import EmbeddedDepth, EvaluatorSpec
from metrics.evaluators.labels import IGNORED, train_ids
from metrics.evaluators.training import MEASURED_AT_ONCE, EvaluatorTask, Recipe, augment

#: Depths (metres) of the first and the last bin, the bins between them equally far apart in log depth. Nothing is
#: nearer in `streets`; the last one also stands for all that is farther, and for the sky.
NEAREST_BIN, FARTHEST_BIN = 3.0, FARTHEST
#: With 33 of them neighbours are 11 % apart.
BINS = 33
#: A depth is the mean of so many neighbouring bins, those that are most probable together: about 25 % to either side.
_WINDOW = 5


class DepthNet(BlockUNet):
    """Pictures (B, 3, H, W) in [0, 1], H and W multiples of 16 -> logits in blocks (B, H/2, W/2, 4, BINS)."""

    def __init__(self, spec: EvaluatorSpec) -> None:
        super().__init__(spec.widths, channels=4)
        self.neck = ConvNorm(spec.widths[0], 2 * spec.widths[0])
        self.head = nn.Conv2d(2 * spec.widths[0], BINS * BLOCK**2, 1)

    def described(self, images: Tensor) -> Tensor:
        """What the head looks at: (B, 2 * widths[0], H/2, W/2)."""
        batch, _, height, width = images.shape
        rows = torch.linspace(0, 1, height, device=images.device).view(1, 1, -1, 1).expand(batch, 1, height, width)
        return torch.relu(self.neck(self.features(torch.cat([images, rows], dim=1))))

    def forward(self, images: Tensor) -> Tensor:
        """The logits of the depths."""
        return self.depths(self.described(images))

    def depths(self, described: Tensor) -> Tensor:
        """The logits for what `described` gave."""
        result: Tensor = self.head(described).permute(0, 2, 3, 1).unflatten(3, (-1, BINS))
        return result


def place_of(depth: Tensor) -> Tensor:
    """Depth in metres, any shape -> its place among the bins, 0..BINS - 1; whole numbers are bins."""
    span = math.log(FARTHEST_BIN / NEAREST_BIN)
    return (depth.clamp(NEAREST_BIN, FARTHEST_BIN) / NEAREST_BIN).log() * ((BINS - 1) / span)


def depth_at(place: Tensor) -> Tensor:
    """The inverse of `place_of`: places among the bins, any shape -> metres."""
    return NEAREST_BIN * (place * (math.log(FARTHEST_BIN / NEAREST_BIN) / (BINS - 1))).exp()


def decode(logits: Tensor) -> Tensor:
    """Logits (..., BINS) -> depth (...) in metres.

    The mean place of the `_WINDOW` neighbouring bins that are most probable together, weighed with their probabilities.
    """
    probability = logits.softmax(dim=-1).flatten(0, -2)
    places = BINS - _WINDOW + 1
    mass = _mean([probability[:, start : start + places] for start in range(_WINDOW)])
    most, first = mass.max(dim=-1, keepdim=True)
    bins = first + torch.arange(_WINDOW, device=logits.device)
    moment = _mean((probability.gather(1, bins) * bins).split(1, dim=1))  # type: ignore[no-untyped-call]
    return depth_at(moment / most).view(logits.shape[:-1])


def _mean(values: Sequence[Tensor]) -> Tensor:
    """Their mean, added in order: as `avg_pool1d` adds, which takes eight times as long over windows of so few."""
    return reduce(torch.add, values) / len(values)


def load(spec: EvaluatorSpec, weights: Path, device: torch.device | str) -> Callable[[Tensor], Tensor]:
    """`EmbeddedDepth.estimate` with the weights of a file.

    The sky comes out as 1/80, the farthest depth that the network knows. Pictures of another size than its own are
    brought to it with an antialiased bilinear filter, and what it says back to theirs.
    """
    network = load_network(DepthNet(spec), spec, weights, device)

    @torch.inference_mode()
    def estimate(images: Tensor) -> Tensor:
        size = tuple(images.shape[-2:])
        inverse = 1 / from_blocks(decode(network(at_size(images, spec.size, device)))[..., None])
        if size != spec.size:
            inverse = nn.functional.interpolate(inverse, size, mode="bilinear")
        return inverse.squeeze(1)

    return estimate


class TwoHeads(nn.Module):
    """A depth network with a second head, which is there for the training only and does not ship.

    It names the class of every pixel. To say it the features have to know objects and where they end, and learn that
    sooner than from depth alone.
    """

    def __init__(self, spec: EvaluatorSpec, classes: int) -> None:
        super().__init__()
        self.network = DepthNet(spec)
        self.labels = nn.Conv2d(2 * spec.widths[0], classes * BLOCK**2, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, H, W) -> logits of depths (B, H/2, W/2, 4, BINS) and of classes (B, H/2, W/2, 4, C)."""
        described = self.network.described(images)
        labels = self.labels(described).permute(0, 2, 3, 1).unflatten(3, (BLOCK**2, -1))
        return self.network.depths(described), labels


class Task(EvaluatorTask[TwoHeads]):
    """Cross-entropy of the depths' bins plus that of the classes. MetricError for scenes without depth."""

    objective: ClassVar[str] = f"cross-entropy of {BINS} depths and, beside, of classes"
    with_depth: ClassVar[bool] = True

    def __init__(self, spec: EvaluatorSpec, context: MethodContext, options: Mapping[str, Any]) -> None:
        network = TwoHeads(spec, len(context.label_space.evaluated))
        super().__init__(spec, context, network, Recipe(4000, 16), options)

    def shipped(self, network: TwoHeads) -> EvaluatorNet:
        """The depth network without the second head."""
        return network.network

    def loss(self, network: TwoHeads, scene: Scene, generator: torch.Generator) -> Tensor:
        """Cross-entropy of the bins and of the classes, on changed pictures."""
        classes = torch.from_numpy(train_ids(scene.labels, self.space.evaluated)).long()
        images, (depth, classes) = augment(scene.image, [_depth(scene), classes], generator)
        with self.autocast():
            depths, labels = network(images.to(self.device))
        of_classes = nn.functional.cross_entropy(
            labels.float().flatten(0, -2), to_blocks(classes).flatten().to(self.device), ignore_index=IGNORED
        )
        return bin_loss(depths.float(), to_blocks(depth).to(self.device)) + of_classes

    def picture(self, images: Tensor) -> Tensor:
        """What is near is bright."""
        return NEAREST_BIN / from_blocks(decode(self.average.network(images))[..., None])

    def evaluate(self, weights: Path, scenes: TrainingScenes) -> dict[str, float]:
        """AbsRel, RMSE (metres) and delta1 against the true depth, means over pictures.

        `aligned`: after the alignment that the metric `depth` makes; else as the network answers.
        """
        network = EmbeddedDepth(self.spec, weights, self.device)
        aligned, metric = [], []
        for _, scene in in_order(scenes, MEASURED_AT_ONCE):
            estimates = network.estimate(scene.image).cpu().numpy()
            depths = _depth(scene)
            for estimate, depth, inside in zip(estimates, depths.numpy(), valid_depth(depths).numpy(), strict=True):
                aligned.append(depth_errors(estimate, depth, inside, network.inverse))
                metric.append(errors(1 / estimate[inside], depth[inside]))
        return {
            **dict(zip((f"{name}, aligned" for name in SCORES), np.nanmean(aligned, axis=0).tolist(), strict=True)),
            **dict(zip(SCORES, np.nanmean(metric, axis=0).tolist(), strict=True)),
        }


def _depth(scene: Scene) -> Tensor:
    if scene.depth is None:
        raise MetricError("these scenes have no depth")
    return scene.depth


def bin_loss(logits: Tensor, depth: Tensor) -> Tensor:
    """Mean cross-entropy of logits (..., BINS) for depth (...) in metres; one between two bins is each in part."""
    log_probability = logits.log_softmax(dim=-1)
    place = place_of(depth)
    lower = place.floor().clamp(max=BINS - 2)
    of_lower, of_upper = (log_probability.gather(-1, bins.long()[..., None])[..., 0] for bins in (lower, lower + 1))
    return -((1 - (place - lower)) * of_lower + (place - lower) * of_upper).mean()
