"""`bench table`: one metric, methods against PSNR."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.options import OutOption


def table(
    metric: Annotated[str, typer.Argument(help="mIoU, LPIPS, FID, KID, bits, channel_uses, seconds, ...")],
    out: OutOption = None,
    style: Annotated[str, typer.Option("--format", help="text, md, csv or latex.")] = "text",
) -> None:
    """Print one metric of a run as a table: methods against PSNR, with the best marked.

    Example: bench table mIoU --format md
    """
    from bench.lastrun import results_folder
    from bench.results import read_results
    from bench.tables import render

    frame, _ = read_results(results_folder(out))
    typer.echo(render(frame, metric, style), nl=False)
