"""Sealed folders: whole or absent, verified on reading, harmless to share."""

from __future__ import annotations

import errno
import logging
import os
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api.errors import BenchError
from bench.api.files import Draft, clean_stale, open_entry, safe_name, write_atomically
from bench.api.seeding import canonical, digest

FILES = {"a.bin": bytes(range(256)), "b.txt": b"hello"}


def publish(out: Path, target: Path, files: dict[str, bytes] = FILES, note: str = "x") -> None:
    with Draft(out) as draft:
        for name, data in files.items():
            draft.write(name, data)
        draft.publish(target, {"note": note})


def leftovers(out: Path) -> list[Path]:
    return list((out / "tmp").iterdir())


def test_what_is_published_is_read_back(tmp_path: Path) -> None:
    publish(tmp_path, tmp_path / "cells/x")
    entry = open_entry(tmp_path / "cells/x")
    assert entry is not None
    assert {name: entry.read(name) for name in FILES} == FILES
    assert entry.manifest["note"] == "x"
    assert leftovers(tmp_path) == []


def test_an_abandoned_draft_leaves_nothing(tmp_path: Path) -> None:
    with Draft(tmp_path) as draft:
        draft.write("a", b"1")
        assert len(leftovers(tmp_path)) == 1
    assert leftovers(tmp_path) == []
    assert open_entry(tmp_path / "cells/x") is None


@pytest.mark.parametrize("name", ["a.bin", "b.txt", "manifest.json"])
def test_any_flipped_byte_is_detected_and_named(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    target = tmp_path / "cells/x"
    publish(tmp_path, target)
    original = (target / name).read_bytes()
    for position in range(0, len(original), 7):
        damaged = bytearray(original)
        damaged[position] ^= 1
        (target / name).write_bytes(damaged)
        with caplog.at_level(logging.WARNING, "bench"):
            entry = open_entry(target)
        # a manifest may keep its meaning only where the flipped byte is white space; then nothing is damaged
        assert entry is None or (name == "manifest.json" and chr(original[position]).isspace())
    assert name in caplog.text
    (target / name).write_bytes(original)
    assert open_entry(target) is not None


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    publish(tmp_path, tmp_path / "x")
    (tmp_path / "x" / "a.bin").unlink()
    assert open_entry(tmp_path / "x") is None


def test_the_second_of_two_writers_gives_way(tmp_path: Path) -> None:
    target = tmp_path / "cells/x"
    with Draft(tmp_path) as slow:
        slow.write("a.bin", b"slow")
        publish(tmp_path, target, note="fast")
        entry = slow.publish(target, {"note": "slow"})
    assert entry.manifest["note"] == "fast"
    found = open_entry(target)
    assert found is not None
    assert found.manifest["note"] == "fast"
    assert leftovers(tmp_path) == []


def test_a_damaged_folder_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "cells/x"
    publish(tmp_path, target)
    (target / "a.bin").write_bytes(b"rot")
    publish(tmp_path, target, note="again")
    entry = open_entry(target)
    assert entry is not None
    assert entry.manifest["note"] == "again"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_a_full_disk_names_the_file_and_the_remedy(tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, data: bytes) -> int:
        raise OSError(code, os.strerror(code), str(self))

    with Draft(tmp_path) as draft:
        monkeypatch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(BenchError, match=r"a\.png.*; .*--out"):
            draft.write("a.png", b"1")
    with pytest.raises(BenchError, match=r"results\.csv.*--out"):
        write_atomically(tmp_path / "results.csv", b"1")
    monkeypatch.undo()
    assert leftovers(tmp_path) == []
    assert not (tmp_path / "results.csv").exists()


def test_a_single_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.csv"
    write_atomically(path, b"old")

    def fail(source: Path, target: Path) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="broken"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_only_dead_or_old_temporary_folders_are_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    unburied = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert unburied.stdout is not None
    unburied.stdout.read()
    state = Path(f"/proc/{unburied.pid}/stat")  # it has ended, but its parent has not asked yet: a zombie where this is
    while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    host = socket.gethostname()
    kept = [f"{host}.{os.getpid()}.aa", "elsewhere.example.org.1.bb"]
    removed = [f"{host}.{dead.pid}.cc", f"{host}.{dead.pid}.dd.damaged", "elsewhere.example.org.1.ee"]
    for name in (*kept, *removed):
        (tmp_path / "tmp" / name).mkdir(parents=True)
    if Path("/proc/self/stat").exists():
        removed.append(f"{host}.{unburied.pid}.ff")
        (tmp_path / "tmp" / removed[-1]).mkdir()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(tmp_path / "tmp" / "elsewhere.example.org.1.ee", (long_ago, long_ago))
    assert clean_stale(tmp_path) == len(removed)
    assert sorted(f.name for f in leftovers(tmp_path)) == sorted(kept)
    unburied.wait()


def test_names_of_files_are_portable() -> None:
    assert safe_name("gesco:steps=50+fds") == "gesco_steps=50+fds"
    assert safe_name("aachen/../x y") == "aachen_.._x_y"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(), values, min_size=2))
def test_the_order_of_keys_changes_no_digest(data: dict[str, object]) -> None:
    turned = dict(reversed(list(data.items())))
    assert canonical(turned) == canonical(data)
    assert digest(turned) == digest(data)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(), values, min_size=1), st.data())
def test_any_other_value_changes_the_digest(data: dict[str, object], draw: st.DataObject) -> None:
    key = draw.draw(st.sampled_from(sorted(data)))
    other = draw.draw(values)
    if canonical(other) != canonical(data[key]):
        assert digest({**data, key: other}) != digest(data)
    assert digest({k: v for k, v in data.items() if k != key}) != digest(data)


def test_many_small_files_are_one_of_which_each_is_read_alone(tmp_path: Path) -> None:
    files = {f"{k:05d}.png": bytes([k]) * (k + 1) for k in range(20)}
    with Draft(tmp_path) as draft, Draft(tmp_path) as loose:
        for name, data in files.items():
            draft.pack(name, data)
            loose.write(name, data)
        draft.write("beside", b"1")
        loose.write("beside", b"1")
        one, many = draft.publish(tmp_path / "one", {}), loose.publish(tmp_path / "many", {})
    assert sorted(path.name for path in one.path.iterdir()) == ["beside", "manifest.json", "pack.zip"]
    assert one.content_sha256 == many.content_sha256  # what hangs on the content does not hang on how it is kept
    found = open_entry(tmp_path / "one")
    assert found is not None
    assert {name: found.read(name) for name in files} == files
    with zipfile.ZipFile(one.path / "pack.zip") as pack:
        assert pack.testzip() is None
        assert {name: pack.read(name) for name in pack.namelist()} == files


def test_every_flipped_byte_of_a_pack_is_found(tmp_path: Path) -> None:
    with Draft(tmp_path) as draft:
        draft.pack("a.png", b"picture")
        entry = draft.publish(tmp_path / "x", {})
    whole = (entry.path / "pack.zip").read_bytes()
    for place in range(len(whole)):
        (entry.path / "pack.zip").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert open_entry(tmp_path / "x", warn=False) is None
    (entry.path / "pack.zip").write_bytes(whole)
    assert open_entry(tmp_path / "x") is not None


def test_files_that_a_dead_process_was_writing_go(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {pid: f".provenance.json.{socket.gethostname()}.{pid}.0a1b2c3d.tmp" for pid in (dead.pid, os.getpid())}
    other = f".provenance.json.elsewhere.{dead.pid}.0a1b2c3d.tmp"
    for name in (*names.values(), other):
        (tmp_path / name).write_bytes(b"half")
    assert clean_stale(tmp_path) == 1
    assert {path.name for path in tmp_path.iterdir()} == {names[os.getpid()], other}
