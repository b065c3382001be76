"""Data sets that live in a folder of the user's own, the data root: what Cityscapes, COCO-Stuff and CamVid share."""

from __future__ import annotations

import functools
import shlex
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from bench.api import files
from bench.api.errors import DataError, nearest, some
from bench.api.scenes import SceneArrays, SceneSource
from bench.api.seeding import text_digest
from bench.api.terminal import in_parallel
from bench.data.images import RESIZE_RULES, FileError, Problem, printable, read_map, read_rgb, resize_map, unreadable
from bench.data.listing import Listing, SceneFiles, is_folder

#: Instance ids of every data set are 0 (none) or at least this, as in Cityscapes. So no instance id equals a label id,
#: and `where(instances > 0, instances, labels)` is Cityscapes's `instanceIds` picture.
FIRST_INSTANCE = 1000
#: Steps of a depth map a metre, as in KITTI's files of 16 bits; 0 stands for no depth.
DEPTH_UNIT = 256


class FolderSource(SceneSource):
    """A data set under `root`. Subclasses say which files make a scene and what the values in its maps mean.

    Files are read at full size; maps are resized by nearest neighbour in one step, pictures by the rule `resize` of
    `RESIZE_RULES`: "spade" is one antialiased bicubic step, "sdm" that of the SDM and GESCO loaders.
    """

    #: What a user has to do to get the data, in one sentence.
    how_to_get: ClassVar[str]
    #: What the root has to contain, in a few words.
    layout: ClassVar[str]
    #: What to do about label values that do not exist.
    label_remedy: str
    #: The value in label files of every label id, where that is not the id itself.
    values: tuple[int, ...] = ()
    #: Bumped whenever the code here or in a subclass changes what a scene looks like.
    code_version: ClassVar[int] = 2

    def __init__(self, root: Path, size: tuple[int, int] | None = None, resize: str = "spade") -> None:
        """DataError where `root` is no folder or `resize` no rule; files are read when they are needed."""
        super().__init__(size)
        if resize not in RESIZE_RULES:
            raise DataError(f"there is no resize rule '{resize}' for {self.name}{nearest(resize, RESIZE_RULES)}")
        self.resize = resize
        self.values = self.values or tuple(range(self.label_space.size))
        self.never = self.label_space.never
        self.root = Path(root)
        if not is_folder(self.root):
            raise DataError(f"the root of {self.name}, {self.root}, is not a folder; it has to hold {self.layout}")
        self._listings: dict[str, Listing] = {}
        self._surveys: dict[str, Listing] = {}

    def __reduce__(self) -> tuple[Callable[..., FolderSource], tuple[type[FolderSource], Path, tuple[int, int], str]]:
        # A worker process opens the root once and lists it once; listings are not worth sending with every task.
        return _open_once, (type(self), self.root, (self.height, self.width), self.resize)

    @abstractmethod
    def available_splits(self) -> list[str]:
        """The splits that have a folder under the root."""

    @abstractmethod
    def _list(self, split: str) -> Listing:
        """Find the files of a split."""

    def _decode_instances(self, raw: np.ndarray) -> np.ndarray:
        """Values of an instance file -> instance ids: 0 or at least FIRST_INSTANCE."""
        return np.where(raw >= FIRST_INSTANCE, raw, 0)

    def _instances_without_file(self, split: str, scene_id: str, shape: tuple[int, ...]) -> np.ndarray:
        """The (h, w) int32 instance map of a scene that has no file for it: no instances."""
        return np.zeros(shape, np.int32)

    def _other_files(self, split: str) -> tuple[Path, ...]:
        """Files that shape scenes of a split beside the scenes' own."""
        return ()

    def _look_at_other_files(self, split: str) -> Listing:
        """What is wrong with, or worth knowing about, such files; it has no scenes."""
        return Listing({}, [])

    def _scene_problems(self, split: str, files: SceneFiles) -> list[Problem]:
        """What is wrong with a scene and can be known without decoding its files."""
        return []

    def _contradictions(self, files: SceneFiles, labels: np.ndarray, instances: np.ndarray) -> list[Problem]:
        """What labels and the raw values of an instance file, both (h, w), say against each other."""
        return []

    def listing(self, split: str) -> Listing:
        """The scenes of a split and what is missing (looked up once); DataError where the split is not there."""
        if split not in self.splits:
            raise DataError(f"{self.name} has no split '{split}'{nearest(split, self.splits)}")
        if split not in self._listings:
            present = self.available_splits()
            if split not in present:
                there = f"there is only {', '.join(present)}" if present else "there is no split at all"
                raise DataError(f"{self.root} has no split '{split}' of {self.name}: {there}; "
                                f"the root has to hold {self.layout}")  # fmt: skip
            self._listings[split] = self._list(split)
        return self._listings[split]

    def survey(self, split: str) -> Listing:
        """The listing, and what is said of files that many scenes share."""
        if split not in self._surveys:
            listing, shared = self.listing(split), self._look_at_other_files(split)
            notes = [printable(note) for note in (*listing.notes, *shared.notes)]
            self._surveys[split] = Listing(listing.scenes, [*listing.problems, *shared.problems], notes)
        return self._surveys[split]

    def notes(self, split: str) -> list[str]:
        """What the survey notes."""
        return self.survey(split).notes

    def evaluation_split(self) -> str:
        """The first of test and val that is under the root and not empty; DataError where neither is there.

        Where both are empty it is the first, so that its message follows.
        """
        present = [split for split in ("test", "val") if split in self.available_splits()]
        filled = [split for split in present if self.listing(split).scenes or self.listing(split).problems]
        if not present:
            there = ", ".join(self.available_splits()) or "no split"
            raise DataError(f"{self.root} has neither a test nor a val split of {self.name}: there is {there}; "
                            f"name a split, or restore one (the root has to hold {self.layout})")  # fmt: skip
        return (filled or present)[0]

    def ids(self, split: str, limit: int | None = None) -> list[str]:
        """Scene ids in the order of the files' names.

        DataError where files are missing, because a result over the scenes that happen to be complete would be mistaken
        for one over the data set, or where one of the scenes asked for cannot be had.
        """
        survey = self.survey(split)
        chosen = list(survey.scenes)[:limit]
        problems = [*survey.problems, *(p for i in chosen for p in self._scene_problems(split, survey.scenes[i]))]
        if problems:
            check = f"bench data check {self.argument} --split {split}"
            more = f"{len(problems)} problems; " if len(problems) > 1 else ""
            raise DataError(f"{problems[0]} ({more}`{check}` lists all)")
        if not chosen:
            raise DataError(f"{self.root} has no scenes in the split {split}; it has to hold {self.layout}")
        return chosen

    @property
    def argument(self) -> str:
        """What `bench data` calls it: by the class's name, because an export carries that of another data set."""
        return f"{type(self).name} --root {shlex.quote(str(self.root))}"

    def files(self, split: str, scene_id: str) -> SceneFiles:
        """The files of one scene; DataError names the nearest id for one that does not exist."""
        scenes = self.listing(split).scenes
        if scene_id not in scenes:
            close = nearest(scene_id, scenes) if len(scenes) < 10_000 else ""
            raise DataError(f"{self.name} has no scene '{scene_id}' in its split {split}{close}")
        return scenes[scene_id]

    def load(self, split: str, scene_id: str) -> SceneArrays:
        """Read one scene at this source's size; DataError names the file that is missing or broken."""
        scene, problems = self.examine(split, self.files(split, scene_id))
        if scene is None:
            raise FileError(problems[0])
        return scene

    def examine(self, split: str, files: SceneFiles) -> tuple[SceneArrays | None, list[Problem]]:
        """Read one scene and say everything that is wrong with its files; the scene is None if anything is.

        Whatever reads scenes goes through here, so that `bench data check` finds what stops a run, and nothing else.
        """
        problems = self._scene_problems(split, files)
        image = _attempt(read_rgb, files.image, problems)
        raw = _attempt(read_map, files.labels, problems)
        raw_instances = None if files.instances is None else _attempt(read_map, files.instances, problems)
        depth = None if files.depth is None else _attempt(read_map, files.depth, problems)
        for path, ids in ((files.labels, raw), (files.instances, raw_instances), (files.depth, depth)):
            if path is not None and ids is not None and image is not None and ids.shape != image.shape[:2]:
                what = f"is {_size(ids)}, but its image {files.image} is {_size(image)} (height x width)"
                problems.append(Problem(path, what, "both have to be of one size: restore the files"))
        if raw is not None and (wrong := self._wrong_values(raw)):
            what = f"has label values {some(wrong, 10)}, which {self.name} does not have"
            problems.append(Problem(files.labels, what, self.label_remedy))
        if image is None or raw is None or problems:
            return None, problems
        if raw_instances is not None and (problems := self._contradictions(files, raw, raw_instances)):
            return None, problems
        label_of = np.zeros(max(self.values) + 1, np.uint8)
        label_of[list(self.values)] = np.arange(len(self.values))
        labels = label_of[resize_map(raw, self.height, self.width)]
        if raw_instances is None:
            try:
                instances = self._instances_without_file(split, files.id, raw.shape)
            except FileError as error:
                return None, [error.problem]
        else:
            instances = self._decode_instances(raw_instances)
        return SceneArrays(
            files.id,
            RESIZE_RULES[self.resize](image, self.height, self.width),
            labels,
            resize_map(instances.astype(np.int32), self.height, self.width),
            None if depth is None else (resize_map(depth, self.height, self.width) / DEPTH_UNIT).astype(np.float32),
        ), []

    def fingerprint(self, split: str, ids: Sequence[str]) -> str:
        """SHA-256 over the bytes of these scenes' files, ids, size, resize rule and the version of the reading code."""
        parts = [self.name, self.label_space.name, str(self.code_version), split, f"{self.height}x{self.width}"]
        parts += [] if self.resize == "spade" else [f"resize {self.resize}"]
        parts += [file_digest(path) for path in self._other_files(split)]
        for scene_id in ids:
            parts += [scene_id, *(file_digest(path) for path in self.files(split, scene_id).paths)]
        return text_digest("\n".join(parts))

    def _wrong_values(self, raw: np.ndarray) -> list[str]:
        """Values in a label file that stand for nothing, with their names where they have one."""
        wrong = ~np.isin(raw, self.values) | np.isin(raw, self.never)
        named = {value: f"{value} ({self.label_space.names[value]})" for value in self.never}
        return [named.get(int(value), str(value)) for value in np.unique(raw[wrong])]


@dataclass(frozen=True)
class CheckReport:
    """How many complete scenes each split has, every problem found, and what is worth knowing."""

    scenes: dict[str, int]
    problems: list[Problem]
    notes: list[str] = field(default_factory=list)


def check(source: FolderSource, split: str | None = None, jobs: int = 1, progress: bool = True) -> CheckReport:
    """Decode every file of one split, or of all splits that are there, in `jobs` threads.

    Found is what stops a run over these scenes, because both go through `FolderSource.survey` and `examine`. DataError
    for a split that does not exist.
    """
    splits = [split] if split is not None else source.available_splits()
    if not splits:
        return CheckReport({}, [Problem(source.root, "holds no split", f"it has to hold {source.layout}")])
    scenes: dict[str, int] = {}
    problems: list[Problem] = []
    notes: list[str] = []
    for name in splits:
        listing = source.survey(name)
        scenes[name] = len(listing.scenes)
        problems += listing.problems
        notes += listing.notes
        if not listing.scenes and not listing.problems:
            problems.append(Problem(source.root, f"has no file in its split {name}", f"it has to hold {source.layout}"))
        calls = [(name, one) for one in listing.scenes.values()]
        for _, found in in_parallel(source.examine, calls, jobs, f"{source.name} {name}", progress, threads=True):
            problems += found
    # a file that many scenes share is named once
    return CheckReport(scenes, list(dict.fromkeys(problems)), list(dict.fromkeys(notes)))


@functools.cache
def _open_once(kind: type[FolderSource], root: Path, size: tuple[int, int], resize: str) -> FolderSource:
    return kind(root, size, resize)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, remembered while the system says that it is unchanged; DataError if unreadable."""
    try:
        return files.file_digest(path)
    except OSError as error:
        raise FileError(unreadable(path, error)) from None


def _attempt(read: Callable[[Path], np.ndarray], path: Path, problems: list[Problem]) -> np.ndarray | None:
    """Read a file; what goes wrong becomes a problem."""
    try:
        return read(path)
    except FileError as error:
        problems.append(error.problem)
        return None


def _size(array: np.ndarray) -> str:
    return f"{array.shape[0]}x{array.shape[1]}"
