"""The methods side by side at one PSNR, with detections drawn and depth below: the paper's Figures 1 and 4."""

from __future__ import annotations

from bench.figures.evaluators import find_boxes, load_depth, load_detector, nearness, paint_nearness
from bench.figures.grid import Panel, Row, draw_grid
from bench.figures.style import Drawing
from bench.pictures.album import Album, main_methods
from bench.tables.request import PSNR, Request, chosen_psnrs, parts

SCENES = 2
ORIGINAL = "original"


def draw(request: Request) -> list[Drawing]:
    """One figure for each part of the results and each PSNR (10 where none is chosen): a row of pictures and a row of
    depth maps for each scene. Without a detector no boxes are drawn, without a depth network no depth row; the notes
    say so and why."""
    made = []
    for part in parts(request):
        album = Album(request, part, SCENES)
        specs = list(request.methods) or main_methods(part)
        psnrs = chosen_psnrs(request, part, (PSNR,))
        album.gather((spec, psnr) for psnr in psnrs for spec in specs)
        made += [_figure(album, specs, psnr) for psnr in psnrs]
    return made


def _figure(album: Album, specs: list[str], psnr: float) -> Drawing:
    detector, estimator = load_detector(album), load_depth(album)
    notes = [album.request.provenance(album.part.rows), *album.about_pictures()]
    if isinstance(detector, str):
        notes.append(f"Without detections: there is no detector for {album.dataset} here.")
        album.request.say(f"without detections: {detector}")
    else:
        notes.append(f"Boxes: {detector[0].protocol}, score {detector[1]:g} or more.")
    if isinstance(estimator, str):
        notes.append(f"Without depth: there is no depth network for {album.dataset} here.")
        album.request.say(f"without depth: {estimator}")
    else:
        notes.append(f"Depth: {estimator.protocol}; bright is near, each map over its own range.")
    rows = []
    for scene in album.ids:
        pictures = [album[scene].image, *(album.picture(spec, psnr, scene) for spec in specs)]
        boxes = [()] * len(pictures) if isinstance(detector, str) else find_boxes(album, *detector, pictures)
        panels = tuple(Panel(picture, boxes=found) for picture, found in zip(pictures, boxes, strict=True))
        label = "picture" if isinstance(detector, str) else "detections"
        rows.append(Row(label, panels, starts_block=True))
        if not isinstance(estimator, str):
            near = nearness(estimator, pictures)
            rows.append(Row("depth", tuple(Panel(paint_nearness(one)) for one in near)))
    title = f"Pictures regenerated at PSNR {psnr:g} dB, {album.dataset}"
    figure = draw_grid(title, [ORIGINAL, *specs], rows, notes)
    return Drawing(f"comparison-{album.part.key}@{psnr:g}", figure, tuple(notes))
