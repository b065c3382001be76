"""One scene over all PSNRs, methods from top to bottom, with the received map above: the paper's Figures 3 and 9."""

from __future__ import annotations

from bench.figures.grid import Panel, Row, draw_grid
from bench.figures.style import Drawing
from bench.pictures.album import Album, main_methods
from bench.pictures.sheet import paint_labels, strongest_class
from bench.tables.request import Request, chosen_psnrs, parts

SCENES = 1


def draw(request: Request) -> list[Drawing]:
    """One figure for each part of the results and each scene."""
    made = []
    for part in parts(request):
        album = Album(request, part, SCENES)
        specs = list(request.methods) or main_methods(part)
        psnrs = chosen_psnrs(request, part, part.psnrs)
        album.gather((spec, psnr) for spec in specs for psnr in psnrs)
        made += [_figure(album, specs, psnrs, scene) for scene in album.ids]
    return made


def _figure(album: Album, specs: list[str], psnrs: list[float], scene: str) -> Drawing:
    sender = album.map_sender()
    arrays = album[scene]
    truth = [Panel(arrays.image), Panel(paint_labels(arrays.labels, album.space))]
    notes = [album.request.provenance(album.part.rows), f"Scene {scene}; seed {album.seed} for channel and receiver.",
             *album.notes]  # fmt: skip
    rows: list[tuple[str, list[Panel | None]]] = []
    if sender is None:
        notes.append("No method of these results that sends maps can be built here: received maps are left out.")
    else:
        painted = [
            paint_labels(strongest_class(*album.received(sender, psnr, scene), album.space), album.space)
            for psnr in psnrs
        ]
        rows.append(("received map", [Panel(image) if image is not None else None for image in painted]))
        notes.append(f"Received map: as sent by {sender}; the strongest class at each pixel in its colour.")
    rows += [(spec, [Panel(album.picture(spec, psnr, scene)) for psnr in psnrs]) for spec in specs]
    # the truth stands on the left of the first rows; a figure of one row has no room for the labels
    firsts = [*truth, *[None] * len(rows)]
    made = [Row(label, (first, *panels)) for first, (label, panels) in zip(firsts, rows, strict=False)]
    title = f"One scene over the channel's PSNR, {album.dataset}"
    figure = draw_grid(title, ["original, labels", *(f"{psnr:g} dB" for psnr in psnrs)], made, notes)
    return Drawing(f"strip-{album.part.key}-{scene}", figure, tuple(notes))
