"""What kind of file a download is, and taking one checkpoint out of an archive without trusting what that says.

What a file is, is told from its first bytes, not from its name. Only the bytes of the one member that is asked for are
copied, to a place of our choice; nothing is ever extracted under a member's own name. An archive with a member that
would leave its folder is refused as a whole all the same: whoever made it meant harm, or it is not what the authors
publish.
"""

import bz2
import fnmatch
import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from bench.api.errors import STORAGE_ERRORS, BenchError

CHECKPOINT_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".pth.tar", ".pt.tar")
#: An archive of checkpoints that unpacks to more than this is refused unread.
ARCHIVE_LIMIT = 64 * 2**30
MEMBER_LIMIT = 100_000
#: What reading damaged archives and packed files raises; places out of the file's range are OSError or ValueError.
DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError,
    OverflowError,
)  # fmt: skip

#: First bytes of packed files, and what unpacks them.
_PACKED: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_SAFETENSORS_HEADER = 100 * 2**20  # the format's own limit


class CheckpointError(BenchError):
    """A weights file is refused or damaged."""


@dataclass(frozen=True)
class Member:
    """A file in an archive: its name there and its unpacked size in bytes."""

    name: str
    size: int


def extract(archive: Path, wanted: Sequence[str], limit: int, destination: Path) -> str:
    """Copy the member that `wanted` describes to the file `destination`; its name in the archive.

    `wanted` are the paths at which the authors keep the checkpoint (see `choose`). CheckpointError for an unsafe member
    anywhere in the archive, one of more than `limit` bytes, a damaged archive, or no clear choice.
    """
    try:
        with _undamaged(archive), ExitStack() as stack:
            # by its first bytes; by its last ones a tar is a zip too that ends with PyTorch's zip format
            if _head(archive, str(archive))[:2] == b"PK":
                packed = stack.enter_context(zipfile.ZipFile(archive))
                member = choose(_members(archive, _in_zip(packed)), wanted, archive)
                source: IO[bytes] | None = packed.open(member.name)
            else:
                tar = stack.enter_context(tarfile.open(archive, "r:*"))
                files = ((i.name, i.size, i.isreg() or i.isdir(), i.isreg()) for i in tar)
                member = choose(_members(archive, files), wanted, archive)
                source = tar.extractfile(member.name)
            if source is None:
                raise EOFError(f"{member.name} is no file")
            stack.enter_context(source)
            refused = f"{archive} is refused: its entry {member.name!r} has"
            written = _copy(source, destination, limit, refused, member.size)
            if written < member.size:
                raise EOFError(f"{member.name} ends after {written} of {member.size} bytes")
    except RuntimeError as error:  # zipfile's word for a member under a password
        raise CheckpointError(
            f"{archive} cannot be unpacked: {error}; unpack it yourself and import the file"
        ) from None
    return member.name


def choose(members: Sequence[Member], wanted: Sequence[str], archive: Path) -> Member:
    """The one member that is meant.

    Its path ends as one in `wanted` does, else its name is the same, else it is the only checkpoint there.
    CheckpointError lists the checkpoints of the archive where that leaves none, or several.
    """
    checkpoints = [m for m in members if m.name.lower().endswith(CHECKPOINT_SUFFIXES)]
    whole = [m for m in members if any(_ends_with(m.name, path) for path in wanted)]
    by_name = [m for m in members if any(_ends_with(m.name, path.rsplit("/", 1)[-1]) for path in wanted)]
    for found in (whole, by_name, checkpoints):
        if len(found) == 1:
            return found[0]
        if found:
            break
    expected = f"it should hold {' or '.join(wanted)}" if wanted else "none is known by name"
    raise CheckpointError(
        f"which file of {archive} is meant? {expected}; it holds {len(checkpoints)} checkpoints. "
        "Unpack it and import the file itself",
        tuple(m.name for m in checkpoints[:20]),
    )


def check_name(name: str, archive: Path) -> None:
    """CheckpointError for a member's name that leads out of the folder it is unpacked in."""
    parts = re.split(r"[/\\]", name)
    if ".." in parts or not parts[0] or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise CheckpointError(f"{archive} is refused: its entry {name!r} lies outside its folder. Nothing was written")


def _ends_with(name: str, pattern: str) -> bool:
    """Whether the last components of a member's path match those of a pattern, one by one."""
    wanted, parts = PurePosixPath(pattern).parts, PurePosixPath(name.replace("\\", "/")).parts
    return len(parts) >= len(wanted) and all(
        fnmatch.fnmatchcase(part, one) for part, one in zip(parts[-len(wanted) :], wanted, strict=True)
    )


def _members(archive: Path, found: Iterable[tuple[str, int, bool, bool]]) -> list[Member]:
    """The files of an archive, of whose entries `found` says name, size, whether they are harmless, and files."""
    members: list[Member] = []
    total = 0
    for name, size, harmless, is_file in found:
        check_name(name, archive)
        if not harmless:
            raise CheckpointError(
                f"{archive} is refused: its entry {name!r} is a link or a device. Nothing was written"
            )
        total += size
        if total > ARCHIVE_LIMIT or len(members) > MEMBER_LIMIT:
            raise CheckpointError(
                f"{archive} is refused: it unpacks to more than {ARCHIVE_LIMIT >> 30} GiB or {MEMBER_LIMIT} files, "
                "which no archive of checkpoints does. Nothing was written"
            )
        if is_file:
            members.append(Member(name, size))
    return members


def _in_zip(opened: zipfile.ZipFile) -> Iterator[tuple[str, int, bool, bool]]:
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        yield info.filename, info.file_size, kind in (0, stat.S_IFREG, stat.S_IFDIR), not info.is_dir()


def _copy(source: IO[bytes], destination: Path, limit: int, refused: str, declared: int = 0) -> int:
    """Copy bytes, and say how many; CheckpointError beyond `limit`, whatever size an archive declares."""
    written = 0
    with destination.open("wb") as target:
        while declared <= limit and (chunk := source.read(1 << 20)):
            written += len(chunk)
            if written > limit:
                break
            target.write(chunk)
    if max(written, declared) > limit:
        raise CheckpointError(f"{refused} more than {limit >> 20} MiB, too many for this network. Nothing was written")
    return written


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """CheckpointError for what damaged archives and packed files raise."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:  # the disk, not the archive
            raise
        raise CheckpointError(
            f"{path} is truncated or damaged ({error}); download it again. Nothing was written"
        ) from None


def kind_of(path: Path, what: str | None = None) -> str:
    """Which kind of file it is; CheckpointError for anything else.

    archive | packed (a single checkpoint) | zip (PyTorch's) | stream (PyTorch's older format) | safetensors
    """
    what = what or str(path)
    head = _head(path, what)
    if head[:2] == b"PK":
        return _kind_of_zip(path, what)
    if head[257:262] == b"ustar":
        return "archive"
    if any(head.startswith(magic) for magic in _PACKED):
        return "packed" if _holds_checkpoint(path) else "archive"
    if _is_safetensors(head):
        return "safetensors"
    if head.lstrip()[:1] == b"<":
        raise CheckpointError(
            f"{what} is a web page, not a checkpoint: open the link in a browser and download the file"
        )
    return "stream"


def _head(path: Path, what: str) -> bytes:
    """The first bytes of a file; CheckpointError where there are none."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise CheckpointError(f"{what} is a folder; name the checkpoint in it")
        if not stat.S_ISREG(mode):  # reading a pipe would wait for ever
            raise CheckpointError(f"{what} is a pipe or a device, not a file; name the checkpoint as it was downloaded")
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {what}") from None
    except OSError as error:
        raise CheckpointError(f"{what} cannot be read: {error.strerror or error}") from None
    if not head:
        raise CheckpointError(f"{what} is empty; download it again")
    return head


def _kind_of_zip(path: Path, what: str) -> str:
    if not zipfile.is_zipfile(path):
        raise truncated(what)
    try:
        with zipfile.ZipFile(path) as opened:
            names = opened.namelist()
    except (*DAMAGE, NotImplementedError) as error:
        raise CheckpointError(f"{what} is damaged ({error}); download it again") from None
    roots = {name.split("/", 1)[0] for name in names}
    return "zip" if len(roots) == 1 and f"{min(roots)}/data.pkl" in names else "archive"


def _is_safetensors(head: bytes) -> bool:
    return int.from_bytes(head[:8], "little") <= _SAFETENSORS_HEADER and head[8:9] == b"{"


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        head = file.read(8)
    opener = next(opener for magic, opener in _PACKED.items() if head.startswith(magic))
    return opener(path)  # type: ignore[no-any-return]


def _holds_checkpoint(path: Path) -> bool:
    """Whether a packed file begins as a checkpoint does, and not as a tar."""
    try:
        with _opened(path) as stream:
            head = stream.read(512)
    except DAMAGE:
        return False  # damaged: reading it as an archive says so
    pickle_or_zip = head[:1] == b"\x80" or head[:2] == b"PK"
    return head[257:262] != b"ustar" and (pickle_or_zip or _is_safetensors(head))


def unpack(path: Path, destination: Path, limit: int) -> None:
    """Unpack a single file; CheckpointError where it is damaged, or beyond `limit` bytes."""
    with _undamaged(path), _opened(path) as source:
        _copy(source, destination, limit, f"{path} is refused: it unpacks to")


def truncated(what: str) -> CheckpointError:
    """The error for a file that ends early."""
    return CheckpointError(f"{what} is truncated: it ends before its content does; download it again")
