"""A data set of the user's own: a folder of pictures and label maps, and `classes.toml`, which says what they mean.

`SPLIT/images/*` are pictures, `SPLIT/labels/*.png` maps of the same names whose values are ids of `classes.toml` (an
indexed PNG's indices). `SPLIT/instances/*.png` number the objects (0: none), `SPLIT/depth/*.png` are 16 bit, metres
times 256 as in KITTI (0: unknown); both may be absent. A split is a folder with `images`.

Any data set can be written in this form (`export_folder`), edited and read back.
"""

import json
import math
import os
import re
import shlex
import shutil
import tomllib
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.api.errors import DataError, nearest
from bench.api.registry import DATASETS
from bench.api.scenes import LabelSpace, SceneArrays, SceneSource
from bench.api.seeding import text_digest
from bench.api.terminal import in_parallel
from bench.data.coco_stuff import distinct_palette
from bench.data.export import ExportReport, write_file, write_png
from bench.data.folder import DEPTH_UNIT, FIRST_INSTANCE, FolderSource
from bench.data.images import FileError, Problem, read_map, read_rgb, unreadable
from bench.data.listing import Listing, SceneFiles, find_files, is_folder, pair

#: What a data set is called by that is named by its folder.
SCHEME = "folder:"
CLASSES = "classes.toml"
_LARGEST = 1_000_000  # bytes of a classes.toml
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
#: Folders of a split, and what their files are called in messages.
_KINDS = {"images": "image", "labels": "label map", "instances": "instance map", "depth": "depth map"}
_SPLITS = ("train", "val", "test")
_MAX_16_BITS = 65_535
_MOST_CLASSES = 255  # label ids are bytes
_CHUNK = 16
#: Values of label maps that usually mean "not labelled".
_USUALLY_UNKNOWN = 255
#: Shorter sides that `init` proposes, which the embedded networks are made for; and what sides are multiples of.
_PROPOSED_SIDES, _MULTIPLE = (96, 128, 64), 32

_Side = Annotated[int, Field(ge=1, le=65_536)]


class _Class(BaseModel):
    """One class; whether it enters mIoU, has instances, stands for unlabelled pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=80)
    colour: str = Field(pattern="^#[0-9a-fA-F]{6}$")
    thing: bool = False
    evaluated: bool = True
    unknown: bool = False


class _Contents(BaseModel):
    """A whole classes.toml; `classes` by the value in label maps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern="^[A-Za-z0-9_]{1,40}$")
    size: tuple[_Side, _Side]
    classes: dict[Annotated[int, Field(ge=0, le=_MAX_16_BITS)], _Class] = Field(min_length=1, max_length=_MOST_CLASSES)

    def label_space(self) -> LabelSpace:
        """Label ids in the order of the values; ValueError for what no label space can be."""
        ordered = [self.classes[value] for value in sorted(self.classes)]
        names = tuple(one.name for one in ordered)
        twice = next((name for name, count in Counter(names).items() if count > 1), None)
        unknown = [place for place, one in enumerate(ordered) if one.unknown]
        evaluated = tuple(place for place, one in enumerate(ordered) if one.evaluated and not one.unknown)
        known = self.name.casefold() in DATASETS.names()
        wrong = {
            f"two classes are called '{twice}'": twice is not None,
            "a name that cannot be printed": not all(name.isprintable() for name in names),
            "more than one class is unknown = true": len(unknown) > 1,
            "no class is evaluated: mIoU needs one": not evaluated,
            f"the data set '{self.name}' exists already: give this one another name": known,
        }
        for what, is_so in wrong.items():
            if is_so:
                raise ValueError(what)
        return LabelSpace(
            name=self.name,
            names=names,
            palette=tuple((int(c[1:3], 16), int(c[3:5], 16), int(c[5:7], 16)) for c in (o.colour for o in ordered)),
            evaluated=evaluated,
            things=tuple(place for place, one in enumerate(ordered) if one.thing),
            unknown=unknown[0] if unknown else None,
        )


class OwnScenes(FolderSource):
    """The data set in a folder with a `classes.toml`; its name, labels, size and splits are what the folder says."""

    name = "folder"
    layout = f"{CLASSES}, SPLIT/images and SPLIT/labels"
    how_to_get = "put pictures into SPLIT/images, label maps into SPLIT/labels, then `bench data init`"

    def __init__(self, root: Path, size: tuple[int, int] | None = None, resize: str = "spade") -> None:
        """DataError where there is no such folder, or its classes.toml says nothing that can be."""
        root = Path(root).absolute()
        contents = _read_classes(root)
        try:
            self.label_space = contents.label_space()
        except ValueError as error:
            raise FileError(Problem(root / CLASSES, f"says: {error}", "correct it")) from None
        self.name = contents.name
        self.values = tuple(sorted(contents.classes))
        self.label_remedy = f"give each a line under [classes] in {root / CLASSES}, or correct the map"
        self.splits = tuple(_splits(root))
        super().__init__(root, size or contents.size, resize)

    @property
    def argument(self) -> str:
        """What every command calls it."""
        return f"{SCHEME}{shlex.quote(str(self.root))}"

    def available_splits(self) -> list[str]:
        """The folders that hold `images`, the usual three first."""
        return list(self.splits)

    def _list(self, split: str) -> Listing:
        folders = {name: self.root / split / name for name in _KINDS}
        there = [name for name in _KINDS if name in ("images", "labels") or is_folder(folders[name])]
        found = {name: find_files(folders[name], _PICTURES if name == "images" else [".png"]) for name in there}
        places = [str(folders[name] / "{id}.png") for name in there]
        return pair(found["images"], [(_KINDS[name], found[name]) for name in there[1:]], places)

    def _scene_problems(self, split: str, files: SceneFiles) -> list[Problem]:
        return [
            Problem(path, "is a link that leaves the folder", "put the file itself there")
            for path in files.paths
            if _leaves(path, self.root)
        ]

    def _look_at_other_files(self, split: str) -> Listing:
        remedy = "put the folder itself there, or name the one that it points to"
        folders = [self.root / split, *(self.root / split / name for name in _KINDS)]
        return Listing(
            {}, [Problem(f, "is a link that leaves the folder", remedy) for f in folders if _leaves(f, self.root)]
        )

    def _decode_instances(self, raw: np.ndarray) -> np.ndarray:
        return np.where(raw > 0, raw + FIRST_INSTANCE - 1, 0)

    def _other_files(self, split: str) -> tuple[Path, ...]:
        return (self.root / CLASSES,)  # what labels mean is part of what the scenes are


def _leaves(path: Path, root: Path) -> bool:
    """Whether `path` is a link to something outside of `root`."""
    return path.is_symlink() and not path.resolve().is_relative_to(root.resolve())


def _splits(root: Path) -> list[str]:
    """Names of the folders with `images`, the usual ones first."""
    try:
        found = {entry.name for entry in os.scandir(root) if is_folder(Path(entry.path) / "images")}
    except OSError as error:
        raise FileError(unreadable(root, error)) from None
    return [*(split for split in _SPLITS if split in found), *sorted(found - set(_SPLITS))]


def _read_classes(root: Path) -> _Contents:
    """A folder's classes.toml; FileError where it is missing or says what it cannot say."""
    path = root / CLASSES
    if not is_folder(root):
        raise DataError(f"there is no folder {root}; a data set of your own holds {OwnScenes.layout}")
    if not path.is_file():
        raise FileError(Problem(path, "is missing", f"`bench data init {shlex.quote(str(root))}` writes one"))
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"more than {_LARGEST:,} bytes")
        return _Contents.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except ValidationError as error:
        first = error.errors()[0]
        key, place = ".".join(str(part) for part in first["loc"]), [str(p) for p in first["loc"]]
        known = _Class.model_fields if place[0] == "classes" else _Contents.model_fields
        hint = nearest(place[-1], known) if first["type"] == "extra_forbidden" else ""
        what = "unknown key" if hint else first["msg"]
        raise FileError(Problem(path, f"says: {key}: {what}{hint}", "correct it")) from None
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(Problem(path, f"cannot be read as TOML ({error})", "correct it")) from None


def _text(name: str, size: Sequence[int], lines: Iterable[str], remark: str = "") -> str:
    """A classes.toml; `lines` are those of the classes."""
    body = "\n".join(lines)
    return f"""# A data set of gesco-bench: pictures in SPLIT/images, label maps in SPLIT/labels (PNG, values as below).
name = "{name}"             # in tables, file names and specs: letters, digits and _
size = [{size[0]}, {size[1]}]           # height, width at which scenes are read{remark}

# value in the label maps = {{ name, colour in figures, and where it is so:
#   thing = true       it has objects, numbered in SPLIT/instances
#   evaluated = false  it is no class of mIoU
#   unknown = true     nothing is known of these pixels (one class at most); it is not evaluated }}
[classes]
{body}
"""


def _line(value: int, name: str, colour: Sequence[int], more: str = "", remark: str = "") -> str:
    red, green, blue = colour
    quoted = json.dumps(name, ensure_ascii=False)
    return f'{value} = {{ name = {quoted}, colour = "#{red:02x}{green:02x}{blue:02x}"{more} }}{remark}'


def init(root: Path, jobs: int = 1, progress: bool = True, size: tuple[int, ...] | None = None) -> list[int]:
    """Write a commented classes.toml from the label maps below `root`; the values found.

    `size` is what scenes are to be read at; without it one is proposed.

    DataError where there is one already, where there is no label map, or one that cannot be read.
    """
    root = Path(root).absolute()
    path = root / CLASSES
    if path.exists():
        raise DataError(f"{path} is there already: edit it, or remove it to start again")
    maps = [
        file
        for split in (_splits(root) if is_folder(root) else [])
        for file in find_files(root / split / "labels", [".png"]).files.values()
        if not _leaves(file, root)
    ]
    if not maps:
        raise DataError(f"{root} has no label map: put pictures into SPLIT/images and their maps into SPLIT/labels, "
                        "for example train/images/one.jpg and train/labels/one.png")  # fmt: skip
    pixels: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    colours: dict[int, tuple[int, int, int]] = {}
    for counts, palette in in_parallel(_values_in, [(file,) for file in maps], jobs, "label maps", progress, True):
        pixels += counts
        seen.update(counts.keys())
        colours = {**palette, **colours}
    values = sorted(pixels)
    if len(values) > _MOST_CLASSES:
        what = f"the maps in {root} hold {len(values)} values: are they instances, or colours saved as numbers?"
        raise DataError(f"{what} A data set has {_MOST_CLASSES} classes at most")
    total = sum(pixels.values())
    spare = distinct_palette(len(values))
    lines = []
    for value, fallback in zip(values, spare, strict=True):
        unknown = value == _USUALLY_UNKNOWN
        share = f"  # {pixels[value] / total:.1%} of the pixels, in {seen[value]} of {len(maps)} maps"
        name = "unlabelled" if unknown else f"class_{value}"
        colour = (0, 0, 0) if unknown else colours.get(value, fallback)
        lines.append(_line(value, name, colour, ", unknown = true" if unknown else "", share))
    height, width = read_map(maps[0]).shape
    size = size or _proposed(height, width)
    remark = f"; the first map is {height}x{width}, and multiples of {_MULTIPLE} suit every method"
    write_file(path, _text(_name(root), size, lines, remark).encode())
    return values


def _values_in(path: Path) -> tuple[Counter[int], dict[int, tuple[int, int, int]]]:
    """How many pixels of a map have each value, and the colours that its palette gives them."""
    values, counts = np.unique(read_map(path), return_counts=True)
    with Image.open(path) as image:
        flat = image.getpalette("RGB") or []
    palette = {int(v): tuple(flat[3 * v : 3 * v + 3]) for v in values if 3 * v + 3 <= len(flat)}
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True))), palette  # type: ignore[return-value]


def _proposed(height: int, width: int) -> tuple[int, int]:
    """A size of the same shape as near as may be, sides multiples of 32, the shorter one 64, 96 or 128."""

    def scaled(side: int, shorter: int) -> int:
        return max(1, round(side * shorter / min(height, width) / _MULTIPLE)) * _MULTIPLE

    sizes = [(scaled(height, shorter), scaled(width, shorter)) for shorter in _PROPOSED_SIDES]
    return min(sizes, key=lambda size: abs(math.log(size[0] * width / size[1] / height)))


def _name(root: Path) -> str:
    """The folder's name as a data set's, another one than those that exist."""
    name = re.sub("[^A-Za-z0-9_]", "_", root.name)[:40] or "scenes"
    return name if name.casefold() not in DATASETS.names() else f"{name[:36]}_own"


def gathered(named: str, labels: Path | None, to: Path) -> str:
    """What `--against` means: a data set by name, `folder:PATH`, or a plain folder of pictures, perhaps with `labels`.

    Of a plain one a data set is made below `to`, of links or copies, at its first picture's size. Its label maps have
    a classes.toml beside them, or classes without names; without any nothing is known of its pixels.
    """
    folder = Path(named.removeprefix(SCHEME)).expanduser()
    if labels is None:
        if named.casefold() in DATASETS.names() or not folder.is_dir():
            return named
        if named.startswith(SCHEME) or (folder / CLASSES).is_file():
            return f"{SCHEME}{folder}"
    pictures = find_files(folder, _PICTURES).files
    if not pictures:
        raise DataError(f"{folder} holds no pictures to compare with")
    first = read_rgb(next(iter(pictures.values())))
    root = to / text_digest(str((folder.resolve(), labels and labels.resolve())))[:8] / _name(folder)
    shutil.rmtree(root, ignore_errors=True)
    for scene_id, path in pictures.items():
        _put(path, root / "test" / "images" / path.name)
        if labels is None:
            write_png(root / "test" / "labels" / f"{scene_id}.png", Image.new("L", first.shape[1::-1]))
    if labels is None:
        text = _text(_name(folder), first.shape[:2], [_line(0, "anything", (0, 0, 0))])
        write_file(root / CLASSES, text.encode())
        return f"{SCHEME}{root}"
    for path in find_files(labels, [".png"]).files.values():
        _put(path, root / "test" / "labels" / path.name)
    if (labels / CLASSES).is_file():
        _put(labels / CLASSES, root / CLASSES)
    else:
        init(root, progress=False, size=first.shape[:2])
    return f"{SCHEME}{root}"


def _put(path: Path, where: Path) -> None:
    """A file at another place too: a hard link, or a copy where the file system has none."""
    where.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path.resolve(), where)
    except OSError:
        shutil.copyfile(path, where)


def export_folder(
    source: SceneSource, split: str, destination: Path, limit: int | None = None, jobs: int = 1, progress: bool = True
) -> ExportReport:
    """Write the first `limit` scenes of a split (all, if None) as a data set of the user's own, at the source's size.

    Scenes that are there are kept, edited or not. DataError where `destination` is another data set's, where a scene
    cannot be read or written.
    """
    ids = source.ids(split, limit)
    destination = Path(destination).absolute()
    text = _text(_name(destination), (source.height, source.width), _lines(source.label_space)).encode()
    path = destination / CLASSES
    if path.is_file():
        there = OwnScenes(destination)
        if (there.label_space.names, there.height, there.width) != (
            source.label_space.names,
            source.height,
            source.width,
        ):
            raise DataError(f"{destination} holds other classes or another size; choose an empty folder")
    elif destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise DataError(f"{destination} is not empty and has no {CLASSES}; choose an empty folder")
    else:
        write_file(path, text)
    missing = [i for i in ids if not (destination / split / "labels" / f"{i}.png").is_file()]
    chunks = [(source, split, destination, missing[at : at + _CHUNK]) for at in range(0, len(missing), _CHUNK)]
    deque(in_parallel(_write_chunk, chunks, jobs, f"{source.name} {split}", progress), maxlen=0)
    return ExportReport(len(missing), len(ids) - len(missing))


def _lines(space: LabelSpace) -> Iterable[str]:
    for place, (name, colour) in enumerate(zip(space.names, space.palette, strict=True)):
        facts = {
            "thing = true": place in space.things,
            "unknown = true": place == space.unknown,
            "evaluated = false": place not in space.evaluated and place != space.unknown,
        }
        yield _line(place, name, colour, "".join(f", {fact}" for fact, is_so in facts.items() if is_so))


def _write_chunk(source: SceneSource, split: str, destination: Path, ids: Sequence[str]) -> None:
    for scene_id in ids:
        if Path(scene_id).name != scene_id or not scene_id.isprintable():
            raise DataError(f"the scene '{scene_id}' of {source.name} has an id that cannot be a file's name")
        _write_scene(source.load(split, scene_id), source.label_space, destination / split)


def _write_scene(scene: SceneArrays, space: LabelSpace, folder: Path) -> None:
    """Write a scene's files; the labels, which tell that it is whole, are the last."""
    name = f"{scene.id}.png"
    instances = np.where(scene.instances > 0, scene.instances - FIRST_INSTANCE + 1, 0)
    if instances.max() > _MAX_16_BITS:
        raise DataError(f"scene {scene.id} has instance ids that 16 bits do not hold")
    write_png(folder / "images" / name, Image.fromarray(scene.image))
    if space.things:
        write_png(folder / "instances" / name, Image.fromarray(instances.astype(np.uint16)))
    if scene.depth is not None:
        depth = np.nan_to_num(scene.depth * DEPTH_UNIT, nan=0, posinf=0).round().clip(0, _MAX_16_BITS)
        write_png(folder / "depth" / name, Image.fromarray(depth.astype(np.uint16)))
    labels = Image.fromarray(scene.labels)
    if any(len(set(space.palette[label])) > 1 for label in np.unique(scene.labels)):  # greys could be taken for ids
        labels.putpalette([channel for colour in space.palette for channel in colour])
    write_png(folder / "labels" / name, labels)
