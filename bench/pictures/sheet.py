"""A contact sheet: scenes with their label maps, what reached the receiver, and every method's pictures by PSNR."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.api.errors import BenchError, UsageError
from bench.api.files import safe_name, write_atomically
from bench.pictures.album import Album
from bench.results.request import Request, parts
from bench.results.schema import SCENE_SET

DEFAULT_PSNRS = (100.0, 10.0, 1.0)
#: Pictures narrower than this are enlarged by a whole factor, pixels kept.
MIN_WIDTH = 240
GAP, MARGIN, HEADER = 6, 64, 28


def _enlarge(picture: np.ndarray, factor: int) -> Image.Image:
    image = Image.fromarray(picture)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _block(album: Album, scene: str, psnrs: Sequence[float], sender: str | None) -> list[list[np.ndarray | None]]:
    """The pictures of one scene: a row a PSNR; columns: the truth, the received map, one a method."""
    truth = [album[scene].image, album.labels(scene)]
    rows = []
    for number, psnr in enumerate(psnrs):
        row: list[np.ndarray | None] = [truth[number] if number < len(truth) else None]
        row += [album.received_map(sender, psnr, scene)] if sender else []
        rows.append(row + [album.cached(spec, psnr, scene) for spec in album.specs])
    rows += [[picture] for picture in truth[len(psnrs) :]]  # with a single PSNR the labels get a row of their own
    return rows


def _paste(blocks: list[list[list[np.ndarray | None]]], headings: list[str], psnrs: Sequence[float]) -> Image.Image:
    """One picture of all blocks: the truth on the left, then the PSNRs, then what depends on them."""
    height, width = next(p for row in blocks[0] for p in row if p is not None).shape[:2]
    factor = max(1, -(-MIN_WIDTH // width))
    wide, high = width * factor, height * factor
    lefts = [GAP + column * (wide + GAP) + (MARGIN if column else 0) for column in range(len(headings))]
    block_height = len(blocks[0]) * (high + GAP) + 2 * GAP
    sheet = Image.new("RGB", (lefts[-1] + wide + GAP, HEADER + len(blocks) * block_height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    for left, heading in zip(lefts, headings, strict=True):
        draw.text((left + wide / 2, HEADER / 2), heading, "black", font, anchor="mm")
    for number, block in enumerate(blocks):
        for line, row in enumerate(block):
            top = HEADER + number * block_height + line * (high + GAP)
            if line < len(psnrs):
                middle = GAP + wide + (MARGIN + GAP) / 2
                draw.text((middle, top + high / 2), f"{psnrs[line]:g} dB", "black", font, anchor="mm")
            for left, picture in zip(lefts, row, strict=False):
                if picture is not None:
                    sheet.paste(_enlarge(picture, factor), (left, top))
    return sheet


def make_sheets(request: Request, scenes: int = 4, psnrs: Sequence[float] = DEFAULT_PSNRS) -> list[Path]:
    """Write sheet-DATASET.png for each data set of the results, from cached cells; the files made. Where a data set has
    several lists of scenes or channels, each has a sheet of its own.

    The maps that reached the receiver are not in the cache: they are sent again through the same channel with the
    same noise, by the first method that sends class maps. PSNRs that were not run are left out.
    """
    albums = [album for part in parts(request) if (album := Album(request, part, scenes)).look_for_all()]
    if not albums:
        out = request.folder
        raise BenchError(f"the cache in {out} holds none of the results' cells; run `bench run --out {out}` again")
    made = []
    stems = [(a.dataset, "-".join(str(a.part.first(column)) for column in SCENE_SET), a.part.key) for a in albums]
    for number, album in enumerate(albums):
        shown = [p for p in psnrs if any(psnr == p for _, psnr in album.places)]
        if not shown:
            raise UsageError(f"no cell at PSNR {', '.join(f'{p:g}' for p in psnrs)}; choose others with --psnr")
        sender = next(album.map_senders(), None)
        blocks = [_block(album, scene, shown, sender) for scene in album.ids]
        headings = ["original, labels", *([f"received map ({sender})"] if sender else []), *album.specs]
        buffer = io.BytesIO()
        _paste(blocks, headings, shown).save(buffer, "PNG", optimize=True)
        name = next(stem for k, stem in enumerate(stems[number]) if sum(other[k] == stem for other in stems) == 1)
        path = request.to / f"sheet-{safe_name(name)}.png"
        write_atomically(path, buffer.getvalue())
        made.append(path)
    return made
