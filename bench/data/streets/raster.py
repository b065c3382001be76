"""From a scene's polygons to per-pixel polygon ids, with what shading needs to know of each polygon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .scene import Scene, Surface

if TYPE_CHECKING:
    from .camera import Camera, PixelGrid

Floats = NDArray[np.floating]

SKY_DEPTH_M = 1000.0
NEAR_M = 0.5
_SHIFT = 4
SKY_FACE, GROUND_FACE = 0, 1


@dataclass(frozen=True)
class Faces:
    """Per-polygon tables, (F, ...); rows 0 and 1 are the sky and the ground plane.

    For a pixel with ray r = (x/z, y/z, 1): 1/z = plane . r; s = z * (u . r) - u0; t = z * (v . r) - v0.
    """

    plane: Floats
    u: Floats
    v: Floats
    u0: Floats
    v0: Floats
    span: Floats
    """(F, 2) nearest and farthest depth of the polygon, metres."""
    normal: Floats
    """Camera-frame unit normals, facing the camera."""
    key: NDArray[np.int32]
    surface: NDArray[np.uint8]
    colour: Floats
    second: Floats
    parameters: Floats


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), np.float32)


def _clip_near(points: Floats) -> Floats:
    """The part of a camera-frame polygon (n, 3) in front of the near plane (Sutherland-Hodgman)."""
    kept: list[Floats] = []
    for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
        if a[2] >= NEAR_M:
            kept.append(a)
        if (a[2] >= NEAR_M) != (b[2] >= NEAR_M):
            kept.append(a + (b - a) * ((NEAR_M - a[2]) / (b[2] - a[2])))
    return np.array(kept, np.float32).reshape(-1, 3)


def _world_vertices(scene: Scene) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """All vertices in the world frame, each polygon's first vertex, and each polygon's vertex count."""
    local = np.array(scene.vertices, np.float32).reshape(-1, 3)
    sizes = np.array(scene.sizes, np.int64)
    starts = np.cumsum(sizes) - sizes
    pose = np.array(scene.object_pose, np.float32)[np.repeat(np.array(scene.owners), sizes)]
    cos, sin = np.cos(pose[:, 2]), np.sin(pose[:, 2])
    world = np.stack(
        [
            pose[:, 0] + local[:, 0] * cos + local[:, 2] * sin,
            local[:, 1],
            pose[:, 1] - local[:, 0] * sin + local[:, 2] * cos,
        ],
        axis=1,
    )
    return world, starts, sizes


def _painting_order(scene: Scene, camera: Camera) -> NDArray[np.int64]:
    """Polygon indices, backdrop first, then objects far to near; within an object as they were added."""
    pose = np.array(scene.object_pose, np.float32)
    distance = np.hypot(pose[:, 0] - camera.lateral_m, pose[:, 1])
    rank = np.empty(len(pose), np.int64)
    rank[np.lexsort((-distance, np.array(scene.object_layer)))] = np.arange(len(pose))
    return np.argsort(rank[np.array(scene.owners)], kind="stable")


def rasterise(scene: Scene, camera: Camera, grid: PixelGrid) -> tuple[NDArray[np.int32], Faces]:
    """The id of the nearest polygon at each sub-pixel (an index into the returned tables)."""
    world, starts, sizes = _world_vertices(scene)
    points = camera.to_camera(world)
    first, second, last = points[starts], points[starts + 1], points[starts + sizes - 1]
    u = _unit(second - first)
    normal = _unit(np.cross(u, last - first))
    outward = np.einsum("ij,ij->i", normal, first)
    visible = (outward < -1e-4) | (np.array(scene.two_sided) & (np.abs(outward) > 1e-4))
    normal = np.where((outward > 0)[:, None], -normal, normal)
    v = np.cross(normal, u).astype(np.float32)
    # The texture's t runs up the polygon: away from its first edge.
    v = np.where((np.einsum("ij,ij->i", v, last - first) < 0)[:, None], -v, v)
    middle = np.add.reduceat(points, starts, axis=0) / sizes[:, None].astype(np.float32)
    origin = np.where((sizes == 4)[:, None], first, middle)

    near_depth = np.minimum.reduceat(points[:, 2], starts)
    far = np.maximum.reduceat(points[:, 2], starts)
    span = np.stack([np.maximum(near_depth, NEAR_M), far], axis=1)
    faces = _tables(scene, camera, normal, first, u, v, origin, span)
    ids = np.zeros(grid.shape, np.int32)
    horizon_row = max(0, int(np.ceil(camera.horizon * grid.shape[0] - 0.5)))
    ids[horizon_row:] = GROUND_FACE

    near = near_depth < NEAR_M
    safe = np.maximum(points[:, 2:], NEAR_M)
    pixels = grid.pixels(camera, np.concatenate([points[:, :2], safe], axis=1))
    low, high = np.minimum.reduceat(pixels, starts, axis=0), np.maximum.reduceat(pixels, starts, axis=0)
    rows, columns = grid.shape
    inside = (high[:, 0] > -1) & (low[:, 0] < columns) & (high[:, 1] > -1) & (low[:, 1] < rows)
    visible &= (far > NEAR_M) & (inside | near)
    fixed = np.rint(np.clip(pixels, -60000, 60000) * (1 << _SHIFT)).astype(np.int32)
    for polygon in _painting_order(scene, camera):
        if not visible[polygon]:
            continue
        own = slice(starts[polygon], starts[polygon] + sizes[polygon])
        corners = fixed[own]
        if near[polygon]:
            clipped = _clip_near(points[own])
            if len(clipped) < 3:
                continue
            shown = np.clip(grid.pixels(camera, clipped), -60000, 60000)
            corners = np.rint(shown * (1 << _SHIFT)).astype(np.int32)
        number = int(polygon) + 2
        if len(corners) > 14:
            cv2.fillPoly(ids, [corners], number, cv2.LINE_8, _SHIFT)
        else:
            cv2.fillConvexPoly(ids, corners, number, cv2.LINE_8, _SHIFT)
    return ids, faces


def _tables(
    scene: Scene,
    camera: Camera,
    normal: Floats,
    first: Floats,
    u: Floats,
    v: Floats,
    origin: Floats,
    span: Floats,
) -> Faces:
    count = len(scene.sizes) + 2
    towards = np.einsum("ij,ij->i", normal, first)
    plane, all_normals = np.zeros((count, 3), np.float32), np.zeros((count, 3), np.float32)
    all_u, all_v = np.zeros((count, 3), np.float32), np.zeros((count, 3), np.float32)
    u0, v0 = np.zeros(count, np.float32), np.zeros(count, np.float32)
    plane[2:] = normal / np.where(np.abs(towards) < 1e-6, 1e-6, towards)[:, None]
    all_normals[2:], all_u[2:], all_v[2:] = normal, u, v
    u0[2:], v0[2:] = np.einsum("ij,ij->i", u, origin), np.einsum("ij,ij->i", v, origin)
    plane[SKY_FACE] = (0, 0, 1 / SKY_DEPTH_M)
    # On the ground s, t are the world's X and Z.
    plane[GROUND_FACE] = (0, 1 / camera.height_m, 0)
    all_normals[GROUND_FACE] = (0, -1, 0)
    all_u[GROUND_FACE] = camera.direction_to_camera((1, 0, 0))
    all_v[GROUND_FACE] = camera.direction_to_camera((0, 0, 1))
    u0[GROUND_FACE] = -camera.lateral_m
    spans = np.tile(np.array([NEAR_M, SKY_DEPTH_M], np.float32), (count, 1))
    spans[2:] = span
    padding = [(0.0, 0.0, 0.0)] * 2
    return Faces(
        plane, all_u, all_v, u0, v0, spans, all_normals,
        key=np.array([0, 0, *scene.keys], np.int32),
        surface=np.array([Surface.SKY, Surface.GROUND, *scene.surfaces], np.uint8),
        colour=np.array(padding + scene.colours, np.float32),
        second=np.array(padding + scene.seconds, np.float32),
        parameters=np.array([(0.0,) * 6] * 2 + scene.parameters, np.float32),
    )  # fmt: skip


def cast_shadows(
    scene: Scene, camera: Camera, grid: PixelGrid, sun_direction: tuple[float, float, float], reach: float
) -> Floats:
    """Share of direct light the ground loses at each sub-pixel, 0..1, softened at the edges.

    reach: shadow length per metre of height along the ground (0: only the footprint, as under a grey sky).
    """
    mask = np.zeros(grid.shape, np.uint8)
    if not scene.shadows:
        return mask.astype(np.float32)
    x, z, heading, half_x, half_z, height = np.array(scene.shadows, np.float32).T
    cos, sin = np.cos(heading), np.sin(heading)
    corners = []
    away = -np.array(sun_direction, np.float32)[[0, 2]] * reach
    for sx, sz in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        cx, cz = sx * half_x, sz * half_z
        foot = np.stack([x + cx * cos + cz * sin, np.zeros_like(x), z - cx * sin + cz * cos], axis=1)
        tip = foot.copy()
        tip[:, 0] += away[0] * height
        tip[:, 2] += away[1] * height
        corners += [foot, tip]
    points = camera.to_camera(np.stack(corners, axis=1))
    seen = points[..., 2].max(axis=1) > NEAR_M
    points[..., 2] = np.maximum(points[..., 2], NEAR_M)
    fixed = np.rint(np.clip(grid.pixels(camera, points), -30000, 30000)).astype(np.int32)
    for outline in fixed[seen]:
        cv2.fillConvexPoly(mask, cv2.convexHull(outline), 255)
    blur = 2 * max(1, grid.shape[0] // 90) + 1
    return cv2.blur(mask, (blur, blur)).astype(np.float32) * np.float32(1 / 255)
