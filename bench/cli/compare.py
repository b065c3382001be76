"""`bench compare`: the difference of two methods, with its interval."""

from typing import Annotated

import typer

from bench.cli.options import (
    FormatOption,
    OutOption,
    ProtocolOption,
    ToOption,
    names,
    numbers,
    print_sheets,
    write_sheets,
)


def compare(
    first: Annotated[str, typer.Argument(help="A method of the results, as its spec.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    metrics: Annotated[str | None, typer.Option(help="Metrics, comma-separated; without it the main scores.")] = None,
    psnr: Annotated[str | None, typer.Option(help="PSNRs in dB, comma-separated; without it all.")] = None,
    out: OutOption = None,
    style: FormatOption = "text",
    protocol: ProtocolOption = False,
    to: ToOption = None,
) -> None:
    """Print the difference of two methods of a run, paired by scene, with its 95 % interval and p.

    Example: bench compare gesco oasis+fds --metrics mIoU,LPIPS --psnr 10
    """
    from bench.config import load_config
    from bench.results.folder import results_folder
    from bench.tables import check_format, read_comparison

    style = check_format(style)
    folder = results_folder(out, load_config())
    found = read_comparison(folder, first, second, names(metrics or ""), numbers(psnr or "", "--psnr"))
    if to is None:
        print_sheets(found, style, protocol=protocol)
    else:
        write_sheets(found, style, to, folder)
