"""Where metrics find their weights files: the package's own folder, or one that the user names."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from metrics.base import MetricError

PACKAGED = Path(__file__).parent / "weights"


def find_weights(file_name: str, weights_dir: Path | None, remedy: str) -> Path:
    """Path of a weights file: `weights_dir` if it holds the file, else the package's folder.

    Raises MetricError that names every place looked at and `remedy`, what to do about it.
    """
    places = [folder / file_name for folder in (weights_dir, PACKAGED) if folder is not None]
    for place in places:
        if place.is_file():
            return place
    raise MetricError(f"weights file missing: looked for {' and '.join(str(p) for p in places)}. {remedy}")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; read once per content (path, size and time of change)."""
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=32)
def _sha256(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
