"""Received maps before and after the FDS block at each PSNR (the paper's Eq. 2 at work)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bench.api.errors import UsageError
from bench.api.scenes import LabelSpace
from bench.figures.grid import Panel, Row, draw_grid
from bench.figures.style import Drawing
from bench.pictures.album import Album
from bench.pictures.sheet import paint_labels, strongest_class
from bench.tables.request import Request, chosen_psnrs, parts
from methods.common.semantic.fds import fast_denoise

SCENES = 1


def draw(request: Request) -> list[Drawing]:
    """One figure for each part of the results and each scene; UsageError where no method has an FDS block."""
    made = []
    for part in parts(request):
        album = Album(request, part, SCENES)
        sender = album.map_sender(fds=True)
        if sender is None:
            raise UsageError(
                f"no method in {request.folder} that has an FDS block can be built here; "
                "a `bench run` with gesco or a method+fds among its --methods has one"
            )
        psnrs = chosen_psnrs(request, part, part.psnrs)
        made += [_figure(album, sender, psnrs, scene) for scene in album.ids]
    return made


def grey(values: Tensor) -> np.ndarray:
    """A map (H, W) as a grey picture, 0 black and 1 white, what is beyond cut: (H, W, 3) uint8."""
    return np.repeat((values.clamp(0, 1) * 255).round().byte().numpy()[..., None], 3, axis=2)


def shown_class(labels: np.ndarray, space: LabelSpace) -> int:
    """The class whose map is shown: the most common thing, else the most common class."""
    counts = np.bincount(labels.ravel(), minlength=space.size)
    things = [k for k in space.things if counts[k]]
    return max(things, key=lambda k: counts[k]) if things else int(counts.argmax())


def _figure(album: Album, sender: str, psnrs: list[float], scene: str) -> Drawing:
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
    rows = [Row(name, tuple(panels), starts_block=number == 2) for number, (name, panels) in enumerate(stages.items())]
    notes = (
        album.request.provenance(album.part.rows),
        f"Scene {scene}; seed {album.seed} for the channel. Maps as sent by {sender}, FDS pooling {pool}. Strongest "
        "class: the largest of the received maps at each pixel, with the share of pixels where it is the true one. The "
        "networks see the maps themselves, whose values are not clipped as they are here.",
    )
    title = f"Received maps before and after FDS, {album.dataset}"
    figure = draw_grid(title, ["", *(f"{psnr:g} dB" for psnr in psnrs)], rows, notes)
    return Drawing(f"fds-{album.part.key}-{scene}", figure, notes)
