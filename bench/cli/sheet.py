"""`bench sheet`: a contact sheet of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import ConfigOption, OutOption, numbers


def sheet(
    out: OutOption = None,
    scenes: Annotated[int, typer.Option("--scenes", min=1, help="How many scenes, from the first.")] = 4,
    psnr: Annotated[str, typer.Option("--psnr", help="PSNRs of the rows, for example 100,10,1.")] = "100,10,1",
    to: Annotated[Path | None, typer.Option(help="Folder for the sheets; without it plots/ in the run's.")] = None,
    config: ConfigOption = None,
) -> None:
    """Put scenes, their label maps, the received maps and every method's pictures on one sheet, as PNG in plots/.

    Example: bench sheet --scenes 3 --psnr 100,10,1
    """
    from bench.api.files import check_folder
    from bench.config import load_config
    from bench.results.folder import results_folder
    from bench.results.request import read_request

    levels = numbers(psnr, "--psnr")
    settings = load_config(config)
    folder = results_folder(out, settings)
    where = check_folder(to or folder / "plots", "--to")
    request = read_request(folder, where, config=settings)
    from bench.pictures.sheet import make_sheets

    for path in make_sheets(request, scenes, levels):
        typer.echo(path)
