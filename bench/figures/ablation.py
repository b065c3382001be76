"""FDS and noisy training: pictures of each arm, and its numbers below them (the paper's Figure 5 and Table 5)."""

from __future__ import annotations

from dataclasses import replace

from bench.api.errors import UsageError
from bench.figures.grid import Panel, PanelRow, draw_grid
from bench.figures.intervals import axis_label, measured_metrics, point
from bench.figures.style import Drawing
from bench.pictures.album import Album
from bench.results.request import PSNR, Part, Request, chosen_psnrs, parts, select
from bench.results.scores import Measured
from bench.run.ablations import ABLATIONS
from bench.tables.model import decimals_for
from bench.tables.named import read_ablation

SCENES = 2
METRICS = ("mIoU", "LPIPS")
FDS = ABLATIONS["fds"]


def draw(request: Request) -> list[Drawing]:
    """A column for each arm of the ablation that the results have, at PSNR 10 where none is chosen; on the scenes of
    `bench ablate fds` where that was run. UsageError for fewer than two arms."""
    request = _with_arms(request)
    made = []
    for part in parts(request):
        arms = [arm for arm in FDS.arms if arm.method in part.methods]
        if len(arms) < 2:
            continue
        album = Album(request, part, SCENES)
        psnrs = chosen_psnrs(request, part, (PSNR,))
        album.gather((arm.method, psnr) for arm in arms for psnr in psnrs)
        made += [_figure(album, psnr) for psnr in psnrs]
    if not made:
        raise UsageError(
            f"the results in {request.folder} hold fewer than two arms of the ablation (FDS x noisy training); "
            f"`bench ablate fds --out {request.folder}` computes them"
        )
    return made


def _with_arms(request: Request) -> Request:
    if request.methods:
        return request
    frame, facts = read_ablation(request.folder, FDS.name, request.psnrs[0] if request.psnrs else PSNR)
    return select(replace(request, frame=frame, facts=facts))


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


def _figure(album: Album, psnr: float) -> Drawing:
    part = album.part
    arms = [arm for arm in FDS.arms if arm.method in part.methods]
    found = measured_metrics(album.request, part, METRICS)
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
