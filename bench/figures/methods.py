"""Pictures of the methods: side by side with detections and depth, over all PSNRs, and of an ablation's arms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench.api.errors import UsageError
from bench.api.scenes import LabelSpace
from bench.figures.grid import Box, Panel, PanelRow, draw_grid
from bench.figures.intervals import axis_label, measured_metrics, point
from bench.figures.style import Drawing, palette
from bench.pictures.album import Album, main_methods
from bench.pictures.evaluators import Evaluators, load_evaluators, paint_nearness
from bench.results.request import PSNR, Part, Request, chosen_psnrs, parts, select
from bench.run.ablations import ABLATIONS
from bench.tables.model import decimals_for
from bench.tables.named import read_ablation

if TYPE_CHECKING:
    import numpy as np

    from bench.results.scores import Measured

ORIGINAL = "original"
ABLATION_METRICS = ("mIoU", "LPIPS")
FDS = ABLATIONS["fds"]
#: By label id: the label colours of some things are too much alike. On Cityscapes these all differ, and the commonest
#: things have the strongest.
BOX_COLOURS = tuple(palette()[k] for k in (8, 5, 6, 7, 3, 1, 0, 2, 4, 9))


def draw_comparison(request: Request) -> list[Drawing]:
    """The paper's Figures 1 and 4: one figure for each part of the results and each PSNR (10 where none is chosen).

    A row of pictures and one of depth maps for each scene. Without a detector no boxes are drawn, without a depth
    network no depth row; the notes say so and why.
    """
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


def draw_ablation(request: Request) -> list[Drawing]:
    """The paper's Figure 5 and Table 5: a column for each arm there is, at PSNR 10 where none is chosen.

    On the scenes of `bench ablate fds` where that was run. UsageError for fewer than two arms.
    """
    if not request.methods:
        frame, facts = read_ablation(request.folder, FDS.name, request.psnrs[0] if request.psnrs else PSNR)
        request = select(replace(request, frame=frame, facts=facts))
    made = []
    for part in parts(request):
        arms = [arm for arm in FDS.arms if arm.method in part.methods]
        if len(arms) < 2:
            continue
        album = Album(request, part, 2)
        psnrs = chosen_psnrs(request, part, (PSNR,))
        album.gather((arm.method, psnr) for arm in arms for psnr in psnrs)
        made += [_ablation(album, psnr) for psnr in psnrs]
    if not made:
        raise UsageError(
            f"the results in {request.folder} hold fewer than two arms of the ablation (FDS x noisy training); "
            f"`bench ablate fds --out {request.folder}` computes them"
        )
    return made


def _number(part: Part, data: Measured, method: str, psnr: float) -> str:
    """`mIoU 0.709 [0.697, 0.720]`."""
    here = point(data, (part.channel, method, psnr))
    if here is None:
        return f"{data.metric} -"
    if here.noise:
        return f"{data.metric} noise"
    decimals = decimals_for([here.value])
    bounds = f" [{', '.join(f'{end:.{decimals}f}' for end in here.interval)}]" if here.interval else ""
    return f"{data.metric} {here.value:.{decimals}f}{bounds}"


def _ablation(album: Album, psnr: float) -> Drawing:
    part = album.part
    arms = [arm for arm in FDS.arms if arm.method in part.methods]
    found = measured_metrics(album.request, part, ABLATION_METRICS)
    rows = []
    for scene in album.ids:
        truth = [Panel(album[scene].image), Panel(album.labels(scene))]
        pictures = [Panel(album.picture(arm.method, psnr, scene)) for arm in arms]
        rows.append(PanelRow("", (*truth, *pictures)))
    numbers = [tuple(_number(part, data, arm.method, psnr) for data in found) for arm in arms]
    last = rows[-1]
    below = [replace(p, caption=n) if p else None for p, n in zip(last.panels[2:], numbers, strict=True)]
    rows[-1] = replace(last, panels=(*last.panels[:2], *below))
    headings = ["original", "labels"]
    headings += [f"{arm.method}\nFDS {arm.labels[0]}\nnoisy training {arm.labels[1]}" for arm in arms]
    lacking = [arm.method for arm in FDS.arms if arm.method not in part.methods]
    count = part.first("scenes")
    notes = (
        album.request.provenance(part.rows),
        *album.about_pictures(),
        f"Numbers are over all {count} scenes, with 95% intervals over scenes: "
        f"{', '.join(axis_label(data) for data in found)}.",
        *([f"Not in these results: {', '.join(lacking)} (`bench ablate fds`)."] if lacking else []),
        f"Protocols: {'; '.join(f'{d.metric}: {d.protocol}' for d in found)}.",
    )
    figure = draw_grid(f"FDS and noisy training at PSNR {psnr:g} dB, {album.dataset}", headings, rows, notes)
    return Drawing(f"ablation-{part.key}@{psnr:g}", figure, notes)
