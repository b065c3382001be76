"""`bench plot`: metrics against PSNR."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.options import OutOption


def plot(
    metrics: Annotated[list[str] | None, typer.Argument(help="Metrics to draw; without any: mIoU, LPIPS, FID.")] = None,
    out: OutOption = None,
) -> None:
    """Draw metrics of a run against PSNR, as PNG and SVG in the run's folder plots/.

    Example: bench plot mIoU LPIPS
    """
    from bench.lastrun import results_folder
    from bench.plots import plot_results
    from bench.results import read_results

    folder = results_folder(out)
    frame, _ = read_results(folder)
    for path in plot_results(frame, folder, metrics or ()):
        typer.echo(path)
