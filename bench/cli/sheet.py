"""`bench sheet`: a contact sheet of pictures."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.options import ConfigOption, OutOption, numbers


def sheet(
    out: OutOption = None,
    scenes: Annotated[int, typer.Option("--scenes", min=1, help="How many scenes, from the first.")] = 4,
    psnr: Annotated[str, typer.Option("--psnr", help="PSNRs of the rows, for example 100,10,1.")] = "100,10,1",
    config: ConfigOption = None,
) -> None:
    """Put scenes, their label maps, the received maps and every method's pictures on one sheet, as PNG in plots/.

    Example: bench sheet --scenes 3 --psnr 100,10,1
    """
    from bench.config import load_config
    from bench.lastrun import results_folder
    from bench.results import read_results

    folder = results_folder(out)
    levels = numbers(psnr, "--psnr")
    settings = load_config(config)
    _, facts = read_results(folder)
    from bench.sheet import make_sheets

    for path in make_sheets(folder, facts, settings, scenes, levels):
        typer.echo(path)
