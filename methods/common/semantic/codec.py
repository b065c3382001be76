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

from methods.common.semantic.label_ctx import decode_labels, encode_labels

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


def _index(classes: np.ndarray) -> np.ndarray:
    """Class maps (K, H, W) as one map of their numbers (H, W) uint8; ValueError where they overlap or leave holes."""
    if not np.array_equal(classes.sum(axis=0), np.ones(classes.shape[1:], classes.dtype)):
        raise ValueError("class maps overlap or leave holes: they cannot be packed into one label map")
    index: np.ndarray = classes.argmax(axis=0).astype(np.uint8)
    return index


def _encode_packed(maps: np.ndarray, num_class_maps: int, file_format: str, **options: object) -> Encoded:
    """All class maps as one index map (they are disjoint and cover the picture), the edge map as a 1-bit PNG.

    Lossless, in formats that are.
    """
    extra = maps[num_class_maps:]
    index = _index(maps[:num_class_maps])
    mode = "RGB" if file_format == "WEBP" else "L"
    packed = _save(np.repeat(index[..., None], 3, axis=2) if mode == "RGB" else index, mode, file_format, **options)
    decoded_index = _load(packed, "RGB")[..., 0] if mode == "RGB" else _load(packed, "L")
    edges = encode_png1(extra, 0) if len(extra) else Encoded((), np.zeros((0, *index.shape), np.float32))
    one_hot = (decoded_index[None] == np.arange(num_class_maps)[:, None, None]).astype(np.float32)
    return Encoded((packed, *edges.payload), np.concatenate([one_hot, edges.decoded]))


def encode_label_ctx(maps: np.ndarray, num_class_maps: int) -> Encoded:
    """One label map and its edges by arithmetic coding in context (label_ctx.py). Lossless."""
    index, extra = _index(maps[:num_class_maps]), maps[num_class_maps:]
    payload = encode_labels(index, extra[0] if len(extra) else None, num_class_maps)
    labels, edges = decode_labels(payload, index.shape[0], index.shape[1], num_class_maps, bool(len(extra)))
    one_hot = (labels[None] == np.arange(num_class_maps)[:, None, None]).astype(np.float32)
    return Encoded((payload,), one_hot if edges is None else np.concatenate([one_hot, edges[None].astype(np.float32)]))


#: name -> encoder of one scene's maps (K, H, W) in {0, 1}, of which the first `num_class_maps` are disjoint classes
CODECS: dict[str, Callable[[np.ndarray, int], Encoded]] = {
    "png1": encode_png1,
    "jpeg": encode_jpeg,
    "label-png": partial(_encode_packed, file_format="PNG", optimize=True),
    "label-webp": partial(_encode_packed, file_format="WEBP", lossless=True, quality=100, method=6),
    "label-ctx": encode_label_ctx,
}

#: Bytes that say how long the label map's file is, where the edges have one of their own behind it.
_LENGTH = 3
#: Codecs whose bytes a digital link can carry: they hold all labels in one map, so the receiver needs no list of them.
DIGITAL = ("label-ctx", "label-webp", "label-png")


def write_map(codec: str, labels: np.ndarray, edges: np.ndarray | None, num_labels: int) -> bytes:
    """A label map (H, W) and its edges, if any, as the bytes of one payload, by a codec of `DIGITAL`."""
    if codec == "label-ctx":
        return encode_labels(labels, edges, num_labels)
    classes = (labels[None] == np.arange(num_labels)[:, None, None]).astype(np.float32)
    maps = classes if edges is None else np.concatenate([classes, edges[None].astype(np.float32)])
    parts = CODECS[codec](maps, num_labels).payload
    return b"".join([len(parts[0]).to_bytes(_LENGTH, "big"), *parts])


def read_map(codec: str, data: bytes, height: int, width: int, num_labels: int, with_edges: bool) -> np.ndarray:
    """One-hot maps and edges (num_labels + edges, H, W) float32 behind the bytes of a payload.

    ValueError where they show no map of that size; labels that do not exist have no map.
    """
    if codec == "label-ctx":
        labels, edges = decode_labels(data, height, width, num_labels, with_edges)
    else:
        length = int.from_bytes(data[:_LENGTH], "big")
        labels = _picture(data[_LENGTH : _LENGTH + length], "RGB", (width, height))[..., 0]
        edges = _picture(data[_LENGTH + length :], "1", (width, height)) if with_edges else None
    maps = (labels[None] == np.arange(num_labels)[:, None, None]).astype(np.float32)
    return maps if edges is None else np.concatenate([maps, edges[None].astype(np.float32)])


def _picture(data: bytes, mode: str, size: tuple[int, int]) -> np.ndarray:
    """A picture of just that size out of bytes that may be damaged; ValueError where they show none."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.size != size:
                raise ValueError(f"a picture of {image.size[0]}x{image.size[1]}, not {size[0]}x{size[1]}")
            return np.asarray(image.convert(mode))
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise ValueError(f"no picture: {error}") from None
