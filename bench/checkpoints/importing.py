"""`bench weights import`: from the authors' file to a weights file that the benchmark loads."""

import datetime as dt
import importlib.metadata
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.api.errors import MethodError, some
from bench.api.files import check_folder, file_digest
from bench.api.tensors import is_finite, write_weights
from bench.api.weights import MANIFEST
from bench.checkpoints.archives import CheckpointError
from bench.checkpoints.catalogue import (
    Catalogue,
    LayoutComparison,
    Published,
    compare,
    explain,
    prefix_of,
    recognise,
    without_prefix,
)
from bench.checkpoints.reading import open_checkpoint

#: An archive's entry may have so many times the network's size, for optimiser states and double precision, and more.
_SIZE_FACTOR, _SIZE_SLACK = 8, 64 * 2**20


def import_weights(
    source: Path, name: str, dataset: str, folder: Path, catalogue: Catalogue, key: str | None = None
) -> Path:
    """Read the authors' checkpoint of `name` for `dataset` from `source` and write it into `folder`; the file written.

    Every key, shape and type has to be the network's, every value finite and plausible (`Health`); floats become
    float32. `key` says which state dict is meant where the file holds several. CheckpointError says what is wrong, and
    what the file is instead where that is known; then nothing is written. UsageError for a name or a data set that is
    not in the catalogue, and for a folder that cannot be written.
    """
    check_folder(folder, "--weights-dir")
    entry = catalogue.find(name, dataset)
    try:
        rows = entry.rows
    except MethodError as error:
        raise CheckpointError(f"{error}{f'; {entry.note}' if entry.note else ''}") from None
    size = sum(torch.Size(shape).numel() * dtype.itemsize for shape, dtype in rows.values())
    limit = _SIZE_FACTOR * size + _SIZE_SLACK

    def fits(tensors: dict[str, Tensor]) -> bool:
        return compare(without_prefix(tensors, rows), rows, entry.unused).fits

    with open_checkpoint(source, entry.files, limit, key, fits) as checkpoint:
        named = without_prefix(checkpoint.tensors, rows)
        found = compare(named, rows, entry.unused)
        if not found.fits:
            raise _refusal(source, entry, checkpoint.tensors, named, found, catalogue)
        types = Counter(str(named[row].dtype).removeprefix("torch.") for row in rows if row in named)
        tensors = {  # a training counter that the file lacks is zero
            key: named[key].to(dtype) if key in named else torch.zeros(shape, dtype=dtype)
            for key, (shape, dtype) in rows.items()
        }
        health = Health()
        for key, value in tensors.items():
            health.look(key, value)
        if health.broken:
            raise CheckpointError(
                f"{source} is refused: {len(health.broken)} of its {len(tensors)} tensors hold NaN or infinity. "
                "Nothing was written",
                tuple(health.broken[:20]),
            )
        if wrong := health.implausible():
            raise CheckpointError(f"{source} is refused: {'; '.join(wrong)}. Nothing was written")
        target = folder / entry.file
        manifest = _manifest(source, checkpoint.entry, entry, len(found.dropped)) | {
            "source_key": checkpoint.key,
            "source_prefix": prefix_of(checkpoint.tensors, rows) or None,
            "source_types": dict(types),
        }
        write_weights(target, tensors, {MANIFEST: manifest}, dtype=torch.float32)
    return target


class Health:
    """What no trained network has, looked for a tensor at a time."""

    def __init__(self) -> None:
        self.broken: list[str] = []
        self._negative: list[str] = []
        self._alive: list[bool] = []

    def look(self, key: str, value: Tensor) -> None:
        """Note what is wrong with one tensor."""
        if not is_finite(value):
            self.broken.append(key)
        if key.endswith("running_var") and bool((value < 0).any()):  # of a batch normalisation
            self._negative.append(key)
        if value.is_floating_point() and value.ndim > 1:
            self._alive.append(bool(value.any()))

    def implausible(self) -> list[str]:
        """In words: weights that are zero throughout, or negative running variances."""
        found = [f"running variances are negative: {some(self._negative)}"] if self._negative else []
        dead = bool(self._alive) and not any(self._alive)
        return found + ([f"all its {len(self._alive)} weights are zero"] if dead else [])


def remarks(manifest: Mapping[str, Any]) -> list[str]:
    """What a person should know of imported weights, from their record: precision that was lost, part of the file."""
    told = []
    for kind, error in (("float16", "5e-4"), ("bfloat16", "2e-3")):
        if count := manifest.get("source_types", {}).get(kind):
            total = sum(manifest["source_types"].values())
            told.append(
                f"{count} of its {total} tensors were {kind} in the authors' file: rounded by up to {error} of their "
                "size, so pictures differ from those of the float32 weights"
            )
    if manifest.get("source_key"):
        told.append(f"taken from '{manifest['source_key']}' in the file")
    if manifest.get("source_prefix"):
        told.append(f"its keys lost their prefix '{manifest['source_prefix']}'")
    return told


def _manifest(source: Path, member: str | None, entry: Published, dropped: int) -> dict[str, Any]:
    """Where imported weights come from and what they are, as JSON data."""
    config = getattr(entry.network(), "config", None)
    return {
        "method": entry.name,
        "dataset": entry.dataset,
        "size": entry.size,
        "profile": entry.profile,
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
    source: Path,
    entry: Published,
    tensors: dict[str, Tensor],
    named: dict[str, Tensor],
    found: LayoutComparison,
    catalogue: Catalogue,
) -> CheckpointError:
    """Why a checkpoint does not fit: the network that it is of, else the list of rows; `named` have no prefix."""
    refused = f"{source} is not the checkpoint of {entry.name} for {entry.dataset}"
    other = recognise(tensors, entry, catalogue)
    if other is not None:
        channels = found.channels() if other.name == entry.name else None
        against = f" ({channels[0]} conditioning channels; {entry.dataset} has {channels[1]})" if channels else ""
        return CheckpointError(
            f"{refused}: it is that of {other.name} for {other.dataset}{against}. Nothing was written. "
            f"To import it: {other.command(shlex.quote(str(source)))}"
        )
    reasons = [f"of {len(entry.rows)} rows, {found.counts()}"] if found.counts() else []
    reasons += filter(None, [explain(named, entry, found, catalogue)])
    return CheckpointError(f"{refused}: {'; '.join(reasons)}. Nothing was written", found.details())
