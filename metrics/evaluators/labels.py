"""Label ids: those that evaluators answer with, and classes that are matched by name.

A published segmenter's classes become label ids of a data set by their names.

Names match where they are equal but for case, `_` and `-` (`traffic_light`, `Traffic Light`). Where a checkpoint's
names are others, a file `labels-DATASET.toml` in its folder says what is what:

    unanswered = ["caravan"]    # evaluated labels that it does not know: their pixels are not counted

    [classes]                   # name in the checkpoint = name in the data set
    "tree-merged" = "tree"

A checkpoint that does not answer every evaluated label is refused otherwise: an mIoU over some of the classes is
another number than one over all of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.api.errors import MetricError, nearest, some
from bench.api.files import file_digest
from bench.api.scenes import LabelSpace

if TYPE_CHECKING:
    from torch import Tensor


#: Cityscapes label ids of the train ids 0..18, in order (road, sidewalk, building, ..., bicycle), which Cityscapes and
#: the rendered streets evaluate.
EVALUATED_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
#: COCO-Stuff's 182 classes; 182 itself is the label of unlabelled pixels.
STUFF_IDS = tuple(range(182))
#: Train id of pixels whose label is not evaluated.
IGNORED = 255
#: Label id that a segmenter gives where it sees something that the data set has no label for.
NO_LABEL = 255


@lru_cache(maxsize=8)
def _train_ids(evaluated: tuple[int, ...]) -> np.ndarray:
    table = np.full(256, IGNORED, dtype=np.uint8)
    table[list(evaluated)] = np.arange(len(evaluated))
    return table


def train_ids(labels: np.ndarray | Tensor, evaluated: tuple[int, ...] = EVALUATED_IDS) -> np.ndarray:
    """The places of label ids in `evaluated`, or `IGNORED`.

    `labels` are 0..255, of any integer type and shape; the places are uint8, of that shape.

    ValueError for ids outside 0..255.
    """
    ids = labels if isinstance(labels, np.ndarray) else labels.cpu().numpy()
    if ids.size and (ids.min() < 0 or ids.max() > 255):
        raise ValueError(f"label ids are 0..255, these run from {ids.min()} to {ids.max()}")
    result: np.ndarray = _train_ids(evaluated)[ids]
    return result


@dataclass(frozen=True)
class LabelMap:
    """What a file says, if it is there: `classes` from the checkpoint's names to the data set's, `unanswered` labels.

    `digest`: SHA-256 of the file, empty without one.
    """

    file: Path
    digest: str = ""
    classes: Mapping[str, str] = field(default_factory=dict)
    unanswered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What a checkpoint's classes stand for.

    `labels` (classes,) uint8: the label id of each, `NO_LABEL` for classes that the data set does not have.
    `evaluated`: the evaluated label ids among them, in order. `left_out` names, for the protocol, the evaluated labels
    that are not counted.
    """

    labels: np.ndarray
    evaluated: tuple[int, ...]
    left_out: str


def read_label_map(folder: Path, dataset: str) -> LabelMap:
    """The folder's file for a data set, an empty map where there is none; MetricError for anything else in it."""
    file = folder / f"labels-{dataset}.toml"
    if not file.is_file():
        return LabelMap(file)
    try:
        content: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: TOML's, UTF-8's, a number of too many digits
        raise MetricError(f"{file} is not valid TOML: {error}") from None
    classes, unanswered = content.pop("classes", {}), content.pop("unanswered", [])
    if content:
        raise MetricError(f"unknown key '{next(iter(content))}' in {file}; known: classes, unanswered")
    if not isinstance(classes, dict) or not all(isinstance(name, str) for name in classes.values()):
        raise MetricError(f"[classes] of {file} must have a label name for each class name")
    if not isinstance(unanswered, list) or not all(isinstance(name, str) for name in unanswered):
        raise MetricError(f"unanswered in {file} must be a list of label names")
    return LabelMap(file, file_digest(file), classes, tuple(unanswered))


def answers(classes: Sequence[str], space: LabelSpace, label_map: LabelMap) -> Answers:
    """Which label of a data set's each of a checkpoint's `classes` stands for.

    MetricError for names in `label_map` that do not exist, and for evaluated labels that no class answers.
    """
    file, label_names, evaluated = label_map.file, space.names, space.evaluated
    ids = {_plain(name): number for number, name in enumerate(label_names)}
    renamed = {}
    for theirs, ours in label_map.classes.items():
        _known(theirs, classes, f"[classes] of {file}", "class of the checkpoint")
        renamed[_plain(theirs)] = ids[_plain(_known(ours, label_names, f"[classes] of {file}", "label"))]
    left_out = {_plain(_known(name, label_names, f"unanswered in {file}", "label")) for name in label_map.unanswered}
    labels = [renamed.get(_plain(name), ids.get(_plain(name), NO_LABEL)) for name in classes]
    kept = [number for number in space.evaluated if _plain(label_names[number]) not in left_out]
    missing = [label_names[n] for n in kept if n not in labels and n not in space.never]
    if missing:
        raise MetricError(
            f"it does not answer {len(missing)} of the {len(kept)} evaluated labels: {some(missing, 12)}. Its "
            f"{len(classes)} classes: {some(classes, 12)}. Where names differ, say so in {file}: [classes] with lines "
            f'"name in the checkpoint" = "name in the data set"; or leave labels out: unanswered = [...]'
        )
    names = ", ".join(label_names[number] for number in evaluated if number not in kept)
    return Answers(np.array(labels, dtype=np.uint8), tuple(kept), f", without {names}" if names else "")


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _known(name: str, names: Sequence[str], where: str, what: str) -> str:
    """The one of `names` that is meant; MetricError with the nearest one."""
    plain = {_plain(one): one for one in names}
    if _plain(name) in plain:
        return plain[_plain(name)]
    raise MetricError(f"{where}: there is no {what} '{name}'{nearest(name, names)}")
