"""`bench ablate`: what each part of the system is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.api.errors import BenchError
from bench.cli.options import ConfigOption, configured, integers
from bench.run.ablations import ABLATIONS, find_ablation, plan_ablation

WHAT = f"The question: {', '.join(ABLATIONS)}; fds is the paper's Table 5."


def ablate(
    what: Annotated[str, typer.Argument(help=WHAT)],
    psnr: Annotated[float, typer.Option(help="PSNR in dB of the channel; the paper's Table 5 is at 10.")] = 10.0,
    dataset: Annotated[str | None, typer.Option(help="The data set; without it those of bench.toml.")] = None,
    scenes: Annotated[int | None, typer.Option(help="Scenes a cell.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, comma-separated.")] = None,
    weights_dir: Annotated[
        Path | None, typer.Option("--weights-dir", help="Weights of your own, for the methods that it has some of.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of a run: its cache is used, and added to.")] = None,
    style: Annotated[str, typer.Option("--format", help="text, md, csv, latex or html.")] = "text",
    published: Annotated[bool, typer.Option("--published", help="The paper's values beside ours, and Δ.")] = False,
    config: ConfigOption = None,
) -> None:
    """Compute an ablation and print its table. Cells that `bench run` has in the same folder are not computed again.

    Example: bench ablate fds --psnr 10 --scenes 32 --published
    """
    from rich.console import Console

    from bench.api.files import check_folder
    from bench.results.compute import compute
    from bench.results.files import earlier_results
    from bench.results.folder import remember
    from bench.results.merge import view
    from bench.run.progress import RunProgress
    from bench.tables import check_format, render
    from bench.tables.named import ablation_tables

    ablation = find_ablation(what)
    check_format(style)
    settings = configured(
        config,
        {
            "psnr": (psnr,),
            "datasets": None if dataset is None else (dataset,),
            "scenes": scenes,
            "seeds": None if seeds is None else integers(seeds, "--seeds"),
            "weights_dir": weights_dir,
            "out": out,
        },
    )
    folder = check_folder(settings.run.out, "--out")
    earlier_results(folder)  # results that cannot be added to are told of before anything is computed
    plan = plan_ablation(ablation, settings)
    progress = RunProgress(Console(stderr=True))
    try:
        computed = compute(plan, settings, progress, ablation.name)
    except KeyboardInterrupt:
        raise BenchError("interrupted; finished cells are kept, the same command goes on from there") from None
    remember(folder)
    report = computed.report
    for line in (*plan.left_out, *(f"{name}: {reason}" for name, reason in report.skipped.items())):
        typer.echo(f"left out: {line}", err=True)
    for note in (*computed.changed, *report.notes):
        typer.echo(f"note: {note}", err=True)
    typer.echo(
        render(ablation_tables(view(computed.results, ablation.name)[0], ablation, psnr), style, published), nl=False
    )
    typer.echo(f"results: {folder}; `bench table {ablation.name} --out {folder}` prints them again", err=True)
    if report.failures:
        for failed, message, _ in report.failures:
            typer.echo(f"failed: {failed}: {' '.join(message.split())}", err=True)
        raise BenchError(
            f"{len(report.failures)} failure(s); everything else is done and kept. Tracebacks: {computed.log}"
        )
