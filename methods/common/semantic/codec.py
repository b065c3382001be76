"""Codecs: what the semantic maps cost in bits, measured on really encoded bytes.

A codec encodes the binary maps of one scene and decodes them again; what it decodes to is what goes over the
analogue channel, so a lossy codec (JPEG) costs quality as well as saving bits.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

#: JPEG quality for maps; the paper says "very strong compression" and gives no number.
JPEG_QUALITY = 25


@dataclass(frozen=True)
class Encoded:
    """`payload` holds the files of one scene; `decoded` (K, H, W) float32 in [0, 1] is what the payload decodes to."""

    payload: tuple[bytes, ...]
    decoded: np.ndarray

    @property
    def bits(self) -> int:
        """Size of the payload in bits."""
        return 8 * sum(len(part) for part in self.payload)


def _save(array: np.ndarray, mode: str, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if image.mode != mode else image).save(buffer, file_format, **options)
    return buffer.getvalue()


def _load(data: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert(mode))


def encode_png1(maps: np.ndarray, num_class_maps: int) -> Encoded:
    """One 1-bit PNG a map: the literal reading of "compressed one-hot maps". Lossless."""
    payload = tuple(_save(m.astype(bool), "1", "PNG", optimize=True) for m in maps)
    return Encoded(payload, np.stack([_load(p, "1") for p in payload]).astype(np.float32))


def encode_jpeg(maps: np.ndarray, num_class_maps: int) -> Encoded:
    """One greyscale JPEG a map at JPEG_QUALITY: the codec of the paper's Figure 7. Lossy."""
    payload = tuple(_save((m * 255).astype(np.uint8), "L", "JPEG", quality=JPEG_QUALITY) for m in maps)
    return Encoded(payload, np.stack([_load(p, "L") for p in payload]).astype(np.float32) / 255)


def _encode_packed(maps: np.ndarray, num_class_maps: int, file_format: str, **options: object) -> Encoded:
    """All class maps as one index map (they are disjoint and cover the picture), the edge map as a 1-bit PNG.

    Lossless, in formats that are.
    """
    classes, extra = maps[:num_class_maps], maps[num_class_maps:]
    if not np.array_equal(classes.sum(axis=0), np.ones(maps.shape[1:], maps.dtype)):
        raise ValueError("class maps overlap or leave holes: they cannot be packed into one label map")
    index = classes.argmax(axis=0).astype(np.uint8)
    mode = "RGB" if file_format == "WEBP" else "L"
    packed = _save(np.repeat(index[..., None], 3, axis=2) if mode == "RGB" else index, mode, file_format, **options)
    decoded_index = _load(packed, "RGB")[..., 0] if mode == "RGB" else _load(packed, "L")
    edges = encode_png1(extra, 0) if len(extra) else Encoded((), np.zeros((0, *index.shape), np.float32))
    one_hot = (decoded_index[None] == np.arange(num_class_maps)[:, None, None]).astype(np.float32)
    return Encoded((packed, *edges.payload), np.concatenate([one_hot, edges.decoded]))


#: name -> encoder of one scene's maps (K, H, W) in {0, 1}, of which the first `num_class_maps` are disjoint classes
CODECS: dict[str, Callable[[np.ndarray, int], Encoded]] = {
    "png1": encode_png1,
    "jpeg": encode_jpeg,
    "label-png": partial(_encode_packed, file_format="PNG", optimize=True),
    "label-webp": partial(_encode_packed, file_format="WEBP", lossless=True, quality=100, method=6),
}
