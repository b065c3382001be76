"""Whatever is in a file or on the command line, `bench` answers in words: no traceback, nothing executed, and exit code
0, 1 or 2. Each kind of input is damaged by a seeded rule, a few times here and a thousand times with --slow."""

from __future__ import annotations

import contextlib
import pickle
import resource
import shutil
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace

import fuzz_files
import fuzz_texts
import pytest
import weights_fakes
from fuzzing import KINDS, answer

#: Seconds after which a command counts as hanging: a guard against waiting for ever, not a measurement.
HANGING = 60
#: Bytes that a command may take beside what is there: another guard, against reading without end.
MEMORY = 8 * 2**30
FEW, MANY = 30, 1000
assert fuzz_files, fuzz_texts  # they register their kinds


class Hanging(BaseException):
    """The command did not come back. No `Exception`, which the command line would turn into a message."""


@pytest.fixture
def quiet_bench(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The fakes' methods, metrics and catalogue of weights; folders of the user that are the test's own. Plug-ins are
    tried in this process, and weights that ship are not hashed: each command would take seconds longer."""
    import bench.checkpoints.catalogue
    import bench.checkpoints.inventory
    import bench.run.process

    def named_folder(weights_dir: Path | None) -> list[tuple[Path, str]]:
        return [(weights_dir, "installed")] if weights_dir else []

    here = SimpleNamespace(call=lambda function, *arguments: function(*arguments), close=lambda: None)
    monkeypatch.setattr(bench.run.process, "WorkerProcess", lambda limit: here)
    monkeypatch.setattr(bench.checkpoints.inventory, "_folders", named_folder)
    monkeypatch.setattr(bench.checkpoints.catalogue, "load_catalogue", lambda: weights_fakes.CATALOGUE)
    monkeypatch.setenv(bench.cli.TRACEBACK, "1")  # what nobody foresaw comes out, and is found
    monkeypatch.setenv("XDG_DATA_HOME", str(fakes / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(fakes / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def give_up(signal_number: int, frame: object) -> None:
        raise Hanging

    old, limits = signal.signal(signal.SIGALRM, give_up), resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


def wrong_with(kind_name: str, number: int, prepared: Path, work: Path) -> tuple[str, str] | None:
    """What is wrong with the answer to the damage of this number: (sort of fault, all about it)."""
    rng = Random(f"{kind_name} {number}")
    known = KINDS[kind_name]
    if known.fresh:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(prepared, work)
    with contextlib.chdir(work):
        arguments = known.attempt(work, rng)
        told = f"{kind_name}, number {number}: bench {' '.join(ascii(a)[:80] for a in arguments)}"
        signal.alarm(HANGING)
        try:
            found = answer(arguments)
        except (Exception, Hanging) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            frames = "".join(traceback.format_exception(error)[-6:])
            return f"{type(error).__name__} {last.filename}:{last.lineno}", f"{told}\n{frames}"
        finally:
            signal.alarm(0)
        if Path("canary").exists():
            return "executed", told
    if found.code not in (0, 1, 2):
        return f"exit code {found.code}", f"{told}\n{found.text}"
    if "Traceback (most recent" in found.text:
        return "a traceback in the output", f"{told}\n{found.text}"
    if "\x1b" in found.text or "\x9b" in found.text:
        return "an escape sequence in the output", f"{told}\n{found.text!a}"
    return None


def check(kind_name: str, attempts: int, folder: Path) -> None:
    prepared, work = folder / "prepared", folder / "fuzzed"
    for place in (prepared, work):
        place.mkdir()
    with contextlib.chdir(prepared):
        KINDS[kind_name].prepare(prepared)
    faults: dict[str, list[str]] = {}
    for number in range(attempts):
        if fault := wrong_with(kind_name, number, prepared, work):
            faults.setdefault(fault[0], []).append(fault[1])
    summary = [f"{len(cases)} of {attempts}: {sort}\n{cases[0]}" for sort, cases in faults.items()]
    assert not faults, "\n\n".join(summary)


@pytest.mark.parametrize("kind_name", sorted(KINDS))
def test_damaged_input_is_answered_in_words(kind_name: str, quiet_bench: None, tmp_path: Path) -> None:
    check(kind_name, FEW, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind_name", sorted(KINDS))
def test_a_thousand_damaged_inputs_are_answered_in_words(kind_name: str, quiet_bench: None, tmp_path: Path) -> None:
    check(kind_name, MANY, tmp_path)


def test_the_canary_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the planted pickle as pickle does run its command: the tests above would notice."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(fuzz_files.Executed()))
    assert (tmp_path / "canary").exists()
