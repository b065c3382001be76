"""Pictures of the methods: side by side at one PSNR with detections and depth, and one scene over all PSNRs."""

from __future__ import annotations

from bench.figures.evaluators import find_boxes, load_depth, load_detector, nearness, paint_nearness
from bench.figures.grid import Panel, PanelRow, draw_grid
from bench.figures.style import Drawing
from bench.pictures.album import Album, main_methods
from bench.pictures.sheet import paint_labels, strongest_class
from bench.results.request import PSNR, Request, chosen_psnrs, parts

ORIGINAL = "original"


def draw_comparison(request: Request) -> list[Drawing]:
    """The paper's Figures 1 and 4: one figure for each part of the results and each PSNR (10 where none is chosen), a
    row of pictures and a row of depth maps for each scene. Without a detector no boxes are drawn, without a depth
    network no depth row; the notes say so and why."""
    made = []
    for part in parts(request):
        album = Album(request, part, 2)
        specs = list(request.methods) or main_methods(part)
        psnrs = chosen_psnrs(request, part, (PSNR,))
        album.gather((spec, psnr) for psnr in psnrs for spec in specs)
        made += [_comparison(album, specs, psnr) for psnr in psnrs]
    return made


def _comparison(album: Album, specs: list[str], psnr: float) -> Drawing:
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
        rows.append(PanelRow(label, panels, starts_block=True))
        if not isinstance(estimator, str):
            near = nearness(estimator, pictures)
            rows.append(PanelRow("depth", tuple(Panel(paint_nearness(one)) for one in near)))
    title = f"Pictures regenerated at PSNR {psnr:g} dB, {album.dataset}"
    figure = draw_grid(title, [ORIGINAL, *specs], rows, notes)
    return Drawing(f"comparison-{album.part.key}@{psnr:g}", figure, tuple(notes))


def draw_strip(request: Request) -> list[Drawing]:
    """The paper's Figures 3 and 9: one figure for each part of the results and each scene."""
    made = []
    for part in parts(request):
        album = Album(request, part, 1)
        specs = list(request.methods) or main_methods(part)
        psnrs = chosen_psnrs(request, part, part.psnrs)
        album.gather((spec, psnr) for spec in specs for psnr in psnrs)
        made += [_strip(album, specs, psnrs, scene) for scene in album.ids]
    return made


def _strip(album: Album, specs: list[str], psnrs: list[float], scene: str) -> Drawing:
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
    made = [PanelRow(label, (first, *panels)) for first, (label, panels) in zip(firsts, rows, strict=False)]
    title = f"One scene over the channel's PSNR, {album.dataset}"
    figure = draw_grid(title, ["original, labels", *(f"{psnr:g} dB" for psnr in psnrs)], made, notes)
    return Drawing(f"strip-{album.part.key}-{scene}", figure, tuple(notes))
