"""`bench plot`: the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.api.errors import BenchError, UsageError
from bench.cli.options import ConfigOption, OutOption, names, numbers
from bench.figures import FIGURES, FORMATS, check_formats, draw_figure, find_figures, save

WHAT = f"{'; '.join(f'{kind.name} ({kind.about})' for kind in FIGURES.values())}; or all."


def plot(
    figures: Annotated[list[str] | None, typer.Argument(help=WHAT)] = None,
    metrics: Annotated[str | None, typer.Option(help="Metrics, comma-separated, of the figures of numbers.")] = None,
    methods: Annotated[str | None, typer.Option(help="Methods of the results, comma-separated.")] = None,
    psnr: Annotated[str | None, typer.Option(help="PSNRs in dB, comma-separated.")] = None,
    scenes: Annotated[str | None, typer.Option(help="Scenes of the figures of pictures: how many, or ids.")] = None,
    style: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}, comma-separated.")] = "png,svg",
    out: OutOption = None,
    to: Annotated[Path | None, typer.Option(help="Folder for the figures; without it plots/ in the run's.")] = None,
    config: ConfigOption = None,
) -> None:
    """Draw figures of a run; without a name: psnr.

    Figures of numbers need the run's results only. Figures of pictures take them from the run's cache; what it lacks is
    computed for their few scenes and kept beside the figures.

    Example: bench plot psnr --methods gesco,smis --format pdf
    """
    from bench.api.files import check_folder
    from bench.config import load_config
    from bench.results.folder import results_folder
    from bench.results.request import read_request

    kinds, formats = find_figures(figures or ["psnr"]), check_formats(names(style))
    settings = load_config(config)
    folder = results_folder(out, settings)
    where = check_folder(to or folder / "plots", "--to")
    request = read_request(
        folder,
        where,
        methods=names(methods or ""),
        metrics=names(metrics or ""),
        psnrs=numbers(psnr or "", "--psnr"),
        scenes=_scenes(scenes),
        config=settings,
        say=lambda line: typer.echo(line, err=True),
    )
    left_out = []
    for kind in kinds:
        try:
            for path in save(draw_figure(kind.name, request), where, formats):
                typer.echo(path)
        except BenchError as error:
            if len(kinds) == 1:
                raise
            left_out.append((kind.name, error))
    for name, problem in left_out:
        typer.echo(f"left out: {name}: {' '.join(str(problem).split())}", err=True)
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
