"""What people type: lists, defaults in help, a run without options, and lines that fit the terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import Answer

from bench.api.terminal import _folded
from bench.cli import app
from bench.config import RunSection

Cli = Callable[..., Answer]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


BENCH = "from bench.cli import main; main()"
#: Each argument is a command.
EACH = """import sys
from bench.cli import main
for command in sys.argv[1:]:
    sys.argv = ["bench", *command.split()]
    try:
        main()
    except SystemExit:
        pass
"""
COMMANDS = dict(commands(typer.main.get_command(app)))


def too_wide(text: str, columns: int) -> list[str]:
    """Lines that are wider, but for those of a single word."""
    return [line for line in text.splitlines() if len(line) > columns and len(line.split()) > 1]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_fits(cli: Cli, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]) -> None:
    for columns in (80, 40):
        monkeypatch.setenv("COLUMNS", str(columns))
        answer = cli(*path, "--help")
        assert answer.code == 0
        assert [line for line in too_wide(answer.out, columns) if not line.startswith("  --")] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_says_what_holds_without_an_option(path: tuple[str, ...]) -> None:
    silent = ("--root", "--config", "--weights-dir", "--labels", "--title", "--paper", "--code", "--cluster", "--split")
    for option in COMMANDS[path].params:
        if option.param_type_name != "option" or option.required or option.is_flag or option.opts[0] in silent:
            continue
        told = option.show_default or "without" in option.help or "else" in option.help or option.multiple
        assert option.default is not None or told, f"{' '.join(path)} {option.opts[0]}"


def test_the_defaults_that_help_shows_are_those_of_a_run() -> None:
    section, told = RunSection().model_dump(), {}
    for option in COMMANDS["run",].params:
        if isinstance(option.show_default, str):
            told[option.name] = option.show_default.rpartition(" ")[2]
    assert {"methods", "datasets", "scenes", "jobs", "device", "batch_size", "out"} <= told.keys()
    for name, value in told.items():
        if name in section:
            kept = section[name]
            shown = ",".join(map(str, kept)) if isinstance(kept, tuple) else "any" if kept is None else str(kept)
            assert value == shown, name


@pytest.mark.parametrize("path", [("run",), ("ablate",), ("score",), ("regress",), ("plot",), ("speed", "quality")])
def test_whatever_computes_cells_takes_jobs_and_a_device(path: tuple[str, ...]) -> None:
    assert {"--jobs", "--device"} <= {name for option in COMMANDS[path].params for name in option.opts}


def test_the_version_is_that_of_the_distribution(cli: Cli) -> None:
    from importlib.metadata import version

    assert cli("--version").out == f"gesco-bench {version('gesco-bench')}\n"


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("METHODS", "*fake_pixels"), ("metrics", "FakeMisfit"), ("datasets", "*streets"), ("channels", "*awgn"),
        ("links", "adaptive"), ("samplers", "*ddim"), ("tables", "budget"), ("figures", "outage"),
    ],
)  # fmt: skip
def test_lists_fit_and_mark_what_can_run_here(cli: Cli, what: str, expected: str) -> None:
    answer = cli("list", what)
    assert answer.code == 0, answer.err
    marked = any(line.split()[:1] == [expected] for line in answer.out.splitlines())
    assert marked or f"*{expected} " in answer.out
    assert too_wide(answer.out, 80) == []


def test_a_run_without_options_says_what_it_would_do_and_what_to_type(cli: Cli, fakes: Path) -> None:
    answer = cli("run")
    assert answer.code == 2
    assert "1 method: fake_pixels" in answer.out
    assert "7 cells, 0 cached; on 1 worker(s) about 21 s" in answer.out
    assert "`bench run --yes` does all of the above" in answer.err
    assert not (fakes / "results").exists()
    assert cli("run", "--yes").code == 0
    assert (fakes / "results" / "local" / "rows").is_dir()


@pytest.mark.parametrize(("typed", "done"), [("n", False), ("y", True)])
def test_a_run_without_options_asks_at_a_terminal(fakes: Path, typed: str, done: bool) -> None:
    shown = at_terminal(80, "run", typed=f"{typed}\n", terminal="dumb")
    assert "Start? [Y/n]" in shown
    assert (fakes / "results" / "local" / "rows").is_dir() == done
    assert too_wide(shown, 80) == []


@pytest.mark.parametrize("columns", [80, 40])
def test_at_a_terminal_no_line_is_wider_than_it(fakes: Path, columns: int) -> None:
    shown = at_terminal(
        columns, "run --psnr 100,10 --methods fake_pixels,full_image", "table FakeMSE",
        "table FakeMSE --full --protocol", "table bits",
        "compare fake_pixels full_image --metrics FakeMSE", "plot psnr --metrics FakeMSE", "sheet",
        "run --methods fake_pixel", "data list", "list methods", "list metrics", "list channels", "weights list",
        "doctor", script=EACH,
    )  # fmt: skip
    assert shown.count("error: ") == 1  # of the method that there is not
    assert too_wide(shown, columns) == []


def test_a_page_of_markdown_fits_the_terminal() -> None:
    table = "| way | of | milliseconds a step |\n| --- | --- | ---: |\n| ours | all of it | 1.50 |"
    page = f"# Speed\n\n{table}\n\nNotes: a b c.\n"
    script = f"from bench.cli.options import print_page\nprint_page({page!r})"
    lines = at_terminal(30, script=script).splitlines()
    assert [line.split() for line in lines if "1.50" in line or "ours" in line] == [["ours", "all", "of", "it", "1.50"]]
    assert "milliseconds" in " ".join(lines)
    assert too_wide("\n".join(lines), 30) == []
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{page}\n"


def test_lines_are_folded_at_words_and_paths_stay_whole() -> None:
    path = "/a/very/long/path/" + "x" * 40
    assert _folded(f"  wrote it to {path} and more", 30) == ["  wrote it to", f"    {path}", "    and more"]


def at_terminal(columns: int, *arguments: str, typed: str = "", script: str = BENCH, terminal: str = "xterm") -> str:
    """What `bench ARGUMENTS` shows at a terminal of so many columns, control sequences left out."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, env={**environment, "NO_COLOR": "1", "TERM": terminal},
    )  # fmt: skip
    os.close(theirs)
    if typed:
        os.write(ours, typed.encode())
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    process.wait()
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="replace")).replace("\r\n", "\n")
    return "\n".join(line.rpartition("\r")[2] for line in text.split("\n"))


def test_what_is_typed_has_no_case(cli: Cli, fakes: Path) -> None:
    options = {
        "--methods": "FULL_IMAGE", "--metrics": "fakemse", "--datasets": "Streets", "--channel": "AWGN",
        "--power": "Average", "--calibration": "PAPER", "--profile": "Embedded", "--device": "CPU",
        "--backend": "Sequential", "--split": "TEST", "--psnr": "ALL",
    }  # fmt: skip
    answer = cli("run", "--dry-run", *(word for option in options.items() for word in option))
    assert answer.code == 0, answer.err
    assert "full_image on streets, awgn-paper-average@100" in answer.out
    for arguments, told in (
        (("ablate", "FDSS"), "did you mean 'fds'?"), (("plot", "BITSS"), "did you mean 'bits'?"),
        (("list", "METHOD"), "did you mean 'methods'?"),
    ):  # fmt: skip
        assert told in cli(*arguments).err
