"""What was verified of a cache: a start need not read millions of pictures again.

OUT/verified.json keeps, of each sealed folder that was read whole, the size and the times of its files, and what of its
manifest a start asks for. Where they are the same the folder is taken as it was. Whoever reads of it verifies what is
read (bench/api/files.py), so that a byte that changed behind the times' back is found before it becomes a number. The
file is no truth: without it, or where it is damaged, all is read once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from bench.api.files import MANIFEST, PACK, Broken, Entry, digest_of, open_entry, sha256, write_atomically

FILE = "verified.json"
#: Bumped when a record says otherwise.
VERSION = 1


class Trusted(Entry):
    """A sealed folder as it was when it was verified."""

    def __init__(self, path: Path, record: Mapping[str, Any]) -> None:
        self.path, self.seal = path, str(record["seal"])
        self._record = record

    @property
    def manifest(self) -> dict[str, Any]:  # type: ignore[override]
        """Read when it is asked for, because those of a large sweep are gigabytes; Broken where it has changed."""
        return _manifest(self.path, str(self._record["manifest"]))

    @property
    def content_sha256(self) -> str:
        """That of the record."""
        return str(self._record["content"])

    @property
    def about(self) -> dict[str, Any]:
        """That of the record."""
        return dict(self._record["about"])


@lru_cache(maxsize=2)
def _manifest(path: Path, verified: str) -> dict[str, Any]:
    try:
        data = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise Broken(f"{path / MANIFEST} cannot be read ({error.strerror})") from None
    if sha256(data) != verified:
        raise Broken(f"{path / MANIFEST} has changed since it was verified")
    manifest: dict[str, Any] = json.loads(data)
    del manifest["seal"]
    return manifest


class Verified:
    """The records of a folder of results; `trust` False reads every byte again."""

    def __init__(self, out: Path, trust: bool = True) -> None:
        self.out = out
        self._old: dict[str, Any] = self._read() if trust else {}
        self._new: dict[str, Any] = {}
        self._lock = Lock()

    def _read(self) -> dict[str, Any]:
        try:
            seal, _, data = (self.out / FILE).read_bytes().partition(b"\n")
            records = json.loads(data) if seal == sha256(data).encode() else {}
        except (OSError, ValueError, RecursionError):
            return {}
        return records["folders"] if records.get("version") == VERSION else {}

    def open(self, path: Path, key: Callable[[], Mapping[str, Any]], key_digest: str) -> Entry | None:
        """As `open_entry`, without reading files that are those that were verified before; `key` has this digest."""
        name = path.relative_to(self.out).as_posix()
        record = self._new.get(name) or self._old.get(name)
        if record is None or record["key"] != key_digest or record["files"] != _states(path, record["files"]):
            entry = open_entry(path, key=key())
            if entry is None:
                return None
            packed = entry.manifest.get("places", {})
            names = [MANIFEST, *([PACK] if packed else []), *(entry.manifest["files"].keys() - packed.keys())]
            record = {
                "files": _states(path, names), "manifest": digest_of(path / MANIFEST), "key": key_digest,
                "seal": entry.seal, "content": entry.content_sha256, "about": entry.about,
            }  # fmt: skip
        with self._lock:
            self._new[name] = record
        return Trusted(path, record)

    def save(self) -> None:
        """Keep what was seen beside what was known before."""
        records = {**self._old, **self._new}
        if records == self._old:
            return
        data = json.dumps({"version": VERSION, "folders": records}).encode()
        write_atomically(self.out / FILE, sha256(data).encode() + b"\n" + data)


def _states(folder: Path, names: Iterable[str]) -> dict[str, list[int]]:
    """Size and times of files; a time that only the system sets tells of a change that left the other as it was."""
    found = {}
    for name in names:
        try:
            stat = (folder / name).stat()
        except OSError:
            continue
        found[name] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    return found
