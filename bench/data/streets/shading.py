"""Colour of every sub-pixel: surfaces, light, weather, and the camera's response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .classes import SKY
from .ground import Street, shade_ground
from .raster import GROUND_FACE, Faces, cast_shadows
from .scene import Scene, Surface
from .surfaces import NOISE_SCALE, SHADERS, Samples
from .textures import fractal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .camera import Camera, Floats, PixelGrid
    from .light import Light


@dataclass(frozen=True)
class Shaded:
    """Sub-pixel maps: colour (h, w, 3) in 0..1, key (h, w) label or instance ids, depth (h, w) metres."""

    colour: Floats
    key: NDArray[np.int32]
    depth: Floats


def shade(
    ids: NDArray[np.int32],
    faces: Faces,
    scene: Scene,
    street: Street,
    light: Light,
    camera: Camera,
    grid: PixelGrid,
) -> Shaded:
    """What every sub-pixel shows, from the faces that it sees (`ids`) and the light on them."""
    rays_x, rays_y = grid.rays(camera)
    x, y = rays_x[None, :], rays_y[:, None]
    row = np.concatenate([faces.plane, faces.u, faces.v, faces.u0[:, None], faces.v0[:, None], faces.span], axis=1)[ids]
    inverse = row[..., 0] * x + row[..., 1] * y + row[..., 2]
    # A drawn outline reaches up to half a pixel beyond its polygon, where an edge-on plane would run away.
    depth = np.clip(1 / np.clip(inverse, 1e-3, 10.0), row[..., 11], row[..., 12])
    s = depth * (row[..., 3] * x + row[..., 4] * y + row[..., 5]) - row[..., 9]
    t = depth * (row[..., 6] * x + row[..., 7] * y + row[..., 8]) - row[..., 10]
    surface = faces.surface[ids]
    scales = np.array([NOISE_SCALE[kind] for kind in Surface], np.float32)[surface]
    noise = fractal(s * scales, t * scales)
    pixel = depth * np.float32(1 / (camera.focal * grid.shape[0]))
    # Texture finer than the sub-pixel averages out instead of aliasing.
    noise *= np.clip(1.5 - 0.12 * pixel * scales, 0.35, 1)

    key = faces.key[ids]
    albedo = np.zeros((*grid.shape, 3), np.float32)
    glow = np.zeros(grid.shape, np.float32)
    lighting = _face_lighting(faces, light, camera)[ids]
    flat = lighting.reshape(-1, 3), albedo.reshape(-1, 3)
    order = surface.ravel()
    sky = np.array(light.horizon, np.float32) * 0.6 + np.array(light.zenith, np.float32) * 0.4
    for kind in Surface:
        pick = np.flatnonzero(order == kind)
        if not len(pick):
            continue
        if kind == Surface.SKY:
            key.ravel()[pick] = SKY
        elif kind == Surface.GROUND:
            slant = pixel.ravel()[pick] * depth.ravel()[pick] / camera.height_m
            labels, flat[1][pick] = shade_ground(
                street, s.ravel()[pick], t.ravel()[pick], pixel.ravel()[pick], slant, noise.ravel()[pick]
            )
            key.ravel()[pick] = labels
        else:
            face = ids.ravel()[pick]
            flat[1][pick], glow.ravel()[pick] = SHADERS[kind](
                Samples(
                    s.ravel()[pick],
                    t.ravel()[pick],
                    pixel.ravel()[pick],
                    noise.ravel()[pick],
                    faces.colour[face],
                    faces.second[face],
                    faces.parameters[face],
                    light.lamps,
                    sky,
                )
            )
    reach = 1.0 / max(light.sun_direction[1], 0.25) if light.sun[0] > 0.3 else 0.0
    shadow = cast_shadows(scene, camera, grid, light.sun_direction, reach) * (ids == GROUND_FACE)
    if reach:
        lighting -= shadow[..., None] * (np.array(light.sun, np.float32) * max(light.sun_direction[1], 0.2))
    lighting *= (1 - 0.20 * shadow)[..., None]
    if light.lamps and light.kind == "night":
        lighting += _lamp_light(scene, camera, x, y, depth)
    colour: Floats = albedo * lighting
    # Things with their own light keep it whatever the hour.
    own = glow[..., None]
    colour += own * (np.minimum(albedo * 1.05, 1.0) - colour)
    colour = _weather(colour, surface, depth, light, camera, grid, noise, x, y)
    if light.lamps:
        colour = _bloom(colour, own * albedo, grid)
    return Shaded(colour, key, depth)


def _face_lighting(faces: Faces, light: Light, camera: Camera) -> Floats:
    """Light on each polygon (F, 3): ambient, stronger from above, and the sun on faces turned to it."""
    sun = camera.direction_to_camera(light.sun_direction)
    facing = np.clip(faces.normal @ sun, 0, 1)
    # Billboards stand for round bodies and leaves, which always show a lit part.
    facing = np.maximum(facing, 0.15)
    ambient = 0.92 - 0.08 * faces.normal[:, 1]
    return np.asarray(
        ambient[:, None] * np.array(light.ambient, np.float32) + facing[:, None] * np.array(light.sun, np.float32),
        np.float32,
    )


def _lamp_light(scene: Scene, camera: Camera, x: Floats, y: Floats, depth: Floats) -> Floats:
    """Warm pools under the street lamps and the white beam of the camera car."""
    warm = np.zeros(depth.shape, np.float32)
    across = depth * x
    if scene.lamps:
        places = np.array([(lx, 0.0, lz) for lx, lz in scene.lamps], np.float32)
        for px, _, pz in camera.to_camera(places):
            if 2 < pz < 60:
                warm += np.exp(((across - px) ** 2 + (depth - pz) ** 2) * np.float32(-1 / 55))
    beam = np.exp(-((x / 0.32) ** 2) - ((y - 0.08) / 0.16) ** 2) * np.clip(1.15 - depth / 38, 0, 1)
    colour = np.minimum(warm, 1.2)[..., None] * np.array([0.50, 0.38, 0.20], np.float32)
    return np.asarray(colour + beam[..., None] * np.array([0.42, 0.42, 0.38], np.float32), np.float32)


def _sky(light: Light, x: Floats, y: Floats) -> Floats:
    """Sky colours (h, w, 3) of rays x (1, w), y (h, 1): a gradient with clouds on a plane overhead."""
    up = np.maximum(-y, 0)
    share = np.sqrt(np.clip(up / 0.34, 0, 1))[..., None]
    horizon, zenith = np.array(light.horizon, np.float32), np.array(light.zenith, np.float32)
    colour = horizon + (zenith - horizon) * share + np.zeros((1, x.shape[1], 1), np.float32)
    height = 1 / (up + 0.08)
    drift = 60 * light.sun_direction[0]
    noise = fractal((x * height * 14 + drift).astype(np.float32), (height * 14 + np.zeros_like(x)).astype(np.float32))
    cloud = np.clip((noise + light.cloud_cover * 1.1 - 0.55) * 2.2, 0, 1)[..., None] * 0.8
    tone = np.array(light.cloud, np.float32) * (1 + 0.08 * noise[..., None])
    return np.asarray(colour + cloud * (tone - colour), np.float32)


def _weather(
    colour: Floats, surface: NDArray[np.uint8], depth: Floats, light: Light, camera: Camera, grid: PixelGrid,
    noise: Floats, x: Floats, y: Floats,
) -> Floats:  # fmt: skip
    """Sky, haze, and the wet ground's mirror image of what stands above the horizon."""
    haze = np.exp(-light.haze_per_m * depth)[..., None]
    air = np.array(light.horizon, np.float32)
    colour = air + (colour - air) * haze
    top = min(grid.shape[0], int(camera.horizon * grid.shape[0]) + 2)
    sky = surface[:top] == Surface.SKY
    colour[:top][sky] = _sky(light, x, y[:top])[sky]
    if light.wetness > 0:
        rows = np.arange(grid.shape[0])
        horizon = camera.horizon * grid.shape[0]
        mirrored = np.clip(2 * horizon - rows, 0, grid.shape[0] - 1).astype(np.int64)
        share = light.wetness * (surface == Surface.GROUND) * np.clip(0.65 + 0.7 * noise, 0.15, 1)
        # A rough wet surface smears the mirror image along the view.
        image = cv2.blur(colour, (1, 2 * max(1, grid.shape[0] // 40) + 1))[mirrored]
        colour += share[..., None] * (image - colour)
    return colour


def _bloom(colour: Floats, source: Floats, grid: PixelGrid) -> Floats:
    """Halo around burning lamps."""
    size = 2 * max(1, grid.shape[0] // 36) + 1
    halo = cv2.blur(cv2.blur(source, (size, size)), (size, size))
    return np.asarray(colour + 0.35 * halo, np.float32)
