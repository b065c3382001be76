"""`bench weights import`: from the authors' file to a weights file that the benchmark loads."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import shlex
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.weights.catalogue import PROFILE, Catalogue, Published, Rows, WeightsError
from bench.weights.reading import open_checkpoint
from bench.weights.rows import Comparison, compare, explain, recognise
from methods.base import MethodError
from methods.weights import file_digest, is_finite, write_weights

#: Metadata key of the record of where imported weights come from.
MANIFEST = "manifest"
#: An archive's entry may have so many times the network's size, for optimiser states and double precision, and more.
_SIZE_FACTOR, _SIZE_SLACK = 8, 64 * 2**20


def import_weights(source: Path, name: str, dataset: str, folder: Path, catalogue: Catalogue) -> Path:
    """Read the authors' checkpoint of `name` for `dataset` from `source` and write it into `folder`; the file written.

    Every key, shape and type has to be the network's, every value finite; floats become float32. WeightsError says
    what is wrong, and what the file is instead where that is known; then nothing is written. UsageError for a name or a
    data set that is not in the catalogue.
    """
    entry = catalogue.find(name, dataset)
    try:
        rows = entry.rows
    except MethodError as error:
        raise WeightsError(f"{error}{f'; {entry.note}' if entry.note else ''}") from None
    limit = _SIZE_FACTOR * _size(rows) + _SIZE_SLACK
    with open_checkpoint(source, entry.files, limit) as checkpoint:
        found = compare(checkpoint.tensors, rows, entry.unused)
        if not found.fits:
            raise _refusal(source, entry, checkpoint.tensors, found, catalogue)
        tensors = _fitted(checkpoint.tensors, rows)
        broken = tuple(key for key, value in tensors.items() if not is_finite(value))
        if broken:
            raise WeightsError(
                f"{source} is refused: {len(broken)} of its {len(tensors)} tensors hold NaN or infinity. "
                "Nothing was written",
                broken[:20],
            )
        target = folder / entry.file
        manifest = _manifest(source, checkpoint.entry, entry, len(found.dropped))
        write_weights(target, tensors, {MANIFEST: manifest}, dtype=torch.float32)
    return target


def _size(rows: Rows) -> int:
    """Bytes of a network's state."""
    return sum(torch.Size(shape).numel() * dtype.itemsize for shape, dtype in rows.values())


def _fitted(tensors: dict[str, Tensor], rows: Rows) -> dict[str, Tensor]:
    """The network's rows in its order and types; a training counter that the file lacks is zero."""
    return {
        key: tensors[key].to(dtype) if key in tensors else torch.zeros(shape, dtype=dtype)
        for key, (shape, dtype) in rows.items()
    }


def _manifest(source: Path, member: str | None, entry: Published, dropped: int) -> dict[str, Any]:
    """Where imported weights come from and what they are, as JSON data."""
    config = getattr(entry.network(), "config", None)
    return {
        "method": entry.name,
        "dataset": entry.dataset,
        "size": entry.size,
        "profile": PROFILE,
        "configuration": asdict(config) if is_dataclass(config) and not isinstance(config, type) else None,
        "source": source.name,
        "source_entry": member,
        "source_sha256": file_digest(source),
        "dropped_rows": dropped,
        "licence": entry.licence,
        "page": entry.page,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "tool": f"gesco-bench {importlib.metadata.version('gesco-bench')}",
    }


def _refusal(
    source: Path, entry: Published, tensors: dict[str, Tensor], found: Comparison, catalogue: Catalogue
) -> WeightsError:
    """Why a checkpoint does not fit: the network that it is of, else the list of rows."""
    refused = f"{source} is not the checkpoint of {entry.name} for {entry.dataset}"
    other = recognise(tensors, entry, catalogue)
    if other is not None:
        channels = found.channels() if other.name == entry.name else None
        against = f" ({channels[0]} conditioning channels; {entry.dataset} has {channels[1]})" if channels else ""
        return WeightsError(
            f"{refused}: it is that of {other.name} for {other.dataset}{against}. Nothing was written. "
            f"To import it: {other.command(shlex.quote(str(source)))}"
        )
    reasons = [f"of {len(entry.rows)} rows, {found.counts()}"] if found.counts() else []
    reasons += filter(None, [explain(tensors, entry, found, catalogue)])
    return WeightsError(f"{refused}: {'; '.join(reasons)}. Nothing was written", found.details())
