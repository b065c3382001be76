"""What can be imported: every network of the paper's scale, as its authors publish it (`catalogue.toml`)."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from bench.api.errors import BenchError, UsageError, nearest
from bench.api.method import MethodContext
from bench.api.registry import METHODS
from bench.api.weights import weights_name
from bench.data.registry import DATASETS
from metrics.evaluators.segmenters.drn import build_drn, weights_file

FILE = Path(__file__).parent / "catalogue.toml"
PROFILE = "paper"
#: key -> (shape, dtype) of every tensor of a network's state, in order
Rows = dict[str, tuple[tuple[int, ...], torch.dtype]]


class WeightsError(BenchError):
    """A weights file is refused or damaged: one sentence for people, and `details`, a list with one problem a line."""

    def __init__(self, message: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class Published:
    """One network for one data set.

    `name` is the method's or judge's, `file` its name in a folder of weights, `build` makes it with random weights, as
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
        return {key: (tuple(value.shape), value.dtype) for key, value in self.network().state_dict().items()}

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
        """The entry of a method or judge for a data set; UsageError names the nearest one there is."""
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
    for kind in ("methods", "judges"):
        for name, facts in data[kind].items():
            shared = {key: value for key, value in facts.items() if key != "datasets"}
            for dataset, own in facts["datasets"].items():
                merged = {**shared, **own}
                for key in ("files", "unused", "size"):
                    if key in merged:
                        merged[key] = tuple(merged[key])
                make = _method if kind == "methods" else _judge
                file, build = make(name, dataset, merged.get("size"))
                entries.append(Published(name=name, dataset=dataset, file=file, build=build, **merged))
    return Catalogue(tuple(entries), {int(channels): text for channels, text in data["layouts"].items()})


def _method(name: str, dataset: str, size: tuple[int, int] | None) -> tuple[str, Callable[[], nn.Module]]:
    """File name and builder of a method's network of the paper's profile."""
    assert size is not None  # every method of the catalogue has one
    context = MethodContext(dataset, DATASETS[dataset].label_space, *size, profile=PROFILE)
    return weights_name(name, context), lambda: METHODS.load(name).build_network(context)


def _judge(name: str, dataset: str, size: tuple[int, int] | None) -> tuple[str, Callable[[], nn.Module]]:
    """File name and builder of a judge's network."""
    return weights_file(name), lambda: build_drn(name)
