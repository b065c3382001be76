"""Full-image transmission: the classical baseline, which sends the pixels themselves."""

from __future__ import annotations

import bisect
import io
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from bench.api.errors import MethodError
from bench.api.lazy import Tensor, torch
from bench.api.memory import remembered
from bench.api.method import Method, MethodContext, Received, Transmission
from bench.api.scenes import Scene
from methods.common.semantic.codec import opened

#: name -> Pillow's format and options. The analogue symbols are the pixels that the codec decodes to.
CODECS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {"optimize": True}),
    "webp-lossless": ("WEBP", {"lossless": True, "quality": 100, "method": 6}),
    "jpeg90": ("JPEG", {"quality": 90}),
    "jpeg75": ("JPEG", {"quality": 75}),
    "jpeg25": ("JPEG", {"quality": 25}),
    "webp75": ("WEBP", {"quality": 75, "method": 6}),
    "avif75": ("AVIF", {"quality": 75}),
    "avif50": ("AVIF", {"quality": 50}),
    "jpeg": ("JPEG", {"quality": 75, "optimize": True}),
    "webp": ("WEBP", {"quality": 75, "method": 6}),
    "avif": ("AVIF", {"quality": 75}),
}
#: Codecs whose quality a budget chooses, and the qualities to choose from.
BUDGETED = ("jpeg", "webp", "avif")
QUALITIES = range(1, 96)
#: What a picture is made smaller by, along each side, where its lowest quality is still too much.
SHRINK = 0.75


class FullImage(Method):
    """The image in [0, 1] as analogue symbols (P = 1 is its peak power); the receiver clips what arrives.

    `codec` decides the bits of the digital payload: PNG reproduces the paper's 1,464,000 bits for a 256x512 image.
    """

    name: ClassVar[str] = "full_image"
    title: ClassVar[str] = "Full image"
    default_options: ClassVar[Mapping[str, Any]] = {"codec": "png"}
    digital_options: ClassVar[Mapping[str, Any]] = {"codec": "webp"}

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(context, options)
        self.check_choice("codec", CODECS)

    def send(self, scene: Scene) -> Transmission:
        """The pixels that the codec decodes to; its file is the payload."""
        symbols, bits = [], []
        for image in scene.image:
            data = _file(_picture(image), self.options["codec"])
            bits.append(8 * len(data))
            with Image.open(io.BytesIO(data)) as decoded:
                symbols.append(_tensor(decoded))
        return Transmission(tuple(symbols), (b"",) * len(scene), tuple(bits))

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        """What arrives, clipped to [0, 1]."""
        return torch.stack(received.symbols).clamp(0, 1)

    def encode(self, scene: Scene, room: int | None = None) -> tuple[bytes | None, ...]:
        """The picture's file, with a budget at the best quality that fits, made smaller where it must be."""
        codec = self.options["codec"]
        if room is not None and codec not in BUDGETED:
            raise MethodError(f"codec '{codec}' of full_image has one size; a budget needs {', '.join(BUDGETED)}")
        pictures = [_picture(image) for image in scene.image]
        return tuple(_file(p, codec) if room is None else _fitting(p, codec, room) for p in pictures)

    def decode(self, payloads: Sequence[bytes | None], rngs: Sequence[torch.Generator]) -> Tensor:
        """The pictures of the files, at the scene's size; grey where a payload was lost, or shows no picture."""
        return torch.stack([self._shown(payload) for payload in payloads])

    def _shown(self, payload: bytes | None) -> Tensor:
        height, width = self.context.height, self.context.width
        try:
            with opened(payload or b"", lambda wide, high: wide <= width and high <= height) as image:
                return _tensor(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
        except ValueError:
            return torch.full((3, height, width), 0.5)


def _picture(image: Tensor) -> Image.Image:
    """(3, H, W) in [0, 1] as a Pillow picture."""
    return Image.fromarray((image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy())


def _tensor(image: Image.Image) -> Tensor:
    """A Pillow picture as (3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255


def _saved(picture: Image.Image, codec: str, **options: Any) -> bytes:
    file_format, fixed = CODECS[codec]
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **{**fixed, **options})
    return buffer.getvalue()


@remembered
def _file(picture: Image.Image, codec: str) -> bytes:
    """A picture's file at the codec's own quality."""
    return _saved(picture, codec)


@remembered
def _fitting(picture: Image.Image, codec: str, room: int) -> bytes | None:
    """The file of the highest quality of at most `room` bytes, of the largest picture that has one.

    None where not even a picture of 8 pixels does.
    """
    size = picture.size
    while min(size) >= 8:
        smaller = picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)
        count = bisect.bisect_right(QUALITIES, room, key=lambda quality: len(_saved(smaller, codec, quality=quality)))
        if count:
            return _saved(smaller, codec, quality=QUALITIES[count - 1])
        size = (round(size[0] * SHRINK), round(size[1] * SHRINK))
    return None
