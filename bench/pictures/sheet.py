"""A contact sheet: scenes with their label maps, what reached the receiver, and every method's pictures by PSNR."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from bench.api.errors import BenchError, UsageError
from bench.api.files import safe_name, write_atomically
from bench.pictures.album import Album
from bench.results.request import Request, parts
from bench.results.schema import SCENE_SET

if TYPE_CHECKING:
    import numpy as np

DEFAULT_PSNRS = (100.0, 10.0, 1.0)
#: From the first one on, where the request does not choose.
SCENES = 4
#: Of pictures on the sheet.
MIN_WIDTH = 240
GAP, MARGIN, HEADER = 6, 64, 28


def _block(
    album: Album, scene: str, psnrs: Sequence[float], sender: str | None, first: bool, originals: bool
) -> list[SheetRow]:
    """The pictures of one scene: a row a PSNR; columns: the truth, the received map, one a method."""
    truth = [*([album[scene].image] if originals else []), album.labels(scene)]
    space = [0 if first else 3 * GAP, *[GAP] * len(psnrs)]
    rows = []
    for number, psnr in enumerate(psnrs):
        row: list[np.ndarray | None] = [truth[number] if number < len(truth) else None]
        row += [album.received_map(sender, psnr, scene)] if sender else []
        row += [album.cached(spec, psnr, scene) for spec in album.specs]
        rows.append(SheetRow(row, space[number], label=f"{psnr:g} dB"))
    # with a single PSNR the labels get a row of their own
    return [*rows, *(SheetRow([picture], GAP) for picture in truth[len(psnrs) :])]


@dataclass(frozen=True)
class SheetRow:
    """Pictures (H, W, 3) uint8 from left to right, None where there is none, `space` pixels below the row above.

    The `title` stands above them in that space, the `label` behind the first picture.
    """

    pictures: Sequence[np.ndarray | None]
    space: int
    title: str = ""
    label: str = ""


def paste(
    headings: Sequence[str], rows: Sequence[SheetRow], header: int, gap: int, narrowest: int, margin: int = 0,
    below: int = 0, missing: str = "",
) -> bytes:  # fmt: skip
    """A PNG of the rows below their headings, with a margin behind the first column; `missing` names empty places.

    Pictures narrower than `narrowest` are enlarged by a whole factor, pixels kept.
    """
    height, width = next(p for row in rows for p in row.pictures if p is not None).shape[:2]
    factor = max(1, -(-narrowest // width))
    wide, high = width * factor, height * factor
    lefts = [gap + column * (wide + gap) + (margin if column else 0) for column in range(len(headings))]
    whole = header + sum(row.space + high for row in rows) + below
    sheet = Image.new("RGB", (lefts[-1] + wide + gap, whole), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for left, heading in zip(lefts, headings, strict=True):
        draw.text((left + wide / 2, header / 2), heading, "black", font, anchor="mm")
    top = header
    for row in rows:
        draw.text((gap, top + gap), row.title, "black", font)
        top += row.space
        draw.text((gap + wide + (margin + gap) / 2, top + high / 2), row.label, "black", font, anchor="mm")
        for left, picture in zip(lefts, row.pictures, strict=False):
            if picture is not None:
                sheet.paste(Image.fromarray(picture).resize((wide, high), Image.Resampling.NEAREST), (left, top))
            elif missing:
                draw.rectangle((left, top, left + wide - 1, top + high - 1), outline="gray")
                draw.text((left + wide / 2, top + high / 2), missing, "gray", font, anchor="mm")
        top += high
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def make_sheets(request: Request, psnrs: Sequence[float] = DEFAULT_PSNRS, originals: bool = True) -> list[Path]:
    """Write sheet-DATASET.png, one a list of scenes and channel, of the results' cached cells; the files made.

    Without `originals` a scene is shown by its labels alone.

    The maps that reached the receiver are not in the cache: they are sent again through the same channel with the same
    noise, by the first method that sends class maps. PSNRs that were not run are left out.
    """
    albums = [album for part in parts(request) if (album := Album(request, part, SCENES)).look_for_all()]
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
        rows = [
            row for k, scene in enumerate(album.ids) for row in _block(album, scene, shown, sender, not k, originals)
        ]
        headings = [
            "original, labels" if originals else "labels",
            *([f"received map ({sender})"] if sender else []),
            *album.specs,
        ]
        name = next(stem for k, stem in enumerate(stems[number]) if sum(other[k] == stem for other in stems) == 1)
        path = request.to / f"sheet-{safe_name(name)}.png"
        write_atomically(path, paste(headings, rows, HEADER, GAP, MIN_WIDTH, MARGIN, 3 * GAP))
        made.append(path)
    return made
