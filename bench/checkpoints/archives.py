"""Taking one checkpoint out of a downloaded zip or tar, without trusting what the archive says.

Only the bytes of the one member that is asked for are copied, to a place of our choice; nothing is ever extracted under
a member's own name. An archive with a member that would leave its folder is refused as a whole all the same: whoever
made it meant harm, or it is not what the authors publish.
"""

from __future__ import annotations

import fnmatch
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from bench.api.errors import STORAGE_ERRORS
from bench.checkpoints.catalogue import WeightsError

CHECKPOINT_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".pth.tar", ".pt.tar")
#: An archive of checkpoints that unpacks to more than this is refused unread.
ARCHIVE_LIMIT = 64 * 2**30
MEMBER_LIMIT = 100_000
#: What reading damaged archives and packed files raises; places out of the file's range are OSError or ValueError.
DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError,
    OverflowError,
)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A file in an archive: its name there and its unpacked size in bytes."""

    name: str
    size: int


def extract(archive: Path, wanted: Sequence[str], limit: int, destination: Path) -> str:
    """Copy the member that `wanted` describes to the file `destination`; its name in the archive.

    `wanted` are the paths at which the authors keep the checkpoint (see `choose`). WeightsError for an unsafe member
    anywhere in the archive, one of more than `limit` bytes, a damaged archive, or no clear choice.
    """
    try:
        if _starts_as_zip(archive):
            with zipfile.ZipFile(archive) as opened:
                member = choose(_zip_members(archive, opened), wanted, archive)
                with opened.open(member.name) as source:
                    _copy(source, destination, member, limit, archive)
        else:
            with tarfile.open(archive, "r:*") as tar:
                member = choose(_tar_members(archive, tar), wanted, archive)
                stored = tar.extractfile(member.name)
                assert stored is not None  # a plain file, by _tar_members
                with closing(stored):
                    _copy(stored, destination, member, limit, archive)
    except RuntimeError as error:  # zipfile's word for a member under a password
        raise WeightsError(f"{archive} cannot be unpacked: {error}; unpack it yourself and import the file") from None
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:  # the disk, not the archive
            raise
        raise WeightsError(
            f"{archive} is truncated or damaged ({error}); download it again. Nothing was written"
        ) from None
    return member.name


def choose(members: Sequence[Member], wanted: Sequence[str], archive: Path) -> Member:
    """The one member that is meant: its path ends as one in `wanted` does, else its name is the same, else it is the
    only checkpoint there. WeightsError lists the checkpoints of the archive where that leaves none, or several."""
    checkpoints = [m for m in members if m.name.lower().endswith(CHECKPOINT_SUFFIXES)]
    whole = [m for m in members if any(_ends_with(m.name, path) for path in wanted)]
    by_name = [m for m in members if any(_ends_with(m.name, path.rsplit("/", 1)[-1]) for path in wanted)]
    for found in (whole, by_name, checkpoints):
        if len(found) == 1:
            return found[0]
        if found:
            break
    expected = f"it should hold {' or '.join(wanted)}" if wanted else "none is known by name"
    raise WeightsError(
        f"which file of {archive} is meant? {expected}; it holds {len(checkpoints)} checkpoints. "
        "Unpack it and import the file itself",
        tuple(m.name for m in checkpoints[:20]),
    )


def check_name(name: str, archive: Path) -> None:
    """WeightsError for a member's name that leads out of the folder it is unpacked in."""
    parts = re.split(r"[/\\]", name)
    if ".." in parts or not parts[0] or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise WeightsError(f"{archive} is refused: its entry {name!r} lies outside its folder. Nothing was written")


def _starts_as_zip(archive: Path) -> bool:
    """Whether it is a zip by its first bytes; by its last ones a tar is too that ends with PyTorch's zip format."""
    with archive.open("rb") as file:
        return file.read(2) == b"PK"


def _ends_with(name: str, pattern: str) -> bool:
    """Whether the last components of a member's path match those of a pattern, one by one."""
    wanted, parts = PurePosixPath(pattern).parts, PurePosixPath(name.replace("\\", "/")).parts
    return len(parts) >= len(wanted) and all(
        fnmatch.fnmatchcase(part, one) for part, one in zip(parts[-len(wanted) :], wanted, strict=True)
    )


def _zip_members(archive: Path, opened: zipfile.ZipFile) -> list[Member]:
    members: list[Member] = []
    total = 0
    for info in opened.infolist():
        check_name(info.filename, archive)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _no_plain_file(archive, info.filename)
        total = _within_limits(archive, total + info.file_size, len(members))
        if not info.is_dir():
            members.append(Member(info.filename, info.file_size))
    return members


def _tar_members(archive: Path, opened: tarfile.TarFile) -> list[Member]:
    members: list[Member] = []
    total = 0
    for info in opened:
        check_name(info.name, archive)
        if not (info.isreg() or info.isdir()):
            raise _no_plain_file(archive, info.name)
        total = _within_limits(archive, total + info.size, len(members))
        if info.isreg():
            members.append(Member(info.name, info.size))
    return members


def _no_plain_file(archive: Path, name: str) -> WeightsError:
    return WeightsError(f"{archive} is refused: its entry {name!r} is a link or a device. Nothing was written")


def _within_limits(archive: Path, total: int, count: int) -> int:
    if total > ARCHIVE_LIMIT or count > MEMBER_LIMIT:
        raise WeightsError(
            f"{archive} is refused: it unpacks to more than {ARCHIVE_LIMIT >> 30} GiB or {MEMBER_LIMIT} files, which "
            "no archive of checkpoints does. Nothing was written"
        )
    return total


def _copy(source: IO[bytes], destination: Path, member: Member, limit: int, archive: Path) -> None:
    """Copy a member's bytes; WeightsError beyond `limit`, whatever size the archive declares."""
    written = 0
    with destination.open("wb") as target:
        while member.size <= limit and (chunk := source.read(1 << 20)):
            written += len(chunk)
            if written > limit:
                break
            target.write(chunk)
    if max(written, member.size) > limit:
        raise WeightsError(
            f"{archive} is refused: its entry {member.name!r} has more than {limit >> 20} MiB, too many for this "
            "network. Nothing was written"
        )
    if written < member.size:
        raise EOFError(f"{member.name} ends after {written} of {member.size} bytes")
