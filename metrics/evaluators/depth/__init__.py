"""Depth networks: what the metric `depth` asks of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from metrics.evaluators import Evaluator

if TYPE_CHECKING:
    from torch import Tensor

#: True depths farther than this (metres) take no part, in training and in evaluation, as is usual for driving scenes
#: (KITTI, Cityscapes). The sky of `streets`, which has 1000 m, is beyond it, and so is 3 % of the rest.
FARTHEST = 80.0


def valid_depth(depth: Tensor) -> Tensor:
    """Where a true depth map (metres, any shape) can be asked for: finite, above 0 and at most `FARTHEST`."""
    return depth.isfinite() & (depth > 0) & (depth <= FARTHEST)


class DepthEstimator(Evaluator, Protocol):
    """A network that says how far away every pixel of a picture is."""

    @property
    def inverse(self) -> bool:
        """Whether its values are inverse depth up to scale and shift, as MiDaS's and DPT's are, or depth in metres."""

    def estimate(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> (B, H, W) float32, at the size of the pictures given."""
