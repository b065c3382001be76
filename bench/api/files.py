"""Sealed folders: a set of files with a manifest that holds the SHA-256 of each, written at once or not at all.

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
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.api.errors import BenchError, StorageError, storage_message
from bench.api.seeding import canonical, digest

MANIFEST = "manifest.json"
#: Bumped when the layout of a sealed folder changes.
SCHEMA = 1
#: Temporary folders of another machine's runs are removed after this long; our own as soon as their process is gone.
STALE_SECONDS = 24 * 3600

log = logging.getLogger("bench")


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
        manifest = json.loads(file.read_bytes())
        sealed = manifest.pop("seal")
        matches = sealed == digest(manifest) and manifest["schema"] == SCHEMA
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Broken(f"{file} is missing or unreadable") from None
    if not matches:
        raise Broken(f"{file} has changed since it was written")
    return manifest


def open_entry(path: Path, warn: bool = True, key: Mapping[str, Any] | None = None) -> Entry | None:
    """The sealed folder at `path`, every byte verified; None where there is none, where it is damaged, or where it was
    made for another `key` than the one given (with `warn`, a warning then names the file)."""
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
    """A folder being filled. `with Draft(out) as draft: draft.write(...); draft.publish(...)`; left unpublished, it
    is removed."""

    def __init__(self, out: Path) -> None:
        self.folder = out / "tmp" / f"{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex}"
        self.files: dict[str, str] = {}

    def __enter__(self) -> Draft:
        try:
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise _unwritable(error, self.folder) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name: str, data: bytes) -> None:
        """Add one file; StorageError names the file on a full disk."""
        file = self.folder / name
        try:
            file.write_bytes(data)
        except OSError as error:
            raise _unwritable(error, file) from error
        self.files[name] = sha256(data)

    def publish(self, target: Path, facts: Mapping[str, Any], replaced: Entry | None = None) -> Entry:
        """Seal the folder with `facts` beside the files' digests and rename it to `target`. Where another run was
        faster, its folder stays and is returned; one that is damaged, has another `key` or is `replaced` goes."""
        manifest = {"schema": SCHEMA, "files": dict(sorted(self.files.items())), **facts}
        seal = digest(manifest)
        self.write(MANIFEST, (json.dumps({**manifest, "seal": seal}, indent=1, allow_nan=False) + "\n").encode())
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            return self._rename(target, manifest, replaced)
        except OSError as error:
            raise _unwritable(error, target) from error

    def _rename(self, target: Path, manifest: dict[str, Any], replaced: Entry | None) -> Entry:
        for _ in range(3):
            try:
                os.rename(self.folder, target)
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
                    os.rename(target, aside)
                shutil.rmtree(aside, ignore_errors=True)
        raise BenchError(f"cannot replace the damaged folder {target}; remove it and run again")


def _unwritable(error: OSError, file: Path) -> Exception:
    message = storage_message(error, file)
    return StorageError(message) if message else error


def clean_stale(out: Path) -> int:
    """Remove what killed runs left under OUT/tmp: folders of dead processes of this machine, and any older than a
    day. Returns how many."""
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


def write_atomically(path: Path, data: bytes) -> None:
    """Write a single file under a temporary name beside it, then rename; StorageError names it on a full disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        message = storage_message(error, path)
        raise (StorageError(message) if message else error) from error
