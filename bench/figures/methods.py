"""Pictures of the methods: side by side at one PSNR with detections and depth, and one scene over all PSNRs."""

from __future__ import annotations

import numpy as np

from bench.api.scenes import LabelSpace
from bench.figures.grid import Box, Panel, PanelRow, draw_grid
from bench.figures.style import Drawing, palette
from bench.pictures.album import Album, main_methods
from bench.pictures.evaluators import Evaluators, load_evaluators, paint_nearness
from bench.results.request import PSNR, Request, chosen_psnrs, parts

ORIGINAL = "original"
#: By label id: the label colours of some things are too much alike. On Cityscapes these all differ, and the commonest
#: things have the strongest.
BOX_COLOURS = tuple(palette()[k] for k in (8, 5, 6, 7, 3, 1, 0, 2, 4, 9))


def draw_comparison(request: Request) -> list[Drawing]:
    """The paper's Figures 1 and 4: one figure for each part of the results and each PSNR (10 where none is chosen), a
    row of pictures and a row of depth maps for each scene. Without a detector no boxes are drawn, without a depth
    network no depth row; the notes say so and why."""
    made = []
    for part in parts(request):
        album = Album(request, part, 2)
        specs = part.methods if request.methods else main_methods(part)
        psnrs = chosen_psnrs(request, part, (PSNR,))
        album.gather((spec, psnr) for psnr in psnrs for spec in specs)
        made += [_comparison(album, specs, psnr) for psnr in psnrs]
    return made


def _comparison(album: Album, specs: list[str], psnr: float) -> Drawing:
    seen = load_evaluators(album.dataset, album.request.config)
    notes = [album.request.provenance(album.part.rows), *album.about_pictures()]
    if seen.detector is None:
        notes.append(f"Without detections: there is no detector for {album.dataset} here.")
    else:
        notes.append(f"Boxes: {seen.detector.protocol}, score {seen.threshold:g} or more.")
    if seen.depth is None:
        notes.append(f"Without depth: there is no depth network for {album.dataset} here.")
    else:
        notes.append(f"Depth: {seen.depth.protocol}; bright is near, each map over its own range.")
    for what, reason in seen.missing.items():
        album.request.say(f"without {what}: {reason}")
    rows = []
    for scene in album.ids:
        pictures = [album[scene].image, *(album.picture(spec, psnr, scene) for spec in specs)]
        boxes = [()] * len(pictures) if seen.detector is None else _boxes(album, seen, pictures)
        panels = tuple(Panel(picture, boxes=found) for picture, found in zip(pictures, boxes, strict=True))
        label = "picture" if seen.detector is None else "detections"
        rows.append(PanelRow(label, panels, starts_block=True))
        if seen.depth is not None:
            near = seen.nearness(pictures)
            rows.append(PanelRow("depth", tuple(Panel(paint_nearness(one)) for one in near)))
    title = f"Pictures regenerated at PSNR {psnr:g} dB, {album.dataset}"
    figure = draw_grid(title, [ORIGINAL, *specs], rows, notes)
    return Drawing(f"comparison-{album.part.key}@{psnr:g}", figure, tuple(notes))


def _boxes(album: Album, seen: Evaluators, pictures: list[np.ndarray]) -> list[tuple[Box, ...]]:
    """The objects that count in pictures, the surest on top; each class has a colour."""
    found = []
    for one in seen.detect(pictures):
        kept = sorted(
            (k for k in range(len(one.scores)) if one.scores[k] >= seen.threshold), key=lambda k: one.scores[k]
        )
        found.append(tuple(_box(album.space, one.boxes[k], int(one.labels[k])) for k in kept))
    return found


def _box(space: LabelSpace, corners: np.ndarray, label: int) -> Box:
    x0, y0, x1, y1 = (float(side) for side in corners)
    return Box((x0, y0, x1, y1), space.names[label], BOX_COLOURS[label % len(BOX_COLOURS)])


def draw_strip(request: Request) -> list[Drawing]:
    """The paper's Figures 3 and 9: one figure for each part of the results and each scene."""
    made = []
    for part in parts(request):
        album = Album(request, part, 1)
        specs = part.methods if request.methods else main_methods(part)
        psnrs = chosen_psnrs(request, part, part.psnrs)
        album.gather((spec, psnr) for spec in specs for psnr in psnrs)
        made += [_strip(album, specs, psnrs, scene) for scene in album.ids]
    return made


def _strip(album: Album, specs: list[str], psnrs: list[float], scene: str) -> Drawing:
    sender = album.map_sender()
    truth = [Panel(album[scene].image), Panel(album.labels(scene))]
    notes = [album.request.provenance(album.part.rows), f"Scene {scene}; seed {album.seed} for channel and receiver.",
             *album.notes]  # fmt: skip
    rows: list[tuple[str, list[Panel | None]]] = []
    if sender is None:
        notes.append("No method of these results that sends maps can be built here: received maps are left out.")
    else:
        rows.append(("received map", [Panel(album.received_map(sender, psnr, scene)) for psnr in psnrs]))
        notes.append(f"Received map: as sent by {sender}; the strongest class at each pixel in its colour.")
    rows += [(spec, [Panel(album.picture(spec, psnr, scene)) for psnr in psnrs]) for spec in specs]
    # the truth stands on the left of the first rows; a figure of one row has no room for the labels
    firsts = [*truth, *[None] * len(rows)]
    made = [PanelRow(label, (first, *panels)) for first, (label, panels) in zip(firsts, rows, strict=False)]
    title = f"One scene over the channel's PSNR, {album.dataset}"
    figure = draw_grid(title, ["original, labels", *(f"{psnr:g} dB" for psnr in psnrs)], made, notes)
    return Drawing(f"strip-{album.part.key}-{scene}", figure, tuple(notes))
