"""Cells claimed by whoever is at them, so that runs into one folder share the work instead of doubling it.

A claim is a lock on a file below OUT/claims. The system ends it with its process, however that ends, also over the
network where the file system carries `flock` (NFS 4, Lustre, GPFS, CephFS do). Where it does not, every run computes
all of its cells: twice the work, but the same bytes, because a cell appears by one rename.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from bench.api.errors import StorageError, storage_message
from bench.api.seeding import digest

if TYPE_CHECKING:
    from bench.run.plan import Cell

_FOLDER = "claims"


@contextmanager
def claim(cell: Cell, out: Path) -> Iterator[bool]:
    """Hold the claim on a cell and all that is measured of it; False where another process has it."""
    with _held(out / _FOLDER / f"{digest(cell.key)[:32]}.lock") as ours:
        yield ours


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    lock = filelock.FileLock(path, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        yield False
        return
    except NotImplementedError:  # no `flock` here
        yield True
        return
    except OSError as error:
        raise StorageError(storage_message(error, path) or f"cannot make {path}: {error.strerror}") from error
    try:
        yield True
    finally:
        with suppress(OSError):  # before it is let go: whoever comes later makes a new one
            path.unlink()
        lock.release()


def is_claimed(cell: Cell, out: Path) -> bool:
    """Whether another process is at the cell just now."""
    with claim(cell, out) as free:
        return not free


def clean_claims(out: Path) -> None:
    """Remove the files of claims whose processes are dead."""
    for path in (out / _FOLDER).glob("*.lock"):
        with suppress(StorageError), _held(path):
            pass
