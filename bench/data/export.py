"""Write any data set in Cityscapes's official layout, so that Cityscapes's own tools and readers take it.

`leftImg8bit/SPLIT/CITY/STEM_leftImg8bit.png`, `gtFine/SPLIT/CITY/STEM_gtFine_labelIds.png` (8 bit) and
`..._instanceIds.png` (16 bit: the instance id where there is one, else the label id), and `dataset.json` (see
`exported.py`) with the digests of all these files. Depth is not part of the layout and is not written.
"""

from __future__ import annotations

import io
import re
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from bench.api.errors import STORAGE_ERRORS, DataError
from bench.api.files import replacing, sha256
from bench.api.terminal import in_parallel
from bench.data.cityscapes import IMAGE, INSTANCES, LABELS
from bench.data.exported import FILE_NAME, SUMS, ExportIndex, read_index
from bench.data.folder import FIRST_INSTANCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.api.scenes import SceneArrays, SceneSource

#: CITY_SEQUENCE_FRAME: Cityscapes's tools cut names at the underscores.
_OFFICIAL_STEM = re.compile(r"[a-z0-9-]+_\d{6}_\d{6}")
_MAX_INSTANCE = 65_535  # the largest value of a 16-bit PNG
_CHUNK = 16


@dataclass(frozen=True)
class ExportReport:
    """Scenes written now, and scenes that were complete already."""

    written: int
    kept: int


def export(
    source: SceneSource, split: str, destination: Path, limit: int | None = None, jobs: int = 1, progress: bool = True
) -> ExportReport:
    """Write the first `limit` scenes of a split (all, if None) below `destination`, at the source's size.

    Every file appears complete or not at all; the same call again continues where a stopped one ended, and writes what
    was changed since once more. DataError where `destination` holds something else, where a scene cannot be read, and
    where the disk is full (the file is named).
    """
    ids = source.ids(split, limit)
    destination = Path(destination)
    index = _updated_index(source, split, ids, destination)
    _write(destination / FILE_NAME, index.to_json().encode())
    stems = {scene_id: stem for stem, scene_id in index.scenes[split].items()}
    missing = [
        (stems[i], i)
        for i in ids
        if not all(index.intact(destination, p) for p in _paths(destination, split, stems[i]))
    ]
    sums = destination / SUMS
    if sums.is_file() and not sums.read_bytes().endswith(b"\n"):
        _append(sums, b"\n")  # a line torn when an export was stopped must not spoil the next one
    chunks = [(source, split, destination, missing[at : at + _CHUNK]) for at in range(0, len(missing), _CHUNK)]
    deque(in_parallel(_write_chunk, chunks, jobs, f"{source.name} {split}", progress), maxlen=0)
    return ExportReport(len(missing), len(ids) - len(missing))


def _updated_index(source: SceneSource, split: str, ids: list[str], destination: Path) -> ExportIndex:
    """The index with these scenes announced; DataError if `destination` does not hold (part of) the same data."""
    elsewhere = "choose an empty folder"
    old = read_index(destination)
    if old is None:
        if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
            raise DataError(f"{destination} is not empty and holds no export to continue; {elsewhere}")
        old = ExportIndex(source.name, source.label_space, (source.height, source.width))
    here = (old.dataset, old.label_space.name, old.size)
    if here != (source.name, source.label_space.name, (source.height, source.width)):
        raise DataError(f"{destination} holds an export of {old.dataset} at {old.size[0]}x{old.size[1]}; {elsewhere}")
    announced = list(old.scenes.get(split, {}).values())
    shared = min(len(announced), len(ids))
    same = announced[:shared] == ids[:shared]
    if announced and not (same and source.fingerprint(split, announced) == old.fingerprints[split]):
        raise DataError(f"{destination} holds an export of other {split} scenes of {source.name}; {elsewhere}")
    if len(announced) >= len(ids):
        return old
    scenes = {_stem(source.name, position, scene_id): scene_id for position, scene_id in enumerate(ids)}
    return replace(
        old,
        scenes={**old.scenes, split: scenes},
        fingerprints={**old.fingerprints, split: source.fingerprint(split, ids)},
    )


def _stem(dataset: str, position: int, scene_id: str) -> str:
    """The scene id where it is an official name, else DATASET_POSITION_000000."""
    if _OFFICIAL_STEM.fullmatch(scene_id):
        return scene_id
    return f"{re.sub('[^a-z0-9]', '', dataset.lower())}_{position:06d}_000000"


def _paths(destination: Path, split: str, stem: str) -> tuple[Path, Path, Path]:
    """Image, label and instance file of a scene."""
    city = stem.split("_")[0]
    truth = destination / "gtFine" / split / city
    return (
        destination / "leftImg8bit" / split / city / f"{stem}{IMAGE}",
        truth / f"{stem}{LABELS}",
        truth / f"{stem}{INSTANCES}",
    )


def _write_chunk(source: SceneSource, split: str, destination: Path, scenes: Sequence[tuple[str, str]]) -> None:
    for stem, scene_id in scenes:
        paths = _paths(destination, split, stem)
        digests = _write_scene(source.load(split, scene_id), paths)
        lines = [
            f"{digest}  {path.relative_to(destination).as_posix()}\n"
            for digest, path in zip(digests, paths, strict=True)
        ]
        _append(destination / SUMS, "".join(lines).encode())


def _write_scene(scene: SceneArrays, paths: tuple[Path, Path, Path]) -> list[str]:
    """Write a scene's three files; their digests."""
    ids = scene.instances[scene.instances != 0]
    if ids.size and not (ids.min() >= FIRST_INSTANCE and ids.max() <= _MAX_INSTANCE):
        raise DataError(
            f"scene {scene.id} has instance ids outside {FIRST_INSTANCE}..{_MAX_INSTANCE}, which Cityscapes's "
            "16-bit instance files cannot tell from labels or cannot hold"
        )
    instances = np.where(scene.instances > 0, scene.instances, scene.labels).astype(np.uint16)
    digests = []
    for path, pixels in zip(paths, (scene.image, scene.labels, instances), strict=True):
        with _storage(path):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, format="PNG")
        _write(path, buffer.getvalue())
        digests.append(sha256(buffer.getvalue()))
    return digests


def _write(path: Path, content: bytes) -> None:
    with _storage(path), replacing(path) as temporary:
        temporary.write_bytes(content)


def _append(path: Path, lines: bytes) -> None:
    """Append in one system call, so that workers do not cut each other's lines."""
    with _storage(path), path.open("ab", buffering=0) as file:
        file.write(lines)


@contextmanager
def _storage(path: Path) -> Iterator[None]:
    """DataError instead of the system's; it names a full disk."""
    try:
        yield
    except OSError as error:
        reason = STORAGE_ERRORS.get(error.errno or 0, error.strerror or str(error))
        raise DataError(
            f"cannot write {path}: {reason}; make room or choose another folder (the same command again continues)"
        ) from None
