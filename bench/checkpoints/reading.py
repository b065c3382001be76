"""Reading a checkpoint as its authors publish it, without executing anything in it.

Known containers: PyTorch's zip format and its older stream of pickles (.pth, .pt, .pth.tar), safetensors, one of these
packed by gzip, bzip2 or xz, and a zip or tar archive that holds one. What a file is, is told from its first bytes, not
from its name. Training checkpoints hold more than weights: settings beside them are left out, and of several state
dicts one has to be named.
"""

import argparse
import pickletools
import re
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

from bench.api.errors import some
from bench.checkpoints.archives import DAMAGE, CheckpointError, check_name, extract, kind_of, truncated, unpack

#: How deep in a checkpoint's dictionaries a state dict is looked for.
_DEPTH = 4
#: PyTorch's stream format is five pickles, the storages behind them: magic number, version, system, object, keys.
_STREAM_PICKLES = 5

#: What a pickled state dict needs: an ordered dictionary, tensors and their storages, types and sizes; and what is
#: often beside it.
_HARMLESS = re.compile(
    r"collections\.OrderedDict"
    r"|torch\._utils\._rebuild_(tensor(_v[23])?|parameter)"
    r"|torch\.(\w+Storage|Size|device|float\d+|bfloat16|half|double|u?int\d+|long|bool)"
    r"|torch\.storage\.(Untyped|Typed)Storage"
    r"|argparse\.Namespace"  # settings that a training kept beside its weights: an object with values and no code
)
_TEXT = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING")


@dataclass(frozen=True)
class Checkpoint:
    """A state dict, and where it comes from: an archive's entry, and a key in the checkpoint's dictionary, if any.

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
    CheckpointError, naming what was found, for anything that is no plain and whole state dict.
    """
    kind = kind_of(path)
    if kind not in ("archive", "packed"):
        yield _state(_load(path, kind, str(path)), str(path), under, fits)
        return
    with tempfile.TemporaryDirectory(prefix="gesco-bench-") as folder:
        inner = Path(folder) / "checkpoint"
        if kind == "packed":
            entry, what = None, f"what {path} unpacks to"
            unpack(path, inner, limit)
        else:
            entry = extract(path, wanted, limit, inner)
            what = f"{entry} in {path}"
        kind = kind_of(inner, what)
        if kind in ("archive", "packed"):
            raise CheckpointError(f"{what} is an archive again; unpack it yourself and import the file")
        yield replace(_state(_load(inner, kind, what), what, under, fits), entry=entry)


def _load(path: Path, kind: str, what: str) -> Any:
    """What the file holds, on the CPU."""
    if kind == "safetensors":
        try:
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        except SafetensorError as error:
            raise CheckpointError(f"{what} is truncated or damaged ({error}); download it again") from None
    try:
        wanted = _globals_of_zip(path, what) if kind == "zip" else _globals_of_stream(path, what)
    except (*DAMAGE, RuntimeError) as error:  # RuntimeError: an entry under a password, or of an unknown version
        raise CheckpointError(f"{what} is damaged ({error}); download it again") from None
    if wanted:
        raise CheckpointError(
            f"{what} is refused: loading it would call or create {some(wanted)}, and a checkpoint needs tensors alone. "
            "Nothing was executed, nothing was written"
        )
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # an object with values, and no code of its own
            return torch.load(path, map_location="cpu", weights_only=True, mmap=kind == "zip")
    except Exception as error:  # on damaged bytes PyTorch's unpickler fails in many ways; it executes nothing
        text = " ".join(str(error).split())
        if isinstance(error, EOFError) or "EOF" in text or "truncated" in text or "Ran out of input" in text:
            raise truncated(what) from None
        raise CheckpointError(f"{what} is no checkpoint that can be read safely: {text[:200]}") from None


class NotAPickle(Exception):
    """The bytes are no pickle, or end before the pickle does (`truncated`)."""

    def __init__(self, reason: str, truncated: bool) -> None:
        super().__init__(reason)
        self.truncated = truncated


def foreign_globals(stream: IO[bytes]) -> list[str]:
    """Names (`module.name`) that the pickle at the stream's position refers to and a state dict does not need.

    Leaves the stream behind the pickle. Raises NotAPickle.
    """
    names: list[str] = []
    texts: list[str] = []  # pushed so far; the last two are what STACK_GLOBAL takes
    memo: dict[int, str] = {}
    remembered = 0
    last: str | None = None  # the text on top of the stack, if it is one
    try:
        for operation, argument, _ in pickletools.genops(stream):
            name = operation.name
            if name in ("GLOBAL", "INST"):
                names.append(str(argument).replace(" ", ".", 1))
                last = None
            elif name == "STACK_GLOBAL":
                names.append(".".join(texts[-2:]))
                last = None
            elif name in _TEXT:
                last = str(argument)
                texts.append(last)
            elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
                index = remembered if argument is None else int(argument)
                remembered += 1
                if last is not None:
                    memo[index] = last
            elif name in ("BINGET", "LONG_BINGET", "GET"):
                last = memo.get(int(str(argument)))
                texts.append(last or "?")
            else:
                last = None
    except Exception as error:  # pickletools fails in many ways on arbitrary bytes
        text = str(error) or type(error).__name__
        ended = "exhausted" in text or "not enough data" in text or "no newline found" in text
        raise NotAPickle(text, truncated=ended) from error
    return [name for name in dict.fromkeys(names) if not _HARMLESS.fullmatch(name)]


def _globals_of_zip(path: Path, what: str) -> list[str]:
    """Foreign names in the pickles of PyTorch's zip format; CheckpointError where the file is not as it writes it."""
    found: list[str] = []
    with zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            check_name(info.filename, Path(what))
            if info.compress_type != zipfile.ZIP_STORED:
                raise CheckpointError(f"{what} is refused: PyTorch never compresses its files' entries, and these are")
            try:
                if info.filename.endswith(".pkl"):
                    with opened.open(info) as stream:
                        found += foreign_globals(stream)
            except NotAPickle as error:
                raise CheckpointError(f"{what} is damaged: {info.filename} is no pickle ({error})") from None
        if damaged := opened.testzip():
            raise CheckpointError(f"{what} is damaged: the checksum of {damaged} is wrong; download it again")
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
                    raise truncated(what) from None
                raise CheckpointError(f"{what} is neither a checkpoint nor an archive of checkpoints") from None
    return list(dict.fromkeys(found))


def _state(loaded: Any, what: str, under: str | None, fits: Callable[[dict[str, Tensor]], bool]) -> Checkpoint:
    """The state dict in what was loaded: the one under `under`, else the only one there is, else the only that fits."""
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{what} holds a {type(loaded).__name__}, not a state dict")
    found = dict(_state_dicts(loaded))
    if under is not None:
        if under not in found:
            names = [key for key in found if key]
            raise CheckpointError(
                f"{what} has no state dict under '{under}'; it has {some(names) if names else 'none'}"
            )
        return Checkpoint(found[under], key=under)
    if len(found) > 1:
        fitting = {key: tensors for key, tensors in found.items() if fits(tensors)}
        found = fitting if len(fitting) == 1 else found
    if len(found) > 1:
        sizes = [f"'{key}' ({len(tensors)} tensors)" for key, tensors in found.items() if key]
        example = next(key for key in found if key)
        raise CheckpointError(
            f"{what} holds {len(found)} state dicts: {some(sizes)}. Say which one is meant, for example --key "
            f"{example} (of a training, the averaged network, `ema`, is usually what is sampled with). Nothing was "
            "written"
        )
    for key, tensors in found.items():
        return Checkpoint(tensors, key=key or None)
    keys = [str(key) for key in loaded]
    raise CheckpointError(f"{what} is no state dict: {some(keys) + ' hold no tensors' if keys else 'it is empty'}")


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
