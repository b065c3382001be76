"""The camera and its pixel grid.

World frame: X right, Y up, Z forward, metres, ground at Y = 0; the camera stands at Z = 0.
Camera frame: x right, y down, z forward along the optical axis. The optical axis stays horizontal; the pitch
is a vertical shift of the principal point (`horizon`), which for the few degrees of a dashboard camera looks
the same and keeps vertical edges vertical.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Camera:
    """Where the camera stands, and how it looks down the street."""

    height_m: float
    lateral_m: float
    """World X of the camera."""
    yaw: float
    """Heading in radians, clockwise from Z towards X."""
    focal: float
    """Focal length over image height: the vertical field of view is fixed, the width follows the aspect."""
    horizon: float
    """Image row of the horizon over image height, 0 top to 1 bottom."""

    def to_camera(self, points: Floats) -> Floats:
        """World points (..., 3) in the camera frame."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        x, z = points[..., 0] - self.lateral_m, points[..., 2]
        return np.stack([x * cos - z * sin, self.height_m - points[..., 1], x * sin + z * cos], axis=-1)

    def direction_to_camera(self, direction: tuple[float, float, float]) -> Floats:
        """A direction of the world frame in the camera's."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        x, y, z = direction
        return np.array([x * cos - z * sin, -y, x * sin + z * cos], np.float32)


@dataclass(frozen=True)
class PixelGrid:
    """The supersampled grid: `supersample` sub-pixels a side in each of height x width image pixels."""

    height: int
    width: int
    supersample: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of sub-pixels."""
        return self.height * self.supersample, self.width * self.supersample

    def pixels(self, camera: Camera, points: Floats) -> Floats:
        """Sub-pixel coordinates (..., 2), x then y, sub-pixel centres at integers, of camera-frame points."""
        scale = camera.focal * self.height * self.supersample
        x = points[..., 0] / points[..., 2] * scale + (0.5 * self.width * self.supersample - 0.5)
        y = points[..., 1] / points[..., 2] * scale
        y = y + (camera.horizon * self.height * self.supersample - 0.5)
        return np.stack([x, y], axis=-1)

    def rays(self, camera: Camera) -> tuple[Floats, Floats]:
        """Ray slopes x/z of each sub-pixel column and y/z of each sub-pixel row."""
        rows, columns = self.shape
        scale = camera.focal * self.height * self.supersample
        x = (np.arange(columns, dtype=np.float32) + np.float32(0.5 - columns / 2)) / np.float32(scale)
        y = np.arange(rows, dtype=np.float32) + np.float32(0.5 - camera.horizon * rows)
        return x, y / np.float32(scale)
