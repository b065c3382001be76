"""`bench plot` and `bench sheet`: the figures, and a contact sheet of pictures."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.api.errors import BenchError, UsageError
from bench.api.terminal import say
from bench.cli.options import ConfigOption, DeviceOption, JobsOption, OutOption, chosen_results, names, numbers
from bench.figures import FIGURES, FORMATS, check_formats, draw_figure, find_figures, needed, save

WHAT = f"{'; '.join(f'{kind.name} ({kind.about})' for kind in FIGURES.values())}; or all."
ToOption = Annotated[Path | None, typer.Option(help="Folder to write to; without it plots/ in the run's.")]


def plot(
    figures: Annotated[list[str] | None, typer.Argument(help=WHAT)] = None,
    metrics: Annotated[str | None, typer.Option(help="Metrics, comma-separated, of the figures of numbers.")] = None,
    methods: Annotated[str | None, typer.Option(help="Methods of the results, comma-separated.")] = None,
    psnr: Annotated[str | None, typer.Option(help="PSNRs in dB, comma-separated.")] = None,
    scenes: Annotated[str | None, typer.Option(help="Scenes of the figures of pictures: how many, or ids.")] = None,
    style: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}, comma-separated.")] = "png,svg",
    out: OutOption = None,
    to: ToOption = None,
    device: DeviceOption = None,
    jobs: JobsOption = None,
    config: ConfigOption = None,
) -> None:
    """Draw figures of a run; without a name: psnr.

    Figures of numbers need the run's results only. Figures of pictures take them from the run's cache; what it lacks is
    computed for their few scenes and kept beside the figures.

    Example: bench plot psnr --methods gesco,smis --format pdf
    """
    kinds, formats = find_figures(figures or ["psnr"]), check_formats(names(style))
    request = chosen_results(
        out, to, config, jobs=jobs, device=device, methods=names(methods or ""), metrics=names(metrics or ""),
        psnrs=numbers(psnr or "", "--psnr"), scenes=_scenes(scenes), say=lambda line: say(line, err=True),
        scores=partial(needed, names(metrics or "")),
    )  # fmt: skip
    left_out = []
    for kind in kinds:
        try:
            for path in save(draw_figure(kind.name, request), request.to, formats):
                say(path)
        except BenchError as error:
            if len(kinds) == 1:
                raise
            left_out.append((kind.name, error))
    for name, problem in left_out:
        say(f"left out: {name}: {' '.join(str(problem).split())}", err=True)
    if len(left_out) == len(kinds):
        raise left_out[0][1]


def _scenes(text: str | None) -> int | tuple[str, ...] | None:
    if text is None:
        return None
    if not text.isdecimal():
        return names(text)
    if int(text) < 1:
        raise UsageError(f"--scenes {text}: at least one scene is drawn")
    return int(text)


def sheet(
    out: OutOption = None,
    scenes: Annotated[str, typer.Option(help="How many scenes, from the first, or their ids.")] = "4",
    psnr: Annotated[str, typer.Option("--psnr", help="PSNRs of the rows, for example 100,10,1.")] = "100,10,1",
    methods: Annotated[str | None, typer.Option(help="Methods of the results, comma-separated.")] = None,
    originals: Annotated[
        bool, typer.Option("--originals/--labels-only", help="Labels only: of scenes that may not be shown.")
    ] = True,
    to: ToOption = None,
    config: ConfigOption = None,
) -> None:
    """Put scenes, their label maps, the received maps and every method's pictures on one sheet, as PNG in plots/.

    Example: bench sheet --scenes 3 --psnr 100,10,1
    """
    from bench.pictures.sheet import make_sheets

    levels = numbers(psnr, "--psnr")
    request = chosen_results(out, to, config, methods=names(methods or ""), scenes=_scenes(scenes))
    for path in make_sheets(request, levels, originals):
        say(path)
