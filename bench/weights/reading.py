"""Reading a checkpoint as its authors publish it, without executing anything in it.

Known containers: PyTorch's zip format and its older stream of pickles (.pth, .pt, .pth.tar), safetensors, and a zip or
tar archive that holds one of these. What a file is, is told from its first bytes, not from its name.
"""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bench.weights.archives import check_name, extract
from bench.weights.catalogue import WeightsError
from bench.weights.pickles import NotAPickle, foreign_globals
from methods.weights import some

#: Keys under which training checkpoints keep the state dict of the network.
WRAPPERS = ("state_dict", "model")
#: What `torch.nn.DataParallel` puts before every key.
PARALLEL = "module."
#: PyTorch's stream format is five pickles, the storages behind them: magic number, version, system, object, keys.
_STREAM_PICKLES = 5
_SAFETENSORS_HEADER = 100 * 2**20  # the format's own limit


@dataclass(frozen=True)
class Checkpoint:
    """A state dict, and the archive's entry it comes from, if it comes from one.

    Tensors may be views of the mapped file: they are valid inside `open_checkpoint`'s block only.
    """

    tensors: dict[str, Tensor]
    entry: str | None = None


@contextmanager
def open_checkpoint(path: Path, wanted: Sequence[str], limit: int) -> Iterator[Checkpoint]:
    """The state dict in `path`, a checkpoint or an archive with one.

    `wanted` are the paths at which the authors' archive keeps it, `limit` the most bytes that it may unpack to.
    Memory: nothing for PyTorch's zip format and safetensors, which are mapped; one copy for the older format.
    WeightsError, naming what was found, for anything that is no plain and whole state dict.
    """
    kind = _kind(path)
    if kind != "archive":
        yield Checkpoint(_state(_load(path, kind, str(path)), str(path)))
        return
    with tempfile.TemporaryDirectory(prefix="gesco-bench-") as folder:
        inner = Path(folder) / "checkpoint"
        entry = extract(path, wanted, limit, inner)
        what = f"{entry} in {path}"
        kind = _kind(inner, what)
        if kind == "archive":
            raise WeightsError(f"{what} is an archive again; unpack it yourself and import the file")
        yield Checkpoint(_state(_load(inner, kind, what), what), entry)


def _kind(path: Path, what: str | None = None) -> str:
    """archive | zip (PyTorch's) | stream (PyTorch's older format) | safetensors; WeightsError for anything else."""
    what = what or str(path)
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise WeightsError(f"there is no file {what}") from None
    except IsADirectoryError:
        raise WeightsError(f"{what} is a folder; name the checkpoint in it") from None
    if not head:
        raise WeightsError(f"{what} is empty; download it again")
    if head[:2] == b"PK":
        if not zipfile.is_zipfile(path):
            raise _truncated(what)
        with zipfile.ZipFile(path) as opened:
            names = opened.namelist()
        roots = {name.split("/", 1)[0] for name in names}
        return "zip" if len(roots) == 1 and f"{min(roots)}/data.pkl" in names else "archive"
    packed = head[:2] == b"\x1f\x8b" or head[:3] == b"BZh" or head[:6] == b"\xfd7zXZ\x00"
    if packed or head[257:262] == b"ustar":
        return "archive"
    if int.from_bytes(head[:8], "little") <= _SAFETENSORS_HEADER and head[8:9] == b"{":
        return "safetensors"
    if head.lstrip()[:1] == b"<":
        raise WeightsError(f"{what} is a web page, not a checkpoint: open the link in a browser and download the file")
    return "stream"


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
        try:
            damaged = opened.testzip()
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise WeightsError(f"{what} is damaged ({error}); download it again") from None
        if damaged:
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


def _state(loaded: Any, what: str) -> dict[str, Tensor]:
    """The state dict in what was loaded: out of its wrapper, without DataParallel's prefix."""
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{what} holds a {type(loaded).__name__}, not a state dict")
    others = [str(key) for key, value in loaded.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if others or not loaded:
        raise WeightsError(f"{what} is no state dict: {some(others) + ' hold no tensors' if others else 'it is empty'}")
    strip = len(PARALLEL) if all(key.startswith(PARALLEL) for key in loaded) else 0
    return {key[strip:]: value.detach() for key, value in loaded.items()}
