"""A thumbnail of a few hundred bits: brightness and half as much colour, quantised, by arithmetic coding.

Rows and columns are the picture's means over squares. Each value is predicted from its west, north and north-west
neighbours (LOCO-I's median predictor) and coded by a Laplace distribution around that; the coder is constriction's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.api.lazy import F, Tensor, torch

if TYPE_CHECKING:
    from collections.abc import Callable

#: Quantised values are 0..LEVELS - 1.
LEVELS = 24
#: Scale of the Laplace distribution, in levels: of brightness, and of colour.
_SPREAD = (1.6, 0.6)
#: JPEG's YCbCr (ITU-R BT.601, full range) of RGB.
_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def size_of(height: int, width: int, rows: int) -> tuple[int, int]:
    """Rows and columns of brightness; colour has half of each. ValueError for rows that do not divide the picture."""
    if rows < 2 or rows % 2 or height % rows or width % (height // rows) or (width * rows // height) % 2:
        raise ValueError(f"a thumbnail of {rows} rows does not fit a picture of {height}x{width}")
    return rows, width * rows // height


def shrink(images: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, H, W) in [0, 1] -> levels of brightness (B, rows, columns) and of colour (B, 2, half, half)."""
    height, width = images.shape[-2:]
    size = size_of(height, width, rows)
    matrix = torch.tensor(_YCBCR, device=images.device)
    values = torch.einsum("dc,bchw->bdhw", matrix, F.adaptive_avg_pool2d(images, size))
    colour = F.avg_pool2d(values[:, 1:], 2) + 0.5
    return _levels(values[:, 0]), _levels(colour)


def _levels(values: Tensor) -> Tensor:
    return (values * (LEVELS - 1)).round().clamp(0, LEVELS - 1).long()


def grow(brightness: Tensor, colour: Tensor, height: int, width: int) -> Tensor:
    """What `shrink` gave, or real numbers near it, as pictures (B, 3, H, W) in [-1, 1], smooth; float32."""
    parts = [one.float() / (LEVELS - 1) for one in (brightness[:, None], colour)]
    light, chroma = (F.interpolate(one, (height, width), mode="bilinear", align_corners=False) for one in parts)
    values = torch.cat([light, chroma - 0.5], dim=1)
    inverse = torch.linalg.inv(torch.tensor(_YCBCR)).to(values.device)
    return 2 * torch.einsum("cd,bdhw->bchw", inverse, values).clamp(0, 1) - 1


def encode(brightness: np.ndarray, colour: np.ndarray) -> bytes:
    """Levels of one picture, (rows, columns) and (2, rows / 2, columns / 2), as bytes."""
    from constriction import stream

    coder = stream.queue.RangeEncoder()
    model = stream.model.QuantizedLaplace(0, LEVELS - 1)

    def code(expected: float, spread: float, true: int) -> int:
        coder.encode(np.array([true], np.int32), model, np.array([expected]), np.array([spread]))
        return true

    for plane, spread in _planes(brightness, colour):
        _each(plane, spread, code)
    words = np.asarray(coder.get_compressed()).astype(">u4").tobytes()
    return bytes(words.rstrip(b"\0"))  # the decoder reads zeros where a stream has ended


def decode(data: bytes, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The levels behind bytes of `encode`; damaged bytes decode to some thumbnail, or raise ValueError."""
    from constriction import stream

    words = np.frombuffer(data + b"\0" * (-len(data) % 4), dtype=">u4").astype(np.uint32)
    coder, model = stream.queue.RangeDecoder(words), stream.model.QuantizedLaplace(0, LEVELS - 1)
    brightness = np.zeros((rows, columns), np.int64)
    colour = np.zeros((2, rows // 2, columns // 2), np.int64)

    def read(expected: float, spread: float, _: int) -> int:
        return int(coder.decode(model, np.array([expected]), np.array([spread]))[0])

    try:
        for plane, spread in _planes(brightness, colour):
            _each(plane, spread, read)
    except AssertionError as error:  # constriction's word for a stream that no encoder makes
        raise ValueError(f"no thumbnail: {error}") from None
    return brightness, colour


def _planes(brightness: np.ndarray, colour: np.ndarray) -> list[tuple[np.ndarray, float]]:
    return [(brightness, _SPREAD[0]), (colour[0], _SPREAD[1]), (colour[1], _SPREAD[1])]


def _each(plane: np.ndarray, spread: float, code: Callable[[float, float, int], int]) -> None:
    """Code or fill in a plane of levels, row by row, each value around what its neighbours let expect."""
    middle = (LEVELS - 1) / 2
    for y, x in np.ndindex(*plane.shape):
        expected, around = middle, spread
        if x and y:
            west, north = plane[y, x - 1], plane[y - 1, x]
            expected = float(np.clip(west + north - plane[y - 1, x - 1], min(west, north), max(west, north)))
        elif x or y:
            expected = float(plane[y, x - 1] if x else plane[y - 1, x])
        else:
            around = 4 * spread
        plane[y, x] = code(expected, around, int(plane[y, x]))
