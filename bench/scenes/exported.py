"""`dataset.json`, the file that says what an exported data set is: Cityscapes's layout alone does not tell.

It names the data set, its label space and the size of the pictures, and keeps for every split the original scene ids,
so that scenes read back have the ids, and hence the channel noise, of the scenes that were exported.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.scenes.folder import Listing, SceneFiles
from bench.scenes.labels import LABEL_SPACES
from bench.scenes.problems import FileError, Problem
from methods.base import LabelSpace

FILE_NAME = "dataset.json"
_FORMAT = "gesco-bench export 1"


@dataclass(frozen=True)
class ExportIndex:
    """The contents of `dataset.json`.

    `scenes[split]` maps the stem of a scene's files to its original id, in the data set's order; `fingerprints[split]`
    is the source's fingerprint of exactly these scenes.
    """

    dataset: str
    label_space: LabelSpace
    size: tuple[int, int]
    scenes: dict[str, dict[str, str]] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(
            {
                "format": _FORMAT,
                "dataset": self.dataset,
                "label_space": self.label_space.name,
                "size": list(self.size),
                "fingerprints": self.fingerprints,
                "scenes": self.scenes,
            },
            indent=1,
        )

    def with_original_ids(self, split: str, listing: Listing) -> Listing:
        """The scenes of an export under their original ids and in their original order.

        Scenes that were announced but are not there (an export that was stopped) and scenes that nobody announced
        are problems.
        """
        announced = self.scenes[split]
        scenes: dict[str, SceneFiles] = {}
        problems = list(listing.problems)
        incomplete = {problem.path.name.split("_gtFine")[0].split("_leftImg8bit")[0] for problem in problems}
        for stem, scene_id in announced.items():
            if stem in listing.scenes:
                files = listing.scenes[stem]
                scenes[scene_id] = SceneFiles(scene_id, files.image, files.labels, files.instances)
            elif stem not in incomplete:
                problems.append(Problem(Path(f"{stem}_*"), "is missing", "run the same `bench data export` again"))
        for stem, files in listing.scenes.items():
            if stem not in announced:
                problems.append(Problem(files.image, f"is not listed in {FILE_NAME}", "remove it"))
        return Listing(scenes, problems)


def read_index(root: Path) -> ExportIndex | None:
    """`dataset.json` of a data root, or None where there is none; FileError for one that cannot be understood."""
    path = root / FILE_NAME
    if not path.is_file():
        return None
    remedy = "export the data set again into an empty folder"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise FileError(Problem(path, f"has the unknown format '{content['format']}'", remedy))
        height, width = content["size"]
        return ExportIndex(
            dataset=str(content["dataset"]),
            label_space=LABEL_SPACES[content["label_space"]],
            size=(int(height), int(width)),
            scenes={str(split): dict(scenes) for split, scenes in content["scenes"].items()},
            fingerprints=dict(content["fingerprints"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(Problem(path, f"is not the index of an export ({error!r})", remedy)) from None
