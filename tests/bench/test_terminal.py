"""What reaches a terminal: no UnicodeEncodeError in any encoding, no escape sequence out of a file, no traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from table_frames import at10

from bench.api.terminal import safe_output, visible
from bench.results.files import write_results

Cli = Callable[..., Answer]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii"])
def test_a_run_in_an_encoding_without_arrows_ends_with_its_tables(fakes: Path, encoding: str) -> None:
    command = [sys.executable, "-c", "from bench.cli import main; main()", "run", "--psnr", "10", "--out", "ö"]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}, check=False)
    assert done.returncode == 0, done.stderr
    assert b"UnicodeEncodeError" not in done.stderr
    assert b"1 cells: 1 computed" in done.stdout
    assert (fakes / "ö" / "rows").is_dir()


def test_the_c_locale_is_no_obstacle(cli: Cli, fakes: Path, start: Start) -> None:
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    process = start("table", "FakeMSE", "--out", "o", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "reading the results in o\n")
    assert out.startswith("FakeMSE v")


def test_what_an_encoding_lacks_is_written_as_something_like_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "latin-1", write_through=True))
    with safe_output():
        print("mIoU ↑ 0.5 ± 0.1, ∞ dB, 海")
    assert raw.getvalue().decode("latin-1") == "mIoU ^ 0.5 ± 0.1, inf dB, ?\n"
    with pytest.raises(UnicodeEncodeError):
        print("↑")  # the stream is as it was before


def test_rich_keeps_its_own_control_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "utf-8", write_through=True))
    with safe_output():
        Console(force_terminal=True, color_system="standard").print("[red]x[/red]")
        print("\x1b[31mx")
    assert raw.getvalue() == b"\x1b[31mx\x1b[0m\n\\x1b[31mx\n"


def test_control_characters_are_made_visible_and_text_stays() -> None:
    assert visible("a\tb\nc é ↑ 海") == "a\tb\nc é ↑ 海"
    assert visible("\x1b[2J\x9b1m\r\x7f\u202e\u2066\ud800\u2028") == r"\x1b[2J\x9b1m\r\x7f\u202e\u2066\ud800\u2028"


def test_escape_sequences_in_results_do_not_reach_the_terminal(cli: Cli, fakes: Path) -> None:
    name = "\x1b]0;title\x07\x1b[31mgesco"
    write_results(at10({name: 0.4, "smis": 0.3}), {}, fakes / "o")
    answer = cli("table", "mIoU", "--out", "o")
    assert "\x1b" not in answer.out + answer.err
    assert answer.code in (0, 1)


def test_a_closed_pipe_ends_a_command_quietly(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    reading, writing = os.pipe()
    os.close(reading)
    told = {("table", "FakeMSE", "--out", "o"): b"reading the results in o\n", ("--help",): b"", ("data", "list"): b""}
    for arguments, said in told.items():
        command = [sys.executable, "-c", "from bench.cli import main; main()", *arguments]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
        assert (done.returncode, done.stderr) == (1, said)
    os.close(writing)


def test_an_error_that_nobody_foresaw_is_one_line_and_its_traceback_is_there_for_the_asking(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bench.tables

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("by\nnothing")

    monkeypatch.setattr(bench.tables, "read_for_table", broken)
    (fakes / "o").mkdir()
    answer = cli("table", "mIoU", "--out", "o")
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("error: ZeroDivisionError in test_terminal.py, line ")
    assert "by nothing. This is a fault in gesco-bench or in a plug-in; GESCO_BENCH_TRACEBACK=1 shows" in answer.err
    monkeypatch.setenv("GESCO_BENCH_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        cli("table", "mIoU", "--out", "o")
