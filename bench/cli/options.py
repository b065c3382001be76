"""Options that several commands share, reading comma-separated lists, and the configuration they change."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bench.api.errors import BenchError, UsageError
from bench.api.terminal import say

if TYPE_CHECKING:
    from bench.config import Config
    from bench.results.request import Request
    from bench.tables.model import Sheet


def toml(value: object) -> str:
    """What `--help` shows as the default of an option that bench.toml may set; where it does not, it is `value`."""
    return f"bench.toml, else {value}"


Number = TypeVar("Number", int, float)
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder of results; without it that of bench.toml, the last run's, results/."),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A bench.toml; without it ./bench.toml, else the defaults.")
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", help="Workers; 0 is one a GPU or one a CPU core.", show_default=toml(0))
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", help="auto (all GPUs, else CPU), cpu, cuda, cuda:N.", show_default=toml("auto")),
]
FormatOption = Annotated[str, typer.Option("--format", help="text, md, csv, latex or html.")]
FullOption = Annotated[bool, typer.Option("--full", help="Of text: standard errors (±) and ranks too.")]
ProtocolOption = Annotated[bool, typer.Option("--protocol", help="Of text: the whole caption, every protocol in full.")]

ToOption = Annotated[
    Path | None, typer.Option("--to", help="File to write instead; beside a csv its captions, as .json.")
]


def print_sheets(
    sheets: Sequence[Sheet], style: str = "text", full: bool = False, protocol: bool = False, hint: bool = False
) -> None:
    """Print tables, as text in the columns of the terminal (else COLUMNS, else 80); colours unless NO_COLOR is set.

    `hint` names the options for what is left out, to people at a terminal.
    """
    from rich.console import Console

    from bench.tables import Layout, in_columns, render_sheets

    if style != "text":
        typer.echo(render_sheets(sheets, style), nl=False)
        return
    console = Console(highlight=False)
    console.print(in_columns(sheets, Layout(console.width, full, protocol)), end="", soft_wrap=True)
    more = [*([] if full else ["--full: ± and ranks"]), *([] if protocol else ["--protocol: whole captions"])]
    if hint and more and console.is_terminal:
        console.print("; ".join(more), style="dim")


def write_sheets(sheets: Sequence[Sheet], style: str, to: Path, folder: Path) -> None:
    """Write the tables of a folder of results to a file, beside a csv what they are; the files are named."""
    from bench.api.files import check_file, write_atomically
    from bench.api.provenance import command_line
    from bench.tables import csv_facts, render_sheets

    check_file(to, "--to")
    write_atomically(to, render_sheets(sheets, style).encode())
    say(to)
    if style == "csv":
        facts = {"results": str(folder), "command": command_line(), **csv_facts(sheets)}
        write_atomically(to.with_suffix(".json"), (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode())
        say(to.with_suffix(".json"))


def print_page(page: str) -> None:
    """Print a page of Markdown: at a terminal with its tables in columns and its lines folded, elsewhere as it is."""
    from bench.tables.model import Printed, Sheet

    if not sys.stdout.isatty():
        typer.echo(page)
        return
    for block in page.strip().split("\n\n"):
        if not block.startswith("| "):
            say(f"{block}\n")
            continue
        heads, kinds, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in block.splitlines())
        labels = len(kinds) - kinds[::-1].index("---")  # of what is no number
        cells = tuple(tuple(Printed(cell) for cell in row) for row in rows)
        print_sheets([Sheet(labels, tuple(heads), cells, (), None, (), ())])


def names(text: str) -> tuple[str, ...]:
    """`a, b` -> ("a", "b")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers(text: str, what: str) -> tuple[float, ...]:
    """`15,10` -> (15.0, 10.0); UsageError names what is no number."""
    return tuple(_each(text, what, float, "number; write for example {} 15,10"))


def integers(text: str, what: str) -> tuple[int, ...]:
    """`0,1` -> (0, 1); UsageError names what is no whole number."""
    return tuple(_each(text, what, int, "whole number; write for example {} 0,1"))


def _each(text: str, what: str, kind: Callable[[str], Number], no: str) -> Iterator[Number]:
    for part in names(text):
        try:
            yield kind(part)
        except ValueError:
            raise UsageError(f"{what} '{part}' is not a {no.format(what)}") from None


@contextmanager
def kept_on_interrupt(error: type[BenchError] = BenchError) -> Iterator[None]:
    """An interrupt within is an error that says what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        raise error("interrupted; finished cells are kept, the same command goes on from there") from None


def chosen_results(
    out: Path | None,
    to: Path | None,
    config: Path | None,
    option: str = "--to",
    jobs: int | None = None,
    device: str | None = None,
    **choices: Any,
) -> Request:
    """The results that --out or the configuration names; what is drawn of them goes to `to`, else to plots/ there.

    `jobs` and `device` are for what has to be computed for that.
    """
    from bench.api.files import check_folder
    from bench.results.folder import results_folder
    from bench.results.request import read_request

    settings = configured(config, {"jobs": jobs, "device": device})
    folder = results_folder(out, settings)
    return read_request(folder, check_folder(to or folder / "plots", option), config=settings, **choices)


def configured(
    path: Path | None, run: Mapping[str, Any], channel: str | None = None, options: Mapping[str, Any] | None = None
) -> Config:
    """The configuration with the command line's values over the file's (bench.config.changed)."""
    from bench.config import changed, load_config

    return changed(load_config(path), run, channel, options)
