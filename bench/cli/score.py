"""`bench score`: measure pictures that were made elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import ConfigOption, DeviceOption, configured, kept_on_interrupt, names, toml
from bench.cli.run import computed_and_told, print_summary, tell_failures


def score(
    generated: Annotated[Path, typer.Argument(help="Pictures named like the scenes: a folder, a cell's, or a zip.")],
    against: Annotated[
        str, typer.Option(help="A data set, a folder of your own (folder:PATH), or a folder of the original pictures.")
    ],
    labels: Annotated[
        Path | None, typer.Option(help="Label maps of the original pictures, where --against is a folder of these.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The row's name; without it the folder's.")] = None,
    psnr: Annotated[
        float, typer.Option(help="PSNR in dB that the pictures were made at; 100 is hardly any noise.")
    ] = 100.0,
    root: Annotated[Path | None, typer.Option(help="Data root of the data set.")] = None,
    split: Annotated[str | None, typer.Option(help="train, val, test, or auto.", show_default=toml("auto"))] = None,
    scenes: Annotated[int | None, typer.Option(min=1, help="The first N scenes; without it all of the split.")] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Metrics, comma-separated, or all that apply.", show_default=toml("all"))
    ] = None,
    channel: Annotated[
        str | None, typer.Option(metavar="KIND[:option=value...]", help="The channel.", show_default=toml("awgn"))
    ] = None,
    device: DeviceOption = None,
    jobs: Annotated[int, typer.Option(min=0, help="Workers; 0 is one a GPU or one a CPU core.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of results; the row is added to what is there.", show_default=toml("results/local")),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Measure pictures that were made elsewhere against scenes, and add them to results as a row of their own.

    Example: bench score theirs/psnr10 --against cityscapes --root DIR --name theirs --psnr 10
    """
    from bench.session import plan_score

    settings = configured(
        config,
        {
            "metrics": None if metrics is None else names(metrics),
            "split": split, "device": device, "out": out, "jobs": jobs,
        },
        channel,
    )  # fmt: skip
    plan = plan_score(generated, against, settings, labels=labels, name=name, psnr=psnr, root=root, scenes=scenes)
    computed = computed_and_told(plan, settings)
    with kept_on_interrupt():
        print_summary(plan, computed, settings.run.out)
    tell_failures(computed)
