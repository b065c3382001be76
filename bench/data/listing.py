"""Which files of a data root make a scene: by their names, whatever the file system does to order, case and accents."""

import functools
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.api.errors import some
from bench.data.images import FileError, Problem, unreadable


@dataclass(frozen=True)
class SceneFiles:
    """The files of one scene; `instances` and `depth` are None in data sets without such maps."""

    id: str
    image: Path
    labels: Path
    instances: Path | None = None
    depth: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        every = (self.image, self.labels, self.instances, self.depth)
        return tuple(path for path in every if path is not None)


#: What a kind of file is called in messages -> its field of `SceneFiles`.
FIELDS = {"image": "image", "label map": "labels", "instance map": "instances", "depth map": "depth"}


@dataclass(frozen=True)
class Listing:
    """The complete scenes of a split by id, in the data set's order.

    `problems` keep others from being complete; `notes` are worth knowing (files that are ignored).
    """

    scenes: dict[str, SceneFiles]
    problems: list[Problem]
    notes: list[str] = field(default_factory=list)


@dataclass
class Found:
    """The files of one kind in `folder` by scene id; those that are not ours; ids that are refused, with problems."""

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    others: list[Path] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def near(self, expected: Path) -> str:
        """What to do where a file with nearly the expected name is there, or nothing."""
        stem = _normal(expected.stem)
        path = self._by_stem.get(stem.casefold())
        if path is None:
            return ""
        if _normal(path.stem) != stem:
            return f"{path} is written with other capital letters: rename it"
        return f"{path} is a folder" if path.is_dir() else f"{path} has another ending: convert it"

    @functools.cached_property
    def _by_stem(self) -> dict[str, Path]:
        return {_normal(path.stem).casefold(): path for path in (*self.others, *self.files.values())}


def find_files(folder: Path, endings: Sequence[str], known: Sequence[str] = ()) -> Found:
    """Files directly in `folder` whose name ends in one of `endings`, by the name without that ending.

    Endings are compared without case, names in Unicode's composed form, since systems differ in both. Hidden files,
    folders and other endings are not ours; those in `known` are not worth a word. Two files of one name are a problem,
    as is a name that cannot be printed.
    """
    found = Found(folder)
    every: dict[str, list[Path]] = {}
    for path, is_place in _entries(found):
        ending = _ending(path.name, endings)
        if path.name.startswith(".") or not ending or len(path.name) == len(ending) or is_place:
            if not _ending(path.name, known):
                found.others.append(path)
            continue
        if not path.name.isprintable():
            what = "has a name that cannot be printed (it is not UTF-8, or holds control characters)"
            found.problems.append(Problem(path, what, "rename it, and the files of the same scene"))
        every.setdefault(_normal(path.name[: -len(ending)]), []).append(path)
    _keep_unique(found, every)
    return found


def is_folder(path: Path) -> bool:
    """Whether a folder is there; FileError where the system does not say, so that nothing counts as absent."""
    try:
        return path.is_dir()
    except OSError as error:
        raise FileError(unreadable(path, error)) from None


def with_any_case(folder: Path, name: str) -> Path:
    """The file `name` in `folder`, or the one that is only written with other capital letters."""
    exact = folder / name
    if not is_folder(folder) or exact.exists():
        return exact
    return next((path for path, _ in _entries(Found(folder)) if path.name.lower() == name.lower()), exact)


def merged(folder: Path, parts: Iterable[Found], others: Iterable[Path] = ()) -> Found:
    """What was found in several folders below `folder` as one; two files of one name are a problem here too."""
    whole = Found(folder, others=list(others))
    every: dict[str, list[Path]] = {}
    for part in parts:
        whole.others += part.others
        whole.refused |= part.refused
        whole.problems += part.problems
        for scene_id, path in part.files.items():
            every.setdefault(scene_id, []).append(path)
    _keep_unique(whole, every)
    return whole


def pair(images: Found, maps: Sequence[tuple[str, Found]], patterns: Iterable[str]) -> Listing:
    """Match files by scene id: `maps` holds (what it is, files found) for labels and, perhaps, instances and depth.

    `patterns` say, one for the images and one for each kind of map (a key of `FIELDS`), where a missing file should be;
    they contain `{id}`. Images say which scenes there are: a map without one is a problem, unless its name is that of
    an image and a word (`ID_labelTrainIds`), as other tools write beside the maps.
    """
    kinds = [("image", images), *maps]
    places = dict(zip([kind for kind, _ in kinds], patterns, strict=True))
    problems = list(dict.fromkeys(problem for _, found in kinds for problem in found.problems))
    refused = set().union(*(found.refused for _, found in kinds))
    for _, found in maps:
        foreign = [i for i in found.files if i not in images.files and _belongs_beside(i, images.files)]
        found.others += [found.files.pop(scene_id) for scene_id in foreign]
    scenes: dict[str, SceneFiles] = {}
    for scene_id in sorted(set().union(*(found.files for _, found in kinds)) - refused):
        missing = [(kind, found) for kind, found in kinds if scene_id not in found.files]
        if not missing:
            scenes[scene_id] = SceneFiles(scene_id, **{FIELDS[kind]: found.files[scene_id] for kind, found in kinds})
        present = next(found.files[scene_id] for _, found in kinds if scene_id in found.files)
        for kind, found in missing:
            expected = Path(places[kind].replace("{id}", scene_id))
            what = f"is missing: there is {present.name} but no {kind} for it"
            remedy = found.near(expected) or f"restore it, or move {present} elsewhere to leave this scene out"
            problems.append(Problem(expected, what, remedy))
    return Listing(scenes, problems, _notes(found for _, found in kinds))


def _entries(found: Found) -> list[tuple[Path, bool]]:
    """What is in the folder and whether it is a folder, sorted by name; an unreadable folder is a problem."""
    try:
        with os.scandir(found.folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)  # comparing paths would take most of the time
            return [(Path(entry.path), _is_folder(entry)) for entry in ordered]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        found.problems.append(unreadable(found.folder, error))
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle; reading it says so
        return False


def _keep_unique(found: Found, every: dict[str, list[Path]]) -> None:
    for scene_id, paths in every.items():
        if len(paths) == 1 and paths[0].name.isprintable():
            found.files[scene_id] = paths[0]
            continue
        found.refused.add(scene_id)
        if len(paths) > 1:
            also = " and ".join(str(path) for path in paths[1:])
            what = f"is one of {len(paths)} files for the scene {scene_id}, beside {also}"
            found.problems.append(Problem(paths[0], what, "keep the right one"))


def _ending(name: str, endings: Iterable[str]) -> str:
    """The one of `endings` in which `name` ends, whatever the case, or nothing."""
    return next((e for e in endings if name[-len(e) :].lower() == e.lower()), "")


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _belongs_beside(name: str, ids: dict[str, Path]) -> bool:
    """Whether `name` is one of `ids` with a word behind it, such as ID_labelTrainIds; not ID_2, which is another id."""
    starts = (name[: match.start()] for match in re.finditer(r"[_.-](?=[^\W\d_])", name))
    return any(start in ids for start in starts)


def _notes(founds: Iterable[Found]) -> list[str]:
    notes, said = [], set()
    for found in founds:
        if found.others and found.folder not in said:
            count = len(found.others)
            names = some([path.name for path in sorted(found.others)], 3)
            what = f"{count} other file{'' if count == 1 else 's'}, ignored"
            notes.append(f"{found.folder} holds {what}: {names}")
        said.add(found.folder)
    return notes
