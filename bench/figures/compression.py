"""Image and maps under the same compression, with what each costs: the paper's Figure 7.

Nothing is sent here. Image and maps go through a codec at falling qualities; below each picture stand the bits a pixel
and how much of the content is still there.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from bench.api.scenes import stack
from bench.figures.fds import grey, shown_class
from bench.figures.grid import Panel, Row, draw_grid
from bench.figures.style import Drawing
from bench.pictures.album import Album
from bench.pictures.sheet import paint_labels
from bench.tables.measured import SCENE_SET
from bench.tables.request import Request, parts
from methods.common.semantic.codec import encode_label_webp, encode_png1
from methods.common.semantic.maps import keep_channels, present_labels, scene_maps

SCENES = 1
QUALITIES = (90, 50, 25, 10, 5)


@dataclass(frozen=True)
class Coded:
    """Bits of the encoded files, and what they decode to."""

    bits: int
    decoded: np.ndarray


def coded(pixels: np.ndarray, file_format: str, quality: int | None) -> Coded:
    """(H, W) or (H, W, 3) uint8 through a codec of Pillow; `quality` None: as PNG, lossless."""
    buffer = io.BytesIO()
    if quality is None:
        Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    else:
        Image.fromarray(pixels).save(buffer, file_format, quality=quality)
    with Image.open(buffer) as image:
        return Coded(8 * len(buffer.getvalue()), np.array(image.convert("RGB" if pixels.ndim == 3 else "L")))


def coded_maps(maps: np.ndarray, quality: int | None) -> Coded:
    """Binary maps (K, H, W), each a file: greyscale JPEG, or 1-bit PNG for `quality` None; decoded to 0..1."""
    if quality is None:
        encoded = encode_png1(maps, len(maps))
        return Coded(encoded.bits, encoded.decoded)
    each = [coded((one * 255).astype(np.uint8), "JPEG", quality) for one in maps]
    return Coded(sum(one.bits for one in each), np.stack([one.decoded for one in each]).astype(np.float32) / 255)


def peak_snr(pixels: np.ndarray, original: np.ndarray) -> float:
    """PSNR in dB of 8-bit pictures, infinite where they are equal."""
    error = float(np.mean((pixels.astype(np.float64) - original.astype(np.float64)) ** 2))
    return 10 * float(np.log10(255**2 / error)) if error else float("inf")


def _right(equal: np.ndarray) -> str:
    return "exact" if equal.all() else f"{100 * float(equal.mean()):.2f} % right"


def draw(request: Request) -> list[Drawing]:
    """One figure for each set of scenes in the results and each scene."""
    made: dict[str, Drawing] = {}
    for part in parts(request):
        album = Album(request, part, SCENES)
        for scene in album.ids:
            stem = f"compression-{'-'.join(str(part.first(column)) for column in SCENE_SET)}-{scene}"
            if stem not in made:  # another channel's part has the same scenes
                made[stem] = _figure(album, scene, stem)
    return list(made.values())


def _figure(album: Album, scene: str, stem: str) -> Drawing:
    arrays, space = album[scene], album.space
    image, labels, pixels = arrays.image, arrays.labels, arrays.labels.size
    maps = scene_maps(stack([arrays], space))[0]
    kept = present_labels(torch.from_numpy(labels).long(), space.size)
    classes = keep_channels(maps, kept).numpy()
    one = kept.index(shown_class(labels, space))

    def of_image(file_format: str, quality: int | None) -> Panel:
        found = coded(image, file_format, quality)
        snr = peak_snr(found.decoded, image)
        kept_well = "exact" if np.isinf(snr) else f"{snr:.1f} dB"
        return Panel(found.decoded, (f"{found.bits / pixels:.2f} bit/pixel", kept_well))

    def of_maps(quality: int | None) -> Panel:
        found = coded_maps(classes, quality)
        decoded = np.array(kept, dtype=np.uint8)[found.decoded.argmax(axis=0)]
        words = [f"{found.bits / pixels:.2f} bit/pixel", _right(decoded == labels)]
        if quality is None:
            words.append(f"packed: {encode_label_webp(classes, len(classes)).bits / pixels:.2f}")
        return Panel(paint_labels(decoded, space), tuple(words))

    def of_one(quality: int | None) -> Panel:
        found = coded_maps(classes[one : one + 1], quality)
        right = _right((found.decoded[0] > 0.5) == (classes[one] > 0.5))
        return Panel(grey(torch.from_numpy(found.decoded[0])), (f"{found.bits / pixels:.2f} bit/pixel", right))

    steps = (None, *QUALITIES)
    name = space.names[kept[one]]
    rows = [
        Row("image, JPEG", tuple(of_image("JPEG", quality) for quality in steps)),
        Row("image, AVIF", (None, *(of_image("AVIF", quality) for quality in QUALITIES))),
        Row(f"all {len(kept)} maps, JPEG", tuple(of_maps(quality) for quality in steps)),
        Row(f"map of `{name}`, JPEG", tuple(of_one(quality) for quality in steps)),
    ]
    notes = (
        album.request.provenance(album.part.rows),
        f"Scene {scene}; nothing is sent over a channel. Maps are those of the {len(kept)} classes that occur, a file "
        "each (lossless: 1-bit PNG; packed: one label map as lossless WebP), headers counted. All maps together are "
        "shown by the strongest class at each pixel; a single map is right where it is on the right side of one half. "
        "Below the image: PSNR against the original.",
    )
    headings = ["lossless", *(f"quality {quality}" for quality in QUALITIES)]
    figure = draw_grid(f"Image and maps under compression, {album.dataset}", headings, rows, notes)
    return Drawing(stem, figure, notes)
