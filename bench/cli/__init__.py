"""The command `bench`: thin files of one or two commands, heavy imports inside the commands, errors as one line."""

import logging
import os
import shutil
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.api.errors import BenchError, DataError, MethodError, MetricError, path_message, storage_message
from bench.api.terminal import safe_output, say
from bench.cli.compare import compare
from bench.cli.data import app as data_app
from bench.cli.doctor import doctor
from bench.cli.leaderboard import app as leaderboard_app
from bench.cli.list import list_names
from bench.cli.merge import merge
from bench.cli.plot import plot, sheet
from bench.cli.regress import regress
from bench.cli.run import ablate, run
from bench.cli.score import score
from bench.cli.speed import app as speed_app
from bench.cli.table import table
from bench.cli.train import train
from bench.cli.weights import app as weights_app

#: Set to anything, it shows the traceback of an error that is nobody's message.
TRACEBACK = "GESCO_BENCH_TRACEBACK"
#: Columns of help at most, and those from which on what a name means stands beside it.
WIDEST, NARROW = 80, 60
#: The packages beside `bench`. Their names are so common that a user's own files may have them.
BESIDE = ("methods", "metrics")

app = typer.Typer(
    help="Generative semantic communication, measured: methods x data sets x channels.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (run, score, table, compare, ablate, plot, sheet, merge, regress, train, doctor):
    app.command()(command)
app.command("list")(list_names)
app.add_typer(data_app, name="data")
app.add_typer(leaderboard_app, name="leaderboard")
app.add_typer(speed_app, name="speed")
app.add_typer(weights_app, name="weights")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gesco-bench {version('gesco-bench')}")
        raise typer.Exit


@app.callback()
def _anything(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which it is.")
    ] = False,
) -> None:
    """Take the options of the command itself."""


#: Of the click that Typer brings, or needs.
_Context: Any = typer.Context.__base__


class _Help(_Context.formatter_class):  # type: ignore[misc]
    """Help for terminals of any width: in narrow ones what a name means stands below it."""

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Names and what they mean."""
        super().write_dl(rows, col_max if self.width >= NARROW else 1, col_spacing)


class _Spoken(logging.Handler):
    """Log records as lines for people."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        say(self.format(record), err=True)


def check_packages() -> None:
    """BenchError, naming the file, where something else comes before one of this project's packages. Imports none."""
    here = Path(__file__).resolve().parents[2]
    for name in BESIDE:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise BenchError(f"this project's package `{name}` is not in {here}, where `bench` is: install it again")
        found = Path(spec.origin).resolve()
        if found.parents[1] != here or found.name != "__init__.py":
            raise BenchError(
                f"{spec.origin} hides this project's package `{name}`: rename it, or take its folder off Python's path "
                "(PYTHONPATH)"
            )


def _fail(message: str, code: int, details: Sequence[str] = ()) -> None:
    say("\n".join([f"error: {' '.join(message.split())}", *(f"  {line}" for line in details)]), err=True)
    sys.exit(code)


def _fault(error: Exception) -> str:
    """One line about an error that nobody foresaw: what, where, and how to see all of it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = str(error)
    short = text if len(text) <= 300 else f"{text[:300]}..."
    return (
        f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}: {short or 'no message'}. This is a "
        f"fault in gesco-bench or in a plug-in; {TRACEBACK}=1 shows where it comes from"
    )


def main() -> None:
    """Run the command line; errors for people become a line on stderr and exit code 2 (of the request) or 1.

    So does any other error, whose traceback the variable `TRACEBACK` brings back.
    """
    with safe_output():
        _main()


def _main() -> None:
    _Context.formatter_class = _Help
    handler = _Spoken()
    handler.setFormatter(logging.Formatter("warning: %(message)s"))
    logger = logging.getLogger("bench")
    logger.addHandler(handler)
    try:
        check_packages()
        app(prog_name="bench", terminal_width=min(shutil.get_terminal_size().columns, WIDEST))
    except BenchError as error:
        _fail(error.args[0], error.exit_code, error.details)
    except Exception as error:
        if isinstance(error, DataError | MethodError | MetricError):
            _fail(str(error), 1)
        if isinstance(error, OSError) and (wrong := path_message(error)) is not None:
            _fail(wrong, 2)
        message = storage_message(error) if isinstance(error, OSError) else None
        if message is None and TRACEBACK in os.environ:
            raise
        _fail(message or _fault(error), 1)
    finally:
        logger.removeHandler(handler)
