"""Files on disk: digests, files and sealed folders written at once or not at all, and places that can be written to.

A sealed folder is a set of files with a manifest that holds the SHA-256 of each.
Cells and metric measurements are both kept this way. A folder is filled under OUT/tmp and renamed into place, so a kill
at any moment leaves nothing half-written, and two runs at once cannot mix their files: the second finds the folder
there and discards its own. Reading verifies every byte; what does not match is reported and computed again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.api.errors import BenchError, StorageError, UsageError, storage_message
from bench.api.seeding import canonical, digest

MANIFEST = "manifest.json"
#: Bumped when the layout of a sealed folder changes.
SCHEMA = 1
#: Temporary folders of another machine's runs are removed after this long; our own as soon as their process is gone.
STALE_SECONDS = 24 * 3600

log = logging.getLogger("bench")


@cache
def _file_digest(path: Path, *_state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, remembered while it is the same file with the same time stamps and size."""
    stat = path.stat()
    return _file_digest(path, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)


def safe_name(text: str) -> str:
    """`text` as one portable file name: anything but letters, digits and `._+=@-` becomes `_`."""
    return re.sub(r"[^A-Za-z0-9._+=@-]", "_", text)[:120]


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class Broken(Exception):
    """A sealed folder does not hold what its manifest says."""


class Entry:
    """A sealed folder that was found complete when it was opened."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest

    @property
    def content_sha256(self) -> str:
        """One digest over the names and digests of all files."""
        return digest(self.manifest["files"])

    def answers(self, key: Mapping[str, Any] | None) -> bool:
        """Whether the folder was made for just this key, wherever it lies now."""
        return canonical(self.manifest.get("key")) == canonical(key)

    def read(self, name: str) -> bytes:
        """One file's bytes, verified; Broken where they are not what was written."""
        try:
            data = (self.path / name).read_bytes()
        except OSError as error:
            raise Broken(f"{self.path / name} cannot be read ({error.strerror})") from None
        if sha256(data) != self.manifest["files"].get(name):
            raise Broken(f"{self.path / name} has changed since it was written")
        return data

    def verify(self) -> None:
        """Read every file and compare; Broken names the first that does not match."""
        for name in self.manifest["files"]:
            self.read(name)


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(file.read_bytes())
        sealed = manifest.pop("seal")
        matches = sealed == digest(manifest) and manifest["schema"] == SCHEMA
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Broken(f"{file} is missing or unreadable") from None
    if not matches:
        raise Broken(f"{file} has changed since it was written")
    return manifest


def open_entry(path: Path, warn: bool = True, key: Mapping[str, Any] | None = None) -> Entry | None:
    """The sealed folder at `path`, every byte verified.

    None where there is none, where it is damaged, or where it was made for another `key` than the one given (with
    `warn`, a warning then names the file).
    """
    if not path.is_dir():
        return None
    try:
        entry = Entry(path, _read_manifest(path))
        entry.verify()
        if key is not None and not entry.answers(key):
            raise Broken(f"{path} belongs elsewhere: its manifest is of another cell or metric")
    except Broken as problem:
        if warn:
            log.warning("damaged cache entry, computed again: %s", problem)
        return None
    return entry


class Draft:
    """A folder being filled, as in `with Draft(out) as draft: ...`; left unpublished, it is removed."""

    def __init__(self, out: Path) -> None:
        self.folder = out / "tmp" / f"{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex}"
        self.files: dict[str, str] = {}

    def __enter__(self) -> Draft:
        with _writing(self.folder):
            self.folder.mkdir(parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name: str, data: bytes) -> None:
        """Add one file; StorageError names the file on a full disk."""
        file = self.folder / name
        with _writing(file):
            file.write_bytes(data)
        self.files[name] = sha256(data)

    def publish(self, target: Path, facts: Mapping[str, Any], replaced: Entry | None = None) -> Entry:
        """Seal the folder with `facts` beside the files' digests and rename it to `target`.

        Where another run was faster, its folder stays and is returned; one that is damaged, has another `key` or is
        `replaced` goes.
        """
        manifest = {"schema": SCHEMA, "files": dict(sorted(self.files.items())), **facts}
        seal = digest(manifest)
        self.write(MANIFEST, (json.dumps({**manifest, "seal": seal}, indent=1, allow_nan=False) + "\n").encode())
        with _writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            return self._rename(target, manifest, replaced)

    def _rename(self, target: Path, manifest: dict[str, Any], replaced: Entry | None) -> Entry:
        for _ in range(3):
            try:
                self.folder.rename(target)
                return Entry(target, manifest)
            except OSError:
                if not target.is_dir():
                    raise
            try:
                there = Entry(target, _read_manifest(target))
                there.verify()
                if not there.answers(manifest.get("key")):
                    raise Broken(f"{target} belongs elsewhere")
                if replaced is None or there.manifest != replaced.manifest:
                    return there
                raise Broken(f"{target} is to be replaced")
            except Broken:  # what is there is damaged or replaced: move it out of the way and try again
                aside = self.folder.with_name(self.folder.name + ".damaged")
                with suppress(FileNotFoundError):  # another run moved it first
                    target.rename(aside)
                shutil.rmtree(aside, ignore_errors=True)
        raise BenchError(f"cannot replace the damaged folder {target}; remove it and run again")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """StorageError in the place of the system's, naming the file, where the disk is full or forbids it."""
    try:
        yield
    except OSError as error:
        if (message := storage_message(error, path)) is None:
            raise
        raise StorageError(message) from error


def clean_stale(out: Path) -> int:
    """Remove folders of this machine's dead processes under OUT/tmp, and any older than a day; returns how many."""
    removed = 0
    for folder in (out / "tmp").glob("*"):
        host, pid, _ = ("", *folder.name.removesuffix(".damaged").rsplit(".", 2))[-3:]
        mine = host == socket.gethostname() and pid.isdigit()
        try:
            old = time.time() - folder.stat().st_mtime > STALE_SECONDS
        except FileNotFoundError:
            continue
        if old or (mine and not _alive(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _alive(pid: int) -> bool:
    if os.name == "nt":  # signal 0 would end the process there; the day's limit has to do
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # a killed process that nobody waits for, as in containers without an init process, is dead all the same
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` for a file or a folder, which takes its place at the end, and goes on failure."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_dir() and path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        with suppress(OSError):
            shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a single file, whole or not at all; StorageError names it on a full disk."""
    with _writing(path), replacing(path) as temporary:
        temporary.write_bytes(data)


def write_files(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files by name into a folder, each as `write_atomically` does; their paths."""
    for name, data in contents.items():
        write_atomically(folder / name, data)
    return [folder / name for name in contents]


def check_folder(path: Path, option: str) -> Path:
    """The folder `path`, there or to be made; nothing is made.

    UsageError, in the name of the option that chose it, for a file, a device, a place below one, a link that leads
    nowhere, and where nothing may be written.
    """
    if _exists(path, option) and not path.is_dir():
        raise UsageError(f"{option} takes a folder; {path} is {_kind(path)}")
    return _writable(path, option)


def check_file(path: Path, option: str) -> Path:
    """The file `path`, there or to be made; UsageError as `check_folder` raises it, and for a folder."""
    if _exists(path, option) and not path.is_file():
        raise UsageError(f"{option} takes a file; {path} is {_kind(path)}")
    return _writable(path.parent, option)


def _exists(path: Path, option: str) -> bool:
    """Whether something is there; UsageError for a link to nothing, and for a path that the system does not take."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise UsageError(f"{option}: {path} is a link to {path.readlink()}, which does not exist") from None
        return False
    except OSError as error:  # a loop of links, a name that is too long, a folder that may not be looked into
        raise UsageError(f"{option}: {path} cannot be used ({error.strerror})") from None
    return True


def _kind(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    return "a file" if path.is_file() else "a device or a pipe"


def _writable(path: Path, option: str) -> Path:
    """`path` where it, or else the nearest folder above it, can be written to."""
    there = path
    while not _exists(there, option):
        there = there.parent
    if not there.is_dir():
        raise UsageError(f"{option}: {path} would lie below {there}, which is {_kind(there)}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(
            f"{option}: nothing may be written into {there}; check its permissions or choose another folder"
        )
    return path
