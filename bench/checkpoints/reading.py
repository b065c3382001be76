"""Reading a checkpoint as its authors publish it, without executing anything in it.

Known containers: PyTorch's zip format and its older stream of pickles (.pth, .pt, .pth.tar), safetensors, one of these
packed by gzip, bzip2 or xz, and a zip or tar archive that holds one. What a file is, is told from its first bytes, not
from its name. Training checkpoints hold more than weights: settings beside them are left out, and of several state
dicts one has to be named.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import lzma
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bench.api.errors import STORAGE_ERRORS, some
from bench.checkpoints.archives import DAMAGE, check_name, extract
from bench.checkpoints.catalogue import WeightsError
from bench.checkpoints.pickles import NotAPickle, foreign_globals

#: How deep in a checkpoint's dictionaries a state dict is looked for.
_DEPTH = 4
#: First bytes of packed files, and what unpacks them.
_PACKED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
#: PyTorch's stream format is five pickles, the storages behind them: magic number, version, system, object, keys.
_STREAM_PICKLES = 5
_SAFETENSORS_HEADER = 100 * 2**20  # the format's own limit


@dataclass(frozen=True)
class Checkpoint:
    """A state dict, the archive's entry it comes from, if it comes from one, and the key in the checkpoint's dictionary
    that it was under, if it was under one.

    Tensors may be views of the mapped file: they are valid inside `open_checkpoint`'s block only.
    """

    tensors: dict[str, Tensor]
    entry: str | None = None
    key: str | None = None


@contextmanager
def open_checkpoint(
    path: Path,
    wanted: Sequence[str],
    limit: int,
    under: str | None = None,
    fits: Callable[[dict[str, Tensor]], bool] = lambda tensors: False,
) -> Iterator[Checkpoint]:
    """The state dict in `path`, a checkpoint or an archive with one.

    `wanted` are the paths at which the authors' archive keeps it, `limit` the most bytes that it may unpack to, `under`
    the key of the state dict that is meant where the checkpoint holds several that are, or may be, of the network
    (`fits` tells).
    Memory: nothing for PyTorch's zip format and safetensors, which are mapped; one copy for the older format.
    WeightsError, naming what was found, for anything that is no plain and whole state dict.
    """
    kind = _kind(path)
    if kind not in ("archive", "packed"):
        yield _state(_load(path, kind, str(path)), str(path), under, fits)
        return
    with tempfile.TemporaryDirectory(prefix="gesco-bench-") as folder:
        inner = Path(folder) / "checkpoint"
        if kind == "packed":
            entry, what = None, f"what {path} unpacks to"
            _unpack(path, inner, limit)
        else:
            entry = extract(path, wanted, limit, inner)
            what = f"{entry} in {path}"
        kind = _kind(inner, what)
        if kind in ("archive", "packed"):
            raise WeightsError(f"{what} is an archive again; unpack it yourself and import the file")
        yield replace(_state(_load(inner, kind, what), what, under, fits), entry=entry)


def _kind(path: Path, what: str | None = None) -> str:
    """archive | packed (a single checkpoint) | zip (PyTorch's) | stream (PyTorch's older format) | safetensors;
    WeightsError for anything else."""
    what = what or str(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise WeightsError(f"{what} is a folder; name the checkpoint in it")
        if not stat.S_ISREG(mode):  # reading a pipe would wait for ever
            raise WeightsError(f"{what} is a pipe or a device, not a file; name the checkpoint as it was downloaded")
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise WeightsError(f"there is no file {what}") from None
    except OSError as error:
        raise WeightsError(f"{what} cannot be read: {error.strerror or error}") from None
    if not head:
        raise WeightsError(f"{what} is empty; download it again")
    if head[:2] == b"PK":
        if not zipfile.is_zipfile(path):
            raise _truncated(what)
        try:
            with zipfile.ZipFile(path) as opened:
                names = opened.namelist()
        except (*DAMAGE, NotImplementedError) as error:
            raise WeightsError(f"{what} is damaged ({error}); download it again") from None
        roots = {name.split("/", 1)[0] for name in names}
        return "zip" if len(roots) == 1 and f"{min(roots)}/data.pkl" in names else "archive"
    if head[257:262] == b"ustar":
        return "archive"
    if any(head.startswith(magic) for magic in _PACKED):
        return "packed" if _holds_checkpoint(path) else "archive"
    if int.from_bytes(head[:8], "little") <= _SAFETENSORS_HEADER and head[8:9] == b"{":
        return "safetensors"
    if head.lstrip()[:1] == b"<":
        raise WeightsError(f"{what} is a web page, not a checkpoint: open the link in a browser and download the file")
    return "stream"


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
    safetensors = int.from_bytes(head[:8], "little") <= _SAFETENSORS_HEADER and head[8:9] == b"{"
    return head[257:262] != b"ustar" and (pickle_or_zip or safetensors)


def _unpack(path: Path, destination: Path, limit: int) -> None:
    """Unpack a single file; WeightsError where it is damaged, or beyond `limit` bytes."""
    written = 0
    try:
        with _opened(path) as source, destination.open("wb") as target:
            while chunk := source.read(1 << 20):
                written += len(chunk)
                if written > limit:
                    raise WeightsError(
                        f"{path} is refused: it unpacks to more than {limit >> 20} MiB, too many for this network. "
                        "Nothing was written"
                    )
                target.write(chunk)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
            raise
        raise WeightsError(
            f"{path} is truncated or damaged ({error}); download it again. Nothing was written"
        ) from None


def _load(path: Path, kind: str, what: str) -> Any:
    """What the file holds, on the CPU."""
    if kind == "safetensors":
        try:
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        except SafetensorError as error:
            raise WeightsError(f"{what} is truncated or damaged ({error}); download it again") from None
    wanted = _globals_of_zip(path, what) if kind == "zip" else _globals_of_stream(path, what)
    if wanted:
        raise WeightsError(
            f"{what} is refused: loading it would call or create {some(wanted)}, and a checkpoint needs tensors alone. "
            "Nothing was executed, nothing was written"
        )
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # an object with values, and no code of its own
            return torch.load(path, map_location="cpu", weights_only=True, mmap=kind == "zip")
    except Exception as error:  # on damaged bytes PyTorch's unpickler fails in many ways; it executes nothing
        text = " ".join(str(error).split())
        if isinstance(error, EOFError) or "EOF" in text or "truncated" in text or "Ran out of input" in text:
            raise _truncated(what) from None
        raise WeightsError(f"{what} is no checkpoint that can be read safely: {text[:200]}") from None


def _truncated(what: str) -> WeightsError:
    return WeightsError(f"{what} is truncated: it ends before its content does; download it again")


def _globals_of_zip(path: Path, what: str) -> list[str]:
    """Foreign names in the pickles of PyTorch's zip format; WeightsError where the file is not as PyTorch writes it."""
    try:
        return _globals_of_entries(path, what)
    except (*DAMAGE, RuntimeError) as error:  # RuntimeError: an entry under a password, or of an unknown version
        raise WeightsError(f"{what} is damaged ({error}); download it again") from None


def _globals_of_entries(path: Path, what: str) -> list[str]:
    found: list[str] = []
    with zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            check_name(info.filename, Path(what))
            if info.compress_type != zipfile.ZIP_STORED:
                raise WeightsError(f"{what} is refused: PyTorch never compresses its files' entries, and these are")
            try:
                if info.filename.endswith(".pkl"):
                    with opened.open(info) as stream:
                        found += foreign_globals(stream)
            except NotAPickle as error:
                raise WeightsError(f"{what} is damaged: {info.filename} is no pickle ({error})") from None
        if damaged := opened.testzip():
            raise WeightsError(f"{what} is damaged: the checksum of {damaged} is wrong; download it again")
    return list(dict.fromkeys(found))


def _globals_of_stream(path: Path, what: str) -> list[str]:
    """Foreign names in the pickles at the head of PyTorch's older format."""
    found: list[str] = []
    with path.open("rb") as stream:
        for number in range(_STREAM_PICKLES):
            try:
                found += foreign_globals(stream)
            except NotAPickle as error:
                if found:  # a pickle that is not PyTorch's: what it wants is known already
                    break
                if error.truncated and (number or stream.tell() > 1):
                    raise _truncated(what) from None
                raise WeightsError(f"{what} is neither a checkpoint nor an archive of checkpoints") from None
    return list(dict.fromkeys(found))


def _state(loaded: Any, what: str, under: str | None, fits: Callable[[dict[str, Tensor]], bool]) -> Checkpoint:
    """The state dict in what was loaded: the one under the key `under`, else the only one there is, else the only one
    that fits."""
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{what} holds a {type(loaded).__name__}, not a state dict")
    found = dict(_state_dicts(loaded))
    if under is not None:
        if under not in found:
            names = [key for key in found if key]
            raise WeightsError(f"{what} has no state dict under '{under}'; it has {some(names) if names else 'none'}")
        return Checkpoint(found[under], key=under)
    if len(found) > 1:
        fitting = {key: tensors for key, tensors in found.items() if fits(tensors)}
        found = fitting if len(fitting) == 1 else found
    if len(found) > 1:
        sizes = [f"'{key}' ({len(tensors)} tensors)" for key, tensors in found.items() if key]
        example = next(key for key in found if key)
        raise WeightsError(
            f"{what} holds {len(found)} state dicts: {some(sizes)}. Say which one is meant, for example --key "
            f"{example} (of a training, the averaged network, `ema`, is usually what is sampled with). Nothing was "
            "written"
        )
    for key, tensors in found.items():
        return Checkpoint(tensors, key=key or None)
    keys = [str(key) for key in loaded]
    raise WeightsError(f"{what} is no state dict: {some(keys) + ' hold no tensors' if keys else 'it is empty'}")


def _state_dicts(
    loaded: Mapping[Any, Any], path: str = "", depth: int = _DEPTH
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every dictionary of tensors in a checkpoint, by the keys that lead there, joined by `/`.

    Other values beside tensors (an epoch, an argparse.Namespace) are settings and left out. Dictionaries with keys that
    are no text are those of optimisers.
    """
    if not loaded or not all(isinstance(key, str) for key in loaded):
        return
    tensors = {key: value.detach() for key, value in loaded.items() if isinstance(value, Tensor)}
    if any(tensor.ndim for tensor in tensors.values()):  # numbers alone are settings too
        yield path, tensors
    for key, value in loaded.items():
        if isinstance(value, Mapping) and depth:
            yield from _state_dicts(value, f"{path}/{key}" if path else key, depth - 1)
