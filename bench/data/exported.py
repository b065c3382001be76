"""`dataset.json`, the file that says what an exported data set is: Cityscapes's layout alone does not tell.

It names the data set, its label space and the size of the pictures, and keeps for every split the original scene ids,
so that scenes read back have the ids, and hence the channel noise, of the scenes that were exported. Beside it lies
`SHA256SUMS` with a line a file, as `sha256sum -c` reads them: results of files that were changed since must not be
captioned as those of the data set.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.api.scenes import LabelSpace, facts_of
from bench.api.seeding import text_digest
from bench.data.folder import file_digest
from bench.data.images import FileError, Problem
from bench.data.listing import Listing, SceneFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
