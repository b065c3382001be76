"""Full-image transmission: the classical baseline, which sends the pixels themselves."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image

from bench.api.lazy import Tensor, torch
from bench.api.method import Method, MethodContext, Received, Transmission

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.api.scenes import Scene

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
}


class FullImage(Method):
    """The image in [0, 1] as analogue symbols (P = 1 is its peak power); the receiver clips what arrives.

    `codec` decides the bits of the digital payload: PNG reproduces the paper's 1,464,000 bits for a 256x512 image.
    """

    name: ClassVar[str] = "full_image"
    title: ClassVar[str] = "Full image"
    default_options: ClassVar[Mapping[str, Any]] = {"codec": "png"}

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(context, options)
        self.check_choice("codec", CODECS)

    def send(self, scene: Scene) -> Transmission:
        """The pixels that the codec decodes to; its file is the payload."""
        file_format, options = CODECS[self.options["codec"]]
        symbols, bits = [], []
        for image in scene.image:
            pixels = (image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, file_format, **options)
            bits.append(8 * len(buffer.getvalue()))
            with Image.open(buffer) as decoded:
                array = np.array(decoded.convert("RGB"))
            symbols.append(torch.from_numpy(array).permute(2, 0, 1).float() / 255)
        return Transmission(tuple(symbols), (b"",) * len(scene), tuple(bits))

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        """What arrives, clipped to [0, 1]."""
        return torch.stack(received.symbols).clamp(0, 1)
