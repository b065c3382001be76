"""Any data set in Cityscapes's official layout, so that Cityscapes's own tools and readers take it: writing, and index.

`leftImg8bit/SPLIT/CITY/STEM_leftImg8bit.png`, `gtFine/SPLIT/CITY/STEM_gtFine_labelIds.png` (8 bit) and
`..._instanceIds.png` (16 bit: the instance id where there is one, else the label id). Depth is not part of the layout
and is not written.

`dataset.json` says what an exported data set is: the layout alone does not tell. It names the data set, its label space
and the size of the pictures, and keeps for every split the original scene ids, so that scenes read back have the ids,
and hence the channel noise, of the scenes that were exported. Beside it lies `SHA256SUMS` with a line a file, as
`sha256sum -c` reads them: results of files that were changed since must not be captioned as those of the data set.
"""

import io
import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.api.errors import STORAGE_ERRORS, DataError
from bench.api.files import replacing, sha256
from bench.api.scenes import LabelSpace, SceneArrays, SceneSource, facts_of
from bench.api.seeding import text_digest
from bench.api.terminal import in_parallel
from bench.data.folder import FIRST_INSTANCE, file_digest
from bench.data.images import FileError, Problem
from bench.data.listing import Listing, SceneFiles

#: The endings of the three files of a scene, in the official layout.
IMAGE, LABELS, INSTANCES = "_leftImg8bit.png", "_gtFine_labelIds.png", "_gtFine_instanceIds.png"
#: CITY_SEQUENCE_FRAME: Cityscapes's tools cut names at the underscores.
_OFFICIAL_STEM = re.compile(r"[a-z0-9-]+_\d{6}_\d{6}")
_MAX_INSTANCE = 65_535  # the largest value of a 16-bit PNG
_CHUNK = 16
FILE_NAME = "dataset.json"
SUMS = "SHA256SUMS"
_FORMAT = "gesco-bench export 2"
_SUM = re.compile(r"([0-9a-f]{64})  (.+)")
_AGAIN = "run the same `bench data export` again"
_ELSEWHERE = "export the data set again into an empty folder"


@dataclass(frozen=True)
class ExportIndex:
    """The contents of `dataset.json`.

    `scenes[split]` maps the stem of a scene's files to its original id, in the data set's order; `fingerprints[split]`
    is the source's fingerprint of exactly these scenes. `digests` is SHA256SUMS: path below the root -> SHA-256.
    """

    dataset: str
    label_space: LabelSpace
    size: tuple[int, int]
    scenes: dict[str, dict[str, str]] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The text of `dataset.json`."""
        content = {
            "format": _FORMAT,
            "dataset": self.dataset,
            "label_space": self.label_space.name,
            "size": list(self.size),
            "fingerprints": self.fingerprints,
            "scenes": self.scenes,
        }
        return json.dumps({**content, "sha256": _digest(content)}, indent=1)

    def intact(self, root: Path, path: Path) -> bool:
        """Whether a file is the one that was exported; DataError if it is there and unreadable."""
        return path.is_file() and file_digest(path) == self.digests.get(path.relative_to(root).as_posix())

    def changes(self, root: Path, files: SceneFiles) -> list[Problem]:
        """The files of a scene that are not the exported ones any more."""
        what = f"is not the file that was exported from {self.dataset}"
        remedy = f"{_AGAIN}, or make a data set of your own of it by removing {FILE_NAME}"
        try:
            return [Problem(path, what, remedy) for path in files.paths if not self.intact(root, path)]
        except FileError as error:
            return [error.problem]

    def outdated(self, root: Path, split: str) -> list[Problem]:
        """The problem that the data set, where the project renders it, has changed since."""
        kind = facts_of(self.dataset)
        if not kind.rendered:
            return []
        now = kind(self.size).fingerprint(split, list(self.scenes[split].values()))
        if now == self.fingerprints[split]:
            return []
        what = f"was written by another version of {self.dataset}, whose scenes are others"
        return [Problem(root / FILE_NAME, what, _ELSEWHERE)]

    def notes(self, size: tuple[int, int]) -> list[str]:
        """What results at `size` have to say of themselves."""
        if size == self.size:
            return []
        was, now = ("{}x{}".format(*pair) for pair in (self.size, size))
        return [f"exported at {was} and resized to {now}, which is not what {self.dataset} has at {now}"]

    def with_original_ids(self, root: Path, split: str, listing: Listing) -> Listing:
        """The scenes of an export under their original ids and in their original order.

        Scenes that were announced but are not there whole (an export that was stopped) and scenes that nobody announced
        are problems.
        """
        announced = self.scenes[split]
        scenes: dict[str, SceneFiles] = {}
        problems = list(listing.problems)
        incomplete = {problem.path.name.split("_gtFine")[0].split("_leftImg8bit")[0] for problem in problems}
        for stem, scene_id in announced.items():
            if stem in listing.scenes:
                files = listing.scenes[stem]
                if any(path.relative_to(root).as_posix() not in self.digests for path in files.paths):
                    problems.append(Problem(files.image, f"or a map of it has no digest in {SUMS}", _AGAIN))
                    continue
                scenes[scene_id] = SceneFiles(scene_id, files.image, files.labels, files.instances)
            elif stem not in incomplete:
                problems.append(Problem(root / f"*/{split}/*/{stem}_*", "is missing", _AGAIN))
        for stem, files in listing.scenes.items():
            if stem not in announced:
                problems.append(Problem(files.image, f"is not listed in {FILE_NAME}", "remove it"))
        return Listing(scenes, problems, listing.notes)


def read_index(root: Path) -> ExportIndex | None:
    """`dataset.json` and `SHA256SUMS` of a data root; None without the first, FileError where it is not as written."""
    path = root / FILE_NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise FileError(Problem(path, f"has the unknown format '{content['format']}'", _ELSEWHERE))
        if content.pop("sha256") != _digest(content):
            raise FileError(Problem(path, "was changed since it was written", _ELSEWHERE))
        height, width = content["size"]
        return ExportIndex(
            dataset=str(content["dataset"]),
            label_space=_label_space(str(content["dataset"]), content["label_space"]),
            size=(int(height), int(width)),
            scenes={str(split): dict(scenes) for split, scenes in content["scenes"].items()},
            fingerprints=dict(content["fingerprints"]),
            digests=_read_sums(root / SUMS),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileError(Problem(path, f"is not the index of an export ({error!r})", _ELSEWHERE)) from None


def _label_space(dataset: str, name: str) -> LabelSpace:
    """The labels that the file names, of the data set that was exported or the one they are named after."""
    spaces: Iterator[LabelSpace | None] = (getattr(facts_of(owner), "label_space", None) for owner in (dataset, name))
    found = next((space for space in spaces if space is not None and space.name == name), None)
    if found is None:
        raise ValueError(f"no installed data set has the labels of {name}")
    return found


def _read_sums(path: Path) -> dict[str, str]:
    """SHA256SUMS; a later line of a file wins, and lines torn when an export was stopped are as good as absent."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    return {match[2]: match[1] for line in lines if (match := _SUM.fullmatch(line))}


def _digest(content: dict[str, Any]) -> str:
    return text_digest(json.dumps(content, sort_keys=True))


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
    write_file(destination / FILE_NAME, index.to_json().encode())
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
    prefix = re.sub("[^a-z0-9]", "", source.name.lower())
    stems = (i if _OFFICIAL_STEM.fullmatch(i) else f"{prefix}_{position:06d}_000000" for position, i in enumerate(ids))
    scenes = dict(zip(stems, ids, strict=True))
    return replace(
        old,
        scenes={**old.scenes, split: scenes},
        fingerprints={**old.fingerprints, split: source.fingerprint(split, ids)},
    )


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
        digests.append(sha256(write_png(path, Image.fromarray(pixels))))
    return digests


def write_png(path: Path, picture: Image.Image) -> bytes:
    """Write a picture, the whole file or none; the bytes written. DataError where that cannot be."""
    with _storage(path):
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
    write_file(path, buffer.getvalue())
    return buffer.getvalue()


def write_file(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; DataError where that cannot be."""
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
