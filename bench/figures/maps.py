"""Pictures of the maps that are sent: before and after the FDS block, and under compression beside the image."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.api.errors import UsageError
from bench.api.scenes import LabelSpace, stack
from bench.figures.grid import Panel, PanelRow, draw_grid
from bench.figures.style import Drawing
from bench.pictures.album import Album
from bench.pictures.cells import paint_labels, strongest_class
from bench.results.request import Request, chosen_psnrs, parts
from bench.results.schema import SCENE_SET
from methods.common.semantic.codec import CODECS, Encoded, encode_png1
from methods.common.semantic.maps import fast_denoise, keep_channels, present_labels, scene_maps

QUALITIES = (90, 50, 25, 10, 5)


def draw_fds(request: Request) -> list[Drawing]:
    """Maps before and after the FDS block (Eq. 2) at each PSNR: one figure for each part of the results and scene.

    UsageError where no method has an FDS block.
    """
    made = []
    for part in parts(request):
        album = Album(request, part, 1)
        sender = album.map_sender(fds=True)
        if sender is None:
            raise UsageError(
                f"no method in {request.folder} that has an FDS block can be built here; "
                "a `bench run` with gesco or a method+fds among its --methods has one"
            )
        psnrs = chosen_psnrs(request, part, part.psnrs)
        made += [_fds(album, sender, psnrs, scene) for scene in album.ids]
    return made


def grey(values: Tensor) -> np.ndarray:
    """A map (H, W) as a grey picture, 0 black and 1 white, what is beyond cut: (H, W, 3) uint8."""
    return np.repeat((values.clamp(0, 1) * 255).round().byte().numpy()[..., None], 3, axis=2)


def shown_class(labels: np.ndarray, space: LabelSpace) -> int:
    """The class whose map is shown: the most common thing, else the most common class."""
    counts = np.bincount(labels.ravel(), minlength=space.size)
    things = [k for k in space.things if counts[k]]
    return max(things, key=lambda k: counts[k]) if things else int(counts.argmax())


def _fds(album: Album, sender: str, psnrs: list[float], scene: str) -> Drawing:
    labels, space = album[scene].labels, album.space
    label = shown_class(labels, space)
    name = space.names[label]
    pool = str(album.method(sender).options["pool"])
    stages: dict[str, list[Panel | None]] = {
        "strongest class\nas received": [Panel(paint_labels(labels, space), ("labels",))],
        "strongest class\nbehind FDS": [None],
        f"map of `{name}`\nas received": [Panel(grey(torch.from_numpy(labels == label).float()), ("sent",))],
        f"map of `{name}`\nbehind FDS": [None],
    }
    columns = list(stages.values())
    for psnr in psnrs:
        symbols, channels = album.received(sender, psnr, scene)
        place = channels.index(label)
        for step, maps in enumerate((symbols, fast_denoise(symbols, pool))):
            classes = strongest_class(maps, channels, space)
            right = 100 * float((classes == labels).mean())
            columns[step].append(Panel(paint_labels(classes, space), (f"{right:.1f} % right",)))
            columns[step + 2].append(Panel(grey(maps[place])))
    rows = [
        PanelRow(name, tuple(panels), starts_block=number == 2) for number, (name, panels) in enumerate(stages.items())
    ]
    notes = (
        album.request.provenance(album.part.rows),
        f"Scene {scene}; seed {album.seed} for the channel. Maps as sent by {sender}, FDS pooling {pool}. Strongest "
        "class: the largest of the received maps at each pixel, with the share of pixels where it is the true one. The "
        "networks see the maps themselves, whose values are not clipped as they are here.",
    )
    title = f"Received maps before and after FDS, {album.dataset}"
    figure = draw_grid(title, ["", *(f"{psnr:g} dB" for psnr in psnrs)], rows, notes)
    return Drawing(f"fds-{album.part.key}-{scene}", figure, notes)


def coded(pixels: np.ndarray, file_format: str, quality: int | None) -> Encoded:
    """(H, W) or (H, W, 3) uint8 through a codec of Pillow and back; `quality` None: as PNG, lossless."""
    buffer = io.BytesIO()
    if quality is None:
        Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    else:
        Image.fromarray(pixels).save(buffer, file_format, quality=quality)
    with Image.open(buffer) as image:
        return Encoded((buffer.getvalue(),), np.array(image.convert("RGB" if pixels.ndim == 3 else "L")))


def coded_maps(maps: np.ndarray, quality: int | None) -> Encoded:
    """Binary maps (K, H, W), each a file: greyscale JPEG, or 1-bit PNG for `quality` None; decoded to 0..1."""
    if quality is None:
        return encode_png1(maps, len(maps))
    each = [coded((one * 255).astype(np.uint8), "JPEG", quality) for one in maps]
    files = tuple(file for one in each for file in one.payload)
    return Encoded(files, np.stack([one.decoded for one in each]).astype(np.float32) / 255)


def peak_snr(pixels: np.ndarray, original: np.ndarray) -> float:
    """PSNR in dB of 8-bit pictures, infinite where they are equal."""
    error = float(np.mean((pixels.astype(np.float64) - original.astype(np.float64)) ** 2))
    return 10 * float(np.log10(255**2 / error)) if error else float("inf")


def _right(equal: np.ndarray) -> str:
    return "exact" if equal.all() else f"{100 * float(equal.mean()):.2f} % right"


def draw_compression(request: Request) -> list[Drawing]:
    """Image and maps under the same compression (the paper's Figure 7): a figure for each set of scenes and scene.

    Nothing is sent here. Image and maps go through a codec at falling qualities; below each picture stand the bits a
    pixel and how much of the content is still there.
    """
    made: dict[str, Drawing] = {}
    for part in parts(request):
        album = Album(request, part, 1)
        for scene in album.ids:
            stem = f"compression-{'-'.join(str(part.first(column)) for column in SCENE_SET)}-{scene}"
            if stem not in made:  # another channel's part has the same scenes
                made[stem] = _compression(album, scene, stem)
    return list(made.values())


def _compression(album: Album, scene: str, stem: str) -> Drawing:
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
            words.append(f"packed: {CODECS['label-webp'](classes, len(classes)).bits / pixels:.2f}")
        return Panel(paint_labels(decoded, space), tuple(words))

    def of_one(quality: int | None) -> Panel:
        found = coded_maps(classes[one : one + 1], quality)
        right = _right((found.decoded[0] > 0.5) == (classes[one] > 0.5))
        return Panel(grey(torch.from_numpy(found.decoded[0])), (f"{found.bits / pixels:.2f} bit/pixel", right))

    steps = (None, *QUALITIES)
    name = space.names[kept[one]]
    rows = [
        PanelRow("image, JPEG", tuple(of_image("JPEG", quality) for quality in steps)),
        PanelRow("image, AVIF", (None, *(of_image("AVIF", quality) for quality in QUALITIES))),
        PanelRow(f"all {len(kept)} maps, JPEG", tuple(of_maps(quality) for quality in steps)),
        PanelRow(f"map of `{name}`, JPEG", tuple(of_one(quality) for quality in steps)),
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
