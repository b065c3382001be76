"""Where metrics find their weights files: a folder that the caller names, the package's, what the user installed."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import platformdirs

from bench.api.metric import MetricError

#: `metrics` lies beside `bench`, in a checkout and where it is installed.
PACKAGED = Path(__file__).resolve().parents[2] / "metrics" / "weights"


def user_weights_dir() -> Path:
    """Where `bench weights import` puts weights, those of methods too: $GESCO_BENCH_WEIGHTS, else the user's data
    directory."""
    return Path(os.environ.get("GESCO_BENCH_WEIGHTS") or platformdirs.user_data_path("gesco-bench") / "weights")


def find_weights(file_name: str, weights_dir: Path | None, remedy: str) -> Path:
    """Path of a weights file: the first of `weights_dir`, the package's folder and the user's that holds it.

    The package's comes before the user's, so that nothing there stands in for what the benchmark ships; networks of
    the user's own training are named (`own_weights`). Raises MetricError that names every place looked at and `remedy`,
    what to do about it.
    """
    places = [folder / file_name for folder in (weights_dir, PACKAGED, user_weights_dir()) if folder is not None]
    for place in places:
        if place.is_file():
            return place
    folders = ", ".join(str(place.parent) for place in places)
    raise MetricError(f"weights file missing: {file_name} is in none of: {folders}. {remedy}")


def own_weights(path: str, weights_dir: Path | None, file_name: str) -> Path:
    """The weights file in a folder that a person named: as it stands, else in `weights_dir`, else among the user's
    weights. MetricError that names every place looked at."""
    places = [
        folder / Path(path).expanduser() / file_name
        for folder in (Path(), weights_dir, user_weights_dir())
        if folder is not None
    ]
    for place in places:
        if path and place.is_file():
            return place
    looked = dict.fromkeys(str(place.absolute()) for place in places)
    raise MetricError(f"there are no weights '{path}'; looked for {', '.join(looked)}")


def find_place(path: str, weights_dir: Path | None) -> Path:
    """A file or folder that a person named: as it stands, else in `weights_dir`, else among the user's weights.

    Raises MetricError that names every place looked at.
    """
    named = Path(path).expanduser()
    places = [folder / named for folder in (Path(), weights_dir, user_weights_dir()) if folder is not None]
    for place in places:
        if place.exists():
            return place
    looked = dict.fromkeys(str(place.absolute()) for place in places)
    raise MetricError(f"there is no '{path}'; looked for {', '.join(looked)}")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; read once per content (path, size and times)."""
    stat = path.stat()
    return _sha256(path, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@lru_cache(maxsize=32)
def _sha256(path: Path, *_state: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
