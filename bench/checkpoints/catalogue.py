"""What can be imported: every network of the paper's scale, as its authors publish it (`catalogue.toml`).

A checkpoint is compared with a network by its rows: keys, shapes and types.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.api.errors import MethodError, UsageError, nearest, some
from bench.api.method import MethodContext
from bench.api.registry import DATASETS, METHODS
from bench.api.weights import weights_name
from metrics.evaluators.segmenters.drn import build_drn, weights_file

FILE = Path(__file__).parent / "catalogue.toml"
PROFILE = "paper"
#: key -> (shape, dtype) of every tensor of a network's state, in order
Rows = dict[str, tuple[tuple[int, ...], torch.dtype]]

#: A counter that only training uses; files from before PyTorch 0.4.1 lack it, so that it never decides.
COUNTER = "num_batches_tracked"
SHOWN = 20  # problems of one kind that are listed one by one


def rows_of(build: Callable[[], nn.Module]) -> Rows:
    """The rows of the network that `build` makes; it takes no memory."""
    with torch.device("meta"):
        return {key: (tuple(value.shape), value.dtype) for key, value in build().state_dict().items()}


@dataclass(frozen=True)
class Published:
    """One network for one data set.

    `name` is the method's or evaluator's, `file` its name among weights, `build` makes it with random weights, as
    `profile` has it.
    The other fields are those of `catalogue.toml`; `files` may hold *.
    """

    name: str
    dataset: str
    file: str
    build: Callable[[], nn.Module]
    profile: str = PROFILE
    title: str = ""
    size: tuple[int, int] | None = None
    files: tuple[str, ...] = ()
    archive: str | None = None
    page: str = ""
    download: str | None = None
    licence: str = ""
    unused: tuple[str, ...] = ()
    public: bool = True
    note: str | None = None

    def network(self) -> nn.Module:
        """The network without memory (on the meta device): names, shapes and types of its tensors alone."""
        with torch.device("meta"):
            return self.build()

    @cached_property
    def rows(self) -> Rows:
        """Every tensor of the network's state. MethodError where the method has no such network."""
        return rows_of(self.build)

    def command(self, file: str = "FILE") -> str:
        """What to type to import `file`."""
        return f"bench weights import {self.name} {file} --dataset {self.dataset}"

    @property
    def download_name(self) -> str:
        """What the download is called, archive or checkpoint; FILE where only a pattern is known."""
        name = self.archive or (self.files[0].rsplit("/", 1)[-1] if self.files else "FILE")
        return "FILE" if "*" in name else name


@dataclass(frozen=True)
class Catalogue:
    """All that can be imported. `layouts`: what a checkpoint with so many conditioning channels is, in words."""

    entries: tuple[Published, ...]
    layouts: dict[int, str] = field(default_factory=dict)

    def find(self, name: str, dataset: str) -> Published:
        """The entry of a method or evaluator for a data set; UsageError names the nearest one there is."""
        names = list(dict.fromkeys(entry.name for entry in self.entries))
        fitting = [one for one in names if one.casefold() == name.casefold()]
        if not fitting:
            raise UsageError(f"no checkpoint of '{name}' can be imported{nearest(name, names)}")
        name, dataset = fitting[0], dataset.casefold()
        of_name = {entry.dataset: entry for entry in self.entries if entry.name == name}
        if dataset not in of_name:
            raise UsageError(f"no checkpoint of {name} for '{dataset}' can be imported{nearest(dataset, of_name)}")
        return of_name[dataset]


def load_catalogue() -> Catalogue:
    """The catalogue of this package."""
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    entries = []
    for kind in ("methods", "segmenters"):
        for name, facts in data[kind].items():
            shared = {key: value for key, value in facts.items() if key != "datasets"}
            for dataset, own in facts["datasets"].items():
                merged = {**shared, **own}
                for key in ("files", "unused", "size"):
                    if key in merged:
                        merged[key] = tuple(merged[key])
                file, build = _network(name, dataset, merged.get("size"))
                entries.append(Published(name=name, dataset=dataset, file=file, build=build, **merged))
    return Catalogue(tuple(entries), {int(channels): text for channels, text in data["layouts"].items()})


def _network(name: str, dataset: str, size: tuple[int, int] | None) -> tuple[str, Callable[[], nn.Module]]:
    """File name and builder of a method's network of the paper's profile, or of a segmenter's, which has no size."""
    if size is None:
        return weights_file(name), lambda: build_drn(name)
    context = MethodContext(dataset, DATASETS.load(dataset).label_space, *size, profile=PROFILE)
    return weights_name(name, context), lambda: METHODS.load(name).build_network(context)


@dataclass(frozen=True)
class LayoutComparison:
    """What came of comparing: `dropped` keys are known to be of no use; the other lists are problems."""

    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    types: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    lacks_unused: bool = False

    @property
    def fits(self) -> bool:
        """Whether there is no problem."""
        return not (self.missing or self.unexpected or self.shapes or self.types or self.lacks_unused)

    def counts(self) -> str:
        """For example `3 missing, 1 unexpected, 2 of another shape`."""
        others = (self.shapes, "of another shape"), (self.types, "of another type")
        kinds = ((self.missing, "missing"), (self.unexpected, "unexpected"), *others)
        return ", ".join(f"{len(found)} {text}" for found, text in kinds if found)

    def channels(self) -> tuple[int, int] | None:
        """Conditioning channels (labels, edge, and OASIS's noise) of the file and of the network, where they differ.

        The convolutions over the map tell them: the rows that differ in their second size alone.
        """
        pairs = {
            (own[1], wanted[1])
            for own, wanted in self.shapes.values()
            if len(own) == len(wanted) == 4 and own[0] == wanted[0] and own[2:] == wanted[2:]
        }
        return min(pairs) if pairs else None

    def details(self) -> tuple[str, ...]:
        """One problem a line, `SHOWN` of each kind at most."""
        shapes = [f"{key}: the file has {own}, the network {wanted}" for key, (own, wanted) in self.shapes.items()]
        lists = (("missing", self.missing), ("unexpected", self.unexpected), ("shape", shapes), ("type", self.types))
        lines = []
        for kind, found in lists:
            lines += [f"{kind:<10} {one}" for one in found[:SHOWN]]
            if len(found) > SHOWN:
                lines.append(f"{kind:<10} and {len(found) - SHOWN} more")
        return tuple(lines)


def compare(tensors: Mapping[str, Tensor], rows: Rows, unused: tuple[str, ...] = ()) -> LayoutComparison:
    """Compare a state dict with a network's rows.

    Half and double precision stand for float32; whole numbers do not. Keys that match `unused` (regular expressions)
    and that the network lacks are dropped; a file without any such key is another network's: `lacks_unused` tells.
    """
    found = LayoutComparison(
        missing=[key for key in rows if key not in tensors and not key.endswith(COUNTER)],
        lacks_unused=bool(unused) and not any(_is_unused(key, unused) for key in tensors),
    )
    for key, tensor in tensors.items():
        if key not in rows:
            known = key.endswith(COUNTER) or _is_unused(key, unused)
            (found.dropped if known else found.unexpected).append(key)
            continue
        shape, dtype = rows[key]
        if tuple(tensor.shape) != shape:
            found.shapes[key] = (tuple(tensor.shape), shape)
        dense = tensor.layout == torch.strided and not tensor.is_quantized
        if not dense or tensor.is_floating_point() != dtype.is_floating_point or tensor.is_complex():
            name = str(tensor.dtype).removeprefix("torch.")
            kind = name if dense else f"{name}, not a dense tensor"
            found.types.append(f"{key}: the file has {kind}, the network {str(dtype).removeprefix('torch.')}")
    return found


def prefix_of(tensors: Iterable[str], rows: Rows) -> str:
    """What stands before every key of a checkpoint and not before the network's (`module.` of DataParallel, `net.`).

    Empty where nothing does, or where no key would be the network's without it.
    """
    keys, prefix = list(tensors), ""
    while keys and not any(key[len(prefix) :] in rows for key in keys):
        heads = {key[len(prefix) :].partition(".")[::2] for key in keys}
        if len({head for head, _ in heads}) > 1 or any(not rest for _, rest in heads):
            return ""
        prefix += f"{next(iter(heads))[0]}."
    return prefix


def without_prefix(tensors: Mapping[str, Tensor], rows: Rows) -> dict[str, Tensor]:
    """`tensors` by the network's own names, without what stands before every key."""
    length = len(prefix_of(tensors, rows))
    return {key[length:]: value for key, value in tensors.items()}


def _inner_prefix(tensors: Iterable[str], rows: Rows) -> tuple[str, int] | None:
    """What stands before the most keys that are the network's otherwise, and before how many; None for nothing.

    A checkpoint may hold several networks side by side (`generator.`, `discriminator.`).
    """
    found: Counter[str] = Counter()
    for key in tensors:
        parts = key.split(".")
        for cut in range(1, len(parts)):
            if ".".join(parts[cut:]) in rows:
                found[".".join(parts[:cut]) + "."] += 1
    return found.most_common(1)[0] if found else None


def _is_unused(key: str, unused: tuple[str, ...]) -> bool:
    return any(re.search(pattern, key) for pattern in unused)


def recognise(tensors: Mapping[str, Tensor], entry: Published, catalogue: Catalogue) -> Published | None:
    """The other entry of the catalogue that a checkpoint fits, if there is one."""
    for other in catalogue.entries:
        try:
            named = without_prefix(tensors, other.rows)
            if other is not entry and compare(named, other.rows, other.unused).fits:
                return other
        except MethodError:  # a network that does not exist, such as SMIS for COCO-Stuff
            continue
    return None


def explain(
    tensors: Mapping[str, Tensor], entry: Published, found: LayoutComparison, catalogue: Catalogue
) -> str | None:
    """What is wrong with a checkpoint that fits no entry, in words, where there is a pattern to it."""
    channels = found.channels()
    if channels and not (found.missing or found.unexpected or found.types):
        layout = catalogue.layouts.get(channels[0])
        what = f", {layout}" if layout else ""
        return f"it takes {channels[0]} conditioning channels{what}; this network takes {channels[1]}"
    if not any(key in entry.rows for key in tensors):
        inner = _inner_prefix(tensors, entry.rows)
        if inner is not None:
            return (
                f"{inner[1]} of its {len(tensors)} keys are this network's behind '{inner[0]}', and the others are "
                "not; save those alone"
            )
        return f"none of its keys is this network's (its first ones: {some(list(tensors), 3)})"
    if found.lacks_unused:
        return f"it lacks rows that every file of {entry.title} holds, though unused: {', '.join(entry.unused)}"
    return None
