"""Codecs: what the semantic maps cost in bits, measured on really encoded bytes.

A codec encodes the binary maps of one scene and decodes them again; what it decodes to is what goes over the
analogue channel, so a lossy codec (JPEG) costs quality as well as saving bits.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from bench.api.memory import remembered
from methods.common.semantic.label_ctx import decode_labels, encode_labels

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


@remembered
def _one_by_one(
    maps: np.ndarray, mode: str, file_format: str, **options: object
) -> tuple[tuple[bytes, ...], np.ndarray]:
    """Each map as a file of its own, and what the files decode to, (K, H, W)."""
    payload = tuple(_save(one, mode, file_format, **options) for one in maps)
    return payload, np.stack([_load(file, mode) for file in payload])


def encode_png1(maps: np.ndarray, num_class_maps: int) -> Encoded:
    """One 1-bit PNG a map: the literal reading of "compressed one-hot maps". Lossless."""
    payload, decoded = _one_by_one(maps.astype(bool), "1", "PNG", optimize=True)
    return Encoded(payload, decoded.astype(np.float32))


def encode_jpeg(maps: np.ndarray, num_class_maps: int) -> Encoded:
    """One greyscale JPEG a map at JPEG_QUALITY: the codec of the paper's Figure 7. Lossy."""
    payload, decoded = _one_by_one((maps * 255).astype(np.uint8), "L", "JPEG", quality=JPEG_QUALITY)
    return Encoded(payload, decoded.astype(np.float32) / 255)


#: Codecs of one label map as a picture: its mode, Pillow's format and options. The edges are a 1-bit PNG behind it.
_PACKED: dict[str, tuple[str, str, dict[str, object]]] = {
    "label-png": ("L", "PNG", {"optimize": True}),
    "label-webp": ("RGB", "WEBP", {"lossless": True, "quality": 100, "method": 6}),
}
#: Codecs whose bytes a digital link can carry: they hold all labels in one map, so the receiver needs no list of them.
CARRIED = ("label-ctx", "label-webp", "label-png")
#: Bytes that say how long the label map's file is, where the edges have one of their own behind it.
_LENGTH = 3


@remembered
def _files(codec: str, labels: np.ndarray, edges: np.ndarray | None, num_labels: int) -> tuple[bytes, ...]:
    """A label map (H, W) and its edges, if any, as the files of a codec of `CARRIED`."""
    if codec == "label-ctx":
        return (encode_labels(labels, edges, num_labels),)
    mode, file_format, options = _PACKED[codec]
    index = labels.astype(np.uint8)
    packed = _save(np.repeat(index[..., None], 3, axis=2) if mode == "RGB" else index, mode, file_format, **options)
    return (packed,) if edges is None else (packed, *encode_png1(edges[None], 0).payload)


def _maps(codec: str, files: tuple[bytes, ...], size: tuple[int, int], num_labels: int, with_edges: bool) -> np.ndarray:
    """One-hot maps and edges (num_labels + edges, H, W) float32 behind files that may be damaged, else ValueError."""
    edges = None
    if codec == "label-ctx":
        labels, edges = decode_labels(files[0], *size, num_labels, with_edges)
    else:
        labels = _shown(files[0], "RGB", size)[..., 0]
        if with_edges:
            edges = _shown(files[1], "1", size)
    maps = (labels[None] == np.arange(num_labels)[:, None, None]).astype(np.float32)
    return maps if edges is None else np.concatenate([maps, edges[None].astype(np.float32)])


def _shown(data: bytes, mode: str, size: tuple[int, int]) -> np.ndarray:
    with opened(data, lambda width, height: (height, width) == size) as image:
        return np.asarray(image.convert(mode))


@contextmanager
def opened(data: bytes, fits: Callable[[int, int], bool]) -> Iterator[Image.Image]:
    """A picture out of bytes that may be damaged, whose width and height fit.

    ValueError where they show none, be it only while its pixels are read: a damaged header may promise any size.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if not fits(*image.size):
                raise ValueError(f"a picture of {image.width}x{image.height} has another size")
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise ValueError(f"no picture: {error}") from None


def encode_single(codec: str, maps: np.ndarray, num_class_maps: int) -> Encoded:
    """All class maps as one label map (they are disjoint and cover the picture) by a codec of `CARRIED`. Lossless.

    ValueError where class maps overlap or leave holes.
    """
    classes, extra = maps[:num_class_maps], maps[num_class_maps:]
    if not np.array_equal(classes.sum(axis=0), np.ones(classes.shape[1:], classes.dtype)):
        raise ValueError("class maps overlap or leave holes: they cannot be packed into one label map")
    payload = _files(codec, classes.argmax(axis=0), extra[0] if len(extra) else None, num_class_maps)
    return Encoded(payload, _maps(codec, payload, classes.shape[1:], num_class_maps, bool(len(extra))))


#: name -> encoder of one scene's maps (K, H, W) in {0, 1}, of which the first `num_class_maps` are disjoint classes
CODECS: dict[str, Callable[[np.ndarray, int], Encoded]] = {
    "png1": encode_png1,
    "jpeg": encode_jpeg,
    **{codec: partial(encode_single, codec) for codec in ("label-png", "label-webp", "label-ctx")},
}


def write_map(codec: str, labels: np.ndarray, edges: np.ndarray | None, num_labels: int) -> bytes:
    """A label map (H, W) and its edges, if any, as the bytes of one payload, by a codec of `CARRIED`."""
    files = _files(codec, labels, edges, num_labels)
    return files[0] if codec == "label-ctx" else b"".join([len(files[0]).to_bytes(_LENGTH, "big"), *files])


def read_map(codec: str, data: bytes, height: int, width: int, num_labels: int, with_edges: bool) -> np.ndarray:
    """One-hot maps and edges (num_labels + edges, H, W) float32 behind the bytes of a payload.

    ValueError where they show no map of that size; labels that do not exist have no map.
    """
    end = _LENGTH + int.from_bytes(data[:_LENGTH], "big")
    files = (data,) if codec == "label-ctx" else (data[_LENGTH:end], data[end:])
    return _maps(codec, files, (height, width), num_labels, with_edges)
