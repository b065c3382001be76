"""Cells of a run by what they show, and label maps in colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.api.errors import BenchError
from bench.api.files import Entry, open_entry, safe_name
from bench.api.scenes import LabelSpace
from bench.channels.registry import read_channel

if TYPE_CHECKING:
    from torch import Tensor


#: (spec, PSNR)
Place = tuple[str, float]


def paint_labels(labels: np.ndarray, space: LabelSpace) -> np.ndarray:
    """Label ids (H, W) in the label space's colours, (H, W, 3) uint8."""
    colours: np.ndarray = np.array(space.palette, dtype=np.uint8)[labels]
    return colours


def strongest_class(symbols: Tensor, channels: Sequence[int], space: LabelSpace) -> np.ndarray:
    """The label id of the strongest received class map at each pixel: (K, H, W) -> (H, W) uint8.

    `channels` says which channels of the full map the K are.
    """
    classes = [k for k, label in enumerate(channels) if label < space.size]  # the edge channel is no class
    labels = np.array([channels[k] for k in classes], dtype=np.uint8)
    strongest: np.ndarray = labels[symbols[classes].argmax(dim=0).numpy()]
    return strongest


def cached_cells(
    folder: Path, facts: Mapping[str, Any], dataset: str, channel: str, place: Place, foreign: bool = False
) -> Iterator[Entry]:
    """The cells of a run with a method's pictures of a data set at one PSNR, whatever their scenes and seed.

    Where the results are somebody else's (`foreign`), only folders inside theirs are looked at, whatever the provenance
    says, and damage is nobody's concern.
    """
    root, leaf = folder.resolve(), f"{safe_name(f'{channel}@{place[1]:g}')}-seed"
    listed = facts.get("cell_folders")
    for name in map(str, listed if isinstance(listed, list) else []):
        found = folder / name
        if found.parent.name != safe_name(place[0]) or not found.name.startswith(leaf):
            continue
        if foreign and not found.resolve().is_relative_to(root):
            continue
        entry = open_entry(found, warn=not foreign)
        if entry is None:
            continue
        try:
            key = entry.manifest["key"]
            of = key["dataset"], read_channel(key["channel"]).convention, (key["spec"], float(key["channel"]["psnr"]))
            if of == (dataset, channel, place) and int(key["seed"]) >= 0:
                yield entry
        except (BenchError, KeyError, TypeError, ValueError):
            if not foreign:
                raise
