"""`bench table`: the paper's tables, measured, and the paper's values beside them."""

from typing import Annotated

import typer

from bench.cli.options import FormatOption, FullOption, OutOption, ProtocolOption, ToOption, print_sheets, write_sheets
from bench.run.ablations import ABLATIONS

_OTHERS = ", ".join(name for name in ABLATIONS if name != "fds")
WHAT = (
    "mIoU, LPIPS or FID (Tables 1, 2, 3), coco (4), ablation (5), objects, depth or bits (the text's claims), budget "
    f"(quality beside channel uses, bandwidth ratio and energy), another ablation ({_OTHERS}), or any metric of the "
    "results: KID, 'mIoU[judge]', channel_uses, seconds, ..."
)


def table(
    what: Annotated[str, typer.Argument(help=WHAT)],
    out: OutOption = None,
    style: FormatOption = "text",
    published: Annotated[bool, typer.Option("--published", help="The paper's values beside ours, and Δ.")] = False,
    psnr: Annotated[float, typer.Option(help="PSNR of the tables coco and of ablations.")] = 10.0,
    full: FullOption = False,
    protocol: ProtocolOption = False,
    to: ToOption = None,
) -> None:
    """Print a table of a run: methods against PSNR, or several metrics at one PSNR.

    A rank is 1 + the number of methods that are shown to be better (95 % for the whole table); the first are marked.

    Example: bench table mIoU --published
    """
    from bench.config import load_config
    from bench.results.folder import results_folder
    from bench.tables import as_sheets, check_format, read_for_table

    style = check_format(style)
    folder = results_folder(out, load_config())
    sheets = as_sheets(read_for_table(folder, what, psnr), published)
    if to is None:
        print_sheets(sheets, style, full, protocol, hint=True)
    else:
        write_sheets(sheets, style, to, folder)
