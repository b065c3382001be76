"""What metrics share in handling pictures: checking them, and running a network over them one at a time."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.api.metric import Comparison, MetricError

#: Rounding that is let through on either side of [0, 1].
_SLACK = 1e-4


def check_pictures(comparison: Comparison) -> None:
    """MetricError unless both picture batches are equal in shape (B >= 1, 3, H, W), finite and within [0, 1]."""
    generated, original = comparison.generated, comparison.original
    if generated.ndim != 4 or generated.shape[1] != 3:
        raise MetricError(f"generated pictures must be (scenes, 3, height, width), not {tuple(generated.shape)}")
    if generated.shape != original.shape:
        raise MetricError(
            f"generated pictures are {tuple(generated.shape)} and the originals {tuple(original.shape)}: "
            "the method has to return one picture a scene, of the scene's size"
        )
    if len(generated) == 0:
        raise MetricError("there is no scene to measure: the batch is empty")
    _check_values(generated, "generated")
    _check_values(original, "original")


def check_labels(comparison: Comparison) -> None:
    """MetricError unless the labels are integers of the pictures' batch, height and width."""
    _check_ids(comparison, comparison.labels, "labels")


def check_instances(comparison: Comparison) -> None:
    """MetricError unless the instance ids are integers of the pictures' batch, height and width."""
    _check_ids(comparison, comparison.instances, "instances")


def check_depth(comparison: Comparison) -> None:
    """MetricError unless there is no depth, or one of the pictures' batch, height and width."""
    if comparison.depth is not None:
        _check_map(comparison, comparison.depth, "depth is")


def _check_ids(comparison: Comparison, ids: Tensor, name: str) -> None:
    _check_map(comparison, ids, f"{name} are")
    if ids.is_floating_point():
        raise MetricError(f"{name} must be integers, not {ids.dtype}")


def _check_map(comparison: Comparison, values: Tensor, what: str) -> None:
    expected = (len(comparison.generated), *comparison.generated.shape[-2:])
    if tuple(values.shape) != expected:
        raise MetricError(f"{what} {tuple(values.shape)}, the pictures need {expected}")


def _check_values(pictures: Tensor, which: str) -> None:
    if pictures.dtype != torch.float32:
        raise MetricError(f"{which} pictures must be float32 in [0, 1], not {pictures.dtype}")
    flat = pictures.flatten(1)
    broken = (~torch.isfinite(flat)).any(dim=1)
    if broken.any():
        raise MetricError(f"{which} picture {int(broken.nonzero()[0])} of the batch holds NaN or infinity")
    outside = ((flat < -_SLACK) | (flat > 1 + _SLACK)).any(dim=1)
    if outside.any():
        number = int(outside.nonzero()[0])
        low, high = flat[number].min().item(), flat[number].max().item()
        raise MetricError(f"{which} picture {number} of the batch has values in [{low:.3g}, {high:.3g}], not in [0, 1]")


class PerPicture:
    """Runs `function`, pictures (B, 3, H, W) -> (B, ...), so that a result belongs to its picture alone.

    On the CPU one picture at a time: a convolution's last bits depend on the batch it is in, a scene's value must not.
    A GPU gets batches, because one picture leaves it idle.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        device: torch.device,
        memory_bytes: int = 64 << 20,
        gpu_batch: int = 64,
    ) -> None:
        """`memory_bytes` bounds what `remembered` keeps; `gpu_batch` is the number of pictures a GPU gets at once."""
        self._function = function
        self._device = device
        self._memory: OrderedDict[bytes, np.ndarray] = OrderedDict()
        self._memory_bytes = memory_bytes
        self._chunk = 1 if device.type == "cpu" else gpu_batch

    def __call__(self, pictures: Tensor) -> np.ndarray:
        """Results for all pictures, (B, ...)."""
        with torch.inference_mode():
            results = [self._function(part.to(self._device)).cpu() for part in pictures.split(self._chunk)]
        return torch.cat(results).numpy()

    def remembered(self, pictures: Tensor) -> np.ndarray:
        """The same, but results of pictures seen before are kept: originals come back in every cell of a sweep."""
        keys = [hashlib.sha256(picture.cpu().contiguous().numpy()).digest() for picture in pictures]
        new = [number for number, key in enumerate(keys) if key not in self._memory]
        found = {key: self._memory[key] for key in keys if key in self._memory}
        if new:
            found.update(zip((keys[number] for number in new), self(pictures[new]), strict=True))
        for key in keys:
            self._memory[key] = found[key]
            self._memory.move_to_end(key)
        self._forget()
        return np.stack([found[key] for key in keys])

    def _forget(self) -> None:
        used = sum(result.nbytes for result in self._memory.values())
        while used > self._memory_bytes and self._memory:
            _, oldest = self._memory.popitem(last=False)
            used -= oldest.nbytes
