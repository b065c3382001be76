"""Where results are read from and written to: always said, never by accident, and refused before any work is done."""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Answer

from bench.api.errors import UsageError
from bench.api.files import check_file, check_folder

Cli = Callable[..., Answer]


def head(answer: Answer) -> list[str]:
    assert answer.code == 0, answer.err
    return answer.out.splitlines()[0].split()


def test_the_current_folders_results_come_before_another_projects_last_run(
    cli: Cli, fakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("run", "--psnr", "10").code == 0
    here = (fakes / "bench.toml").read_text()
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    Path("bench.toml").write_text(here)
    assert cli("run", "--psnr", "5", "--out", "theirs").code == 0
    monkeypatch.chdir(fakes)
    answer = cli("table", "FakeMSE")
    assert head(answer) == ["FakeMSE", "↓", "10"]
    assert answer.err == "reading the results in results/local\n"
    (fakes / "results").rename(fakes / "gone")
    answer = cli("table", "FakeMSE")
    assert head(answer) == ["FakeMSE", "↓", "5"]
    assert answer.err == (
        f"reading the results in {other / 'theirs'}, the folder of your last run (--out chooses another)\n"
    )
    (fakes / "bench.toml").write_text(here.replace("[run]", '[run]\nout = "gone/local"'))
    assert head(cli("table", "FakeMSE")) == ["FakeMSE", "↓", "10"]  # where `bench run` writes from here


@pytest.mark.parametrize(
    "command",
    [
        ("table", "bits"),
        ("plot", "--to", "f"),
        ("sheet", "--to", "f", "--psnr", "10"),
        ("leaderboard", "build", "--out", "f"),
        ("leaderboard", "samples", "--out", "f", "--scenes", "1"),
        ("leaderboard", "export", "fake_pixels", "--out", "x.json", "--author", "A", "--licence", "MIT"),
    ],
)
def test_every_reader_says_which_folder_it_reads(cli: Cli, command: tuple[str, ...]) -> None:
    assert cli("run", "--psnr", "10").code == 0
    option = "--results" if command[0] == "leaderboard" else "--out"
    assert "reading the results in results/local\n" in cli(*command).err
    named = cli(*command, option, "results/local")
    assert "reading the results in results/local\n" in named.err


def test_a_note_of_the_last_run_that_is_nonsense_is_as_good_as_none(cli: Cli, fakes: Path) -> None:
    note = Path(os.environ["XDG_STATE_HOME"]) / "gesco-bench" / "last-run.json"
    note.parent.mkdir(parents=True)
    for text in ("", "[" * 100_000, "[]", '{"out": 3}', json.dumps({"out": "a\0b"})):
        note.write_text(text)
        answer = cli("table", "bits")
        assert (answer.code, "there are no results in results" in answer.err) == (2, True)


@pytest.fixture
def places(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    """Places that nothing can be written into, and what is said of them."""
    file = tmp_path / "file"
    file.write_text("")
    link, loop = tmp_path / "link", tmp_path / "loop"
    link.symlink_to(tmp_path / "nothing")
    loop.symlink_to(loop)
    return {
        "a file": (file, "takes a folder; "),
        "below a file": (file / "a" / "b", f"would lie below {file}, which is a file"),
        "a device": (Path("/dev/null"), "/dev/null is a device or a pipe"),
        "below a device": (Path("/dev/null/a"), "would lie below /dev/null"),
        "a dangling link": (link, f"is a link to {tmp_path / 'nothing'}, which does not exist"),
        "below a dangling link": (link / "a", f"is a link to {tmp_path / 'nothing'}, which does not exist"),
        "a loop of links": (loop, "cannot be used"),
        "a name that is too long": (tmp_path / ("x" * 300), "cannot be used"),
    }


WRITERS = {
    "run": ("run", "--psnr", "10", "--out"),
    "ablate": ("ablate", "steps", "--out"),
    "regress": ("regress", "--baseline", "o", "--out"),
    "plot": ("plot", "--out", "o", "--to"),
    "sheet": ("sheet", "--out", "o", "--to"),
    "merge": ("merge", "o", "--out"),
    "build": ("leaderboard", "build", "--results", "o", "--out"),
    "train": ("train", "gesco", "--out"),
    "export": ("data", "export", "--split", "val", "streets"),
    "speed": ("speed", "sampling", "--size", "small", "--device", "cpu", "--out"),
    "quality": ("speed", "quality", "--out"),
    "samples": ("leaderboard", "samples", "--results", "o", "--out"),
}


#: What begins the work of the writers, and the modules that hold these functions.
WORK = {"make_plan", "open_dataset", "whole_results", "provenance"}
HOLDERS = (
    "bench.run.plan", "bench.run.setting", "bench.data.registry", "bench.results.files", "bench.pictures.album",
    "bench.regress.rerun", "bench.speed.report", "bench.speed.quality", "bench.speed.pipeline",
)  # fmt: skip


@pytest.mark.parametrize("writer", WRITERS)
def test_a_place_that_cannot_be_written_to_is_refused_before_any_work(
    cli: Cli, fakes: Path, places: dict[str, tuple[Path, str]], monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    for holder in [importlib.import_module(name) for name in HOLDERS]:  # a later import would keep what stands in
        for work in WORK & vars(holder).keys():
            monkeypatch.setattr(holder, work, lambda *a, **k: pytest.fail("work was done"))
    for name, (place, told) in places.items():
        answer = cli(*WRITERS[writer], str(place))
        assert answer.code == 2, name
        (line,) = answer.err.splitlines()
        assert told in line, name
        assert line.startswith(("error: --out", "error: --to", "error: DEST")), name


def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # root may write anywhere
    for check in (check_folder, check_file):
        with pytest.raises(UsageError, match=f"nothing may be written into {tmp_path}"):
            check(tmp_path / "a" / "b", "--out")
    assert not (tmp_path / "a").exists()
    with pytest.raises(UsageError, match=r"takes a file; .* is a folder"):
        check_file(tmp_path, "--out")


_LOCKED: list[str] = []
_WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.utime"}


def _guard(event: str, arguments: tuple[object, ...]) -> None:
    """As a read-only file system would: no permission keeps root, as which tests may run, from writing."""
    if not _LOCKED or (event != "open" and event not in _WRITES):
        return
    if event == "open" and not int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):  # type: ignore[call-overload]
        return
    for path in arguments[:2]:
        if isinstance(path, str | bytes | os.PathLike) and os.path.abspath(os.fsdecode(path)).startswith(_LOCKED[0]):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fsdecode(path))


@pytest.fixture
def read_only(cli: Cli, fakes: Path) -> Iterator[Path]:
    """A finished run that nothing can be written into any more."""
    assert cli("run", "--methods", "fake_pixels,fake_maps", "--psnr", "10", "--out", "o").code == 0
    if _guard not in _INSTALLED:
        sys.addaudithook(_guard)
        _INSTALLED.append(_guard)
    _LOCKED.append(str(fakes / "o"))
    yield fakes / "o"
    _LOCKED.clear()


_INSTALLED: list[object] = []


@pytest.mark.parametrize(
    "command",
    [
        ("table", "FakeMSE", "--out", "o"),
        ("plot", "psnr", "bits", "strip", "--out", "o", "--to", "f"),
        ("sheet", "--out", "o", "--to", "f", "--psnr", "10"),
        ("leaderboard", "build", "--results", "o", "--out", "f"),
        ("leaderboard", "samples", "--results", "o", "--out", "f", "--scenes", "1"),
        ("leaderboard", "check", "--results", "o"),
        ("merge", "o", "--out", "f"),
        ("run", "--psnr", "10,5", "--out", "o", "--dry-run"),
    ],
)
def test_reading_a_finished_run_writes_nothing_into_it(cli: Cli, read_only: Path, command: tuple[str, ...]) -> None:
    answer = cli(*command)
    assert answer.code == 0, answer.err


def test_writing_into_a_read_only_run_is_one_line_that_names_the_way_out(
    cli: Cli, read_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access(path: Path, mode: int) -> bool:
        return not mode & os.W_OK or not str(Path(path).absolute()).startswith(str(read_only))

    monkeypatch.setattr(os, "access", access)
    for command, option in (("plot", "--to"), ("sheet", "--to"), ("run", "--out")):
        answer = cli(command, "--out", "o", "--psnr", "10")
        assert answer.code == 2
        assert answer.err.splitlines()[-1].startswith(f"error: {option}: nothing may be written into o")
