"""Files on disk: digests, files and sealed folders written at once or not at all, and places that can be written to.

A sealed folder is a set of files with a manifest that holds the SHA-256 of each. Where they are many and small, as a
cell's pictures, they are entries of one uncompressed zip: a file a picture is millions of them in a large sweep.
Cells and metric measurements are both kept this way. A folder is filled under OUT/tmp and renamed into place, so a kill
at any moment leaves nothing half-written, and two runs at once cannot mix their files: the second finds the folder
there and discards its own. Reading verifies every byte; what does not match is reported and computed again.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import re
import shutil
import socket
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.api.errors import BenchError, StorageError, UsageError, storage_message
from bench.api.seeding import canonical, digest

#: What a sealed folder says of itself, and the uncompressed zip in which many small files of it are one.
MANIFEST, PACK = "manifest.json", "pack.zip"
_LARGE = ("key", "files", "places", "scenes", "per_scene")
#: Bumped when the layout of a sealed folder changes.
SCHEMA = 1
#: Temporary folders of another machine's runs are removed after this long; our own as soon as their process is gone.
STALE_SECONDS = 24 * 3600
#: Bytes of a block, the least of a file that is verified at once (`Blocks`).
BLOCK = 1 << 18

log = logging.getLogger("bench")


def digest_of(path: Path) -> str | None:
    """SHA-256 of a file's bytes; None where it cannot be read."""
    with suppress(OSError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


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
    """A file, or a sealed folder, does not hold what its manifest says."""


def block_digests(data: bytes) -> list[str]:
    """SHA-256 of every block of a file's bytes; of a small file that is its own."""
    return [sha256(data[start : start + BLOCK]) for start in range(0, len(data), BLOCK)]


class Blocks(io.RawIOBase):
    """A file that is read in pieces: no byte of a block is given before all of the block is verified.

    `size` and `digests` are those of the file when it was written; Broken where it differs.
    """

    def __init__(self, path: Path, size: int, digests: Sequence[str]) -> None:
        self.path, self.size, self.digests = path, size, digests
        self._place = 0
        self._known: dict[int, bytes] = {}
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise Broken(f"{path} is damaged: it cannot be read ({error.strerror})") from None
        if os.fstat(self._file.fileno()).st_size != size:
            self._file.close()
            raise Broken(f"{path} is damaged: it has another size than when it was written")

    def _block(self, number: int) -> bytes:
        self._file.seek(number * BLOCK)
        data = self._file.read(BLOCK)
        if number >= len(self.digests) or sha256(data) != self.digests[number]:
            raise Broken(f"{self.path} is damaged: it is not what was written (its SHA-256 differs)")
        return data

    def verify(self) -> None:
        """Read all of it; Broken where anything is other than it was."""
        for number in range(-(-self.size // BLOCK)):
            self._block(number)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size` of them."""
        stop = self.size if size < 0 else min(self.size, self._place + size)
        numbers = range(self._place // BLOCK, -(-stop // BLOCK))
        for number in numbers:
            if number not in self._known:
                self._known[number] = self._block(number)
        data = b"".join(self._known[number] for number in numbers)
        start = self._place % BLOCK
        found = data[start : start + max(0, stop - self._place)]
        self._place += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, as of any file."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        return self._place

    def tell(self) -> int:
        """The place that is read next."""
        return self._place

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Let go of the file."""
        if not self.closed:
            self._file.close()
        super().close()


class Entry:
    """A sealed folder that was found complete when it was opened; `seal` is the digest of its manifest."""

    def __init__(self, path: Path, manifest: dict[str, Any], seal: str) -> None:
        self.path = path
        self.manifest = manifest
        self.seal = seal

    @property
    def about(self) -> dict[str, Any]:
        """What the manifest says beside its key, its files and what it says of each scene."""
        return {name: value for name, value in self.manifest.items() if name not in _LARGE}

    @property
    def content_sha256(self) -> str:
        """One digest over the names and digests of all files."""
        return digest(self.manifest["files"])

    def answers(self, key: Mapping[str, Any] | None) -> bool:
        """Whether the folder was made for just this key, wherever it lies now."""
        return canonical(self.manifest.get("key")) == canonical(key)

    def read(self, name: str) -> bytes:
        """One file's bytes, be it in the pack or beside it, verified; Broken where they are not what was written."""
        place = self.manifest.get("places", {}).get(name)
        try:
            if place is None:
                data = (self.path / name).read_bytes()
            else:
                with (self.path / PACK).open("rb", buffering=0) as pack:
                    pack.seek(place[0])
                    data = pack.read(place[1])
        except OSError as error:
            raise Broken(f"{self.path / name} cannot be read ({error.strerror})") from None
        if sha256(data) != self.manifest["files"].get(name):
            raise Broken(f"{self.path / name} has changed since it was written")
        return data

    def verify(self) -> None:
        """Read every file and compare; Broken names the first that does not match."""
        packed = self.manifest.get("places", {})
        if packed and digest_of(self.path / PACK) != self.manifest["pack"]:
            raise Broken(f"{self.path / PACK} has changed since it was written")
        for name in self.manifest["files"].keys() - packed.keys():
            self.read(name)


def read_manifest(path: Path) -> tuple[dict[str, Any], str]:
    """The manifest of a sealed folder and its seal; Broken where it is not what was written."""
    file = path / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(file.read_bytes())
        sealed = manifest.pop("seal")
        matches = sealed == digest(manifest) and manifest["schema"] == SCHEMA
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Broken(f"{file} is missing or unreadable") from None
    if not matches:
        raise Broken(f"{file} has changed since it was written")
    return manifest, sealed


def open_entry(path: Path, warn: bool = True, key: Mapping[str, Any] | None = None) -> Entry | None:
    """The sealed folder at `path`, every byte verified.

    None where there is none, where it is damaged, or where it was made for another `key` than the one given (with
    `warn`, a warning then names the file).
    """
    if not path.is_dir():
        return None
    try:
        entry = Entry(path, *read_manifest(path))
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
        self._pack: zipfile.ZipFile | None = None
        self._places: dict[str, list[int]] = {}

    def __enter__(self) -> Draft:
        with storing(self.folder):
            self.folder.mkdir(parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._pack is not None:
            with suppress(OSError):  # on a full disk, which has been told by then
                self._pack.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pack(self, name: str, data: bytes) -> None:
        """Add one of many small files, which become one: entries of an uncompressed zip, each readable alone."""
        file = self.folder / PACK
        with storing(file):
            if self._pack is None:
                self._pack = zipfile.ZipFile(file, "x")
            self._pack.writestr(zipfile.ZipInfo(name), data)
            assert self._pack.fp is not None
            self._places[name] = [self._pack.fp.tell() - len(data), len(data)]
        self.files[name] = sha256(data)

    def write(self, name: str, data: bytes) -> None:
        """Add one file; StorageError names the file on a full disk."""
        file = self.folder / name
        with storing(file):
            file.write_bytes(data)
        self.files[name] = sha256(data)

    def publish(self, target: Path, facts: Mapping[str, Any], replaced: Entry | None = None) -> Entry:
        """Seal the folder with `facts` beside the files' digests and rename it to `target`.

        Where another run was faster, its folder stays and is returned; one that is damaged, has another `key` or is
        `replaced` goes.
        """
        manifest: dict[str, Any] = {"schema": SCHEMA, "files": dict(sorted(self.files.items())), **facts}
        if self._pack is not None:
            with storing(self.folder / PACK):
                self._pack.close()
            manifest |= {"pack": digest_of(self.folder / PACK), "places": self._places}
        seal = digest(manifest)
        self.write(MANIFEST, (json.dumps({**manifest, "seal": seal}, indent=1, allow_nan=False) + "\n").encode())
        with storing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            return self._rename(target, manifest, seal, replaced)

    def _rename(self, target: Path, manifest: dict[str, Any], seal: str, replaced: Entry | None) -> Entry:
        for _ in range(3):
            try:
                self.folder.rename(target)
                return Entry(target, manifest, seal)
            except OSError:
                if not target.is_dir():
                    raise
            try:
                there = Entry(target, *read_manifest(target))
                there.verify()
                if not there.answers(manifest.get("key")):
                    raise Broken(f"{target} belongs elsewhere")
                if replaced is None or there.seal != replaced.seal:
                    return there
                raise Broken(f"{target} is to be replaced")
            except Broken:  # what is there is damaged or replaced: move it out of the way and try again
                aside = self.folder.with_name(self.folder.name + ".damaged")
                with suppress(FileNotFoundError):  # another run moved it first
                    target.rename(aside)
                shutil.rmtree(aside, ignore_errors=True)
        raise BenchError(f"cannot replace the damaged folder {target}; remove it and run again")


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """StorageError in the place of the system's, naming the file, where the disk is full or forbids it."""
    try:
        yield
    except OSError as error:
        if (message := storage_message(error, path)) is None:
            raise
        raise StorageError(message) from error


def clean_stale(out: Path) -> int:
    """Remove what this machine's dead processes left in OUT/tmp, and of files in OUT, and any older than a day.

    Returns how many.
    """
    removed = 0
    for path in (*(out / "tmp").glob("*"), *out.glob(".*.tmp")):
        name = path.name.removesuffix(".damaged").removesuffix(".tmp")
        host, pid, _ = ("", *name.rsplit(".", 2))[-3:]
        mine = f".{host}".endswith(f".{socket.gethostname()}") and pid.isdigit()
        try:
            old = time.time() - path.stat().st_mtime > STALE_SECONDS
        except FileNotFoundError:
            continue
        if old or (mine and not _alive(int(pid))):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
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
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
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
    with storing(path), replacing(path) as temporary:
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
