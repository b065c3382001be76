"""Depth networks: what the metric `depth` asks of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

#: True depths farther than this (metres) take no part, in training and in evaluation, as is usual for driving scenes
#: (KITTI, Cityscapes). The sky of `streets`, which has 1000 m, is beyond it, and so is 3 % of the rest.
FARTHEST = 80.0


def valid_depth(depth: Tensor) -> Tensor:
    """Where a true depth map (metres, any shape) can be asked for: finite, above 0 and at most `FARTHEST`."""
    return depth.isfinite() & (depth > 0) & (depth <= FARTHEST)


class DepthEstimator(Protocol):
    """A network that says how far away every pixel of a picture is.

    `protocol`: the network and how pictures reach it; `sha256`: of its weights file; `gpu_batch`: pictures a GPU takes
    at once. `inverse`: True where its values are proportional to inverse depth up to an unknown scale and shift, as
    those of MiDaS and DPT are; False where they are depth in metres. `estimate`: pictures (B, 3, H, W) float32 in
    [0, 1] -> (B, H, W) float32, at the size of the pictures that were given.
    """

    @property
    def protocol(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def gpu_batch(self) -> int: ...
    @property
    def inverse(self) -> bool: ...
    def estimate(self, images: Tensor) -> Tensor: ...
