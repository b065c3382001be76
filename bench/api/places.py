"""Whether a place on disk can be written to, asked before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from bench.api.errors import UsageError


def check_folder(path: Path, option: str) -> Path:
    """The folder `path`, there or to be made; nothing is made. UsageError, in the name of the option that chose it, for
    a file, a device, a place below one, a link that leads nowhere, and where nothing may be written."""
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
            raise UsageError(f"{option}: {path} is a link to {os.readlink(path)}, which does not exist") from None
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
