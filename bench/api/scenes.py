"""What a data set is: named splits of scenes, each an image with labels, instances and perhaps depth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bench.api.errors import DataError
from bench.api.lazy import Tensor, torch
from bench.api.registry import DATASETS


@dataclass(frozen=True)
class LabelSpace:
    """The meaning of label ids in one data set.

    `names[i]` is the name of label id `i`; `palette[i]` its RGB colour, 0..255. `evaluated` are the ids that enter
    mIoU, `things` the ids that have instances, `never` those that no map holds: where they occur, a file means
    something else. `unknown` is the id of unlabelled pixels, if there is one.
    """

    name: str
    names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    evaluated: tuple[int, ...]
    things: tuple[int, ...] = ()
    unknown: int | None = None
    never: tuple[int, ...] = ()
    #: Whether the data sets' own instance pictures are 8 bit (their ids here are moved up): clipping changes nothing.
    eight_bit_instances: bool = False
    #: Whether maps have the channel of instance edges. False for data sets without instances whose published networks
    #: have none; where there are merely no instances, as in a folder of the user's own, it holds the labels' edges.
    edges: bool = True

    @property
    def size(self) -> int:
        """Number of label ids, that is, of one-hot channels."""
        return len(self.names)

    @property
    def map_channels(self) -> int:
        """Channels of a full semantic map: label ids, and the edge channel where there is one."""
        return self.size + int(self.edges)


@dataclass(frozen=True)
class Scene:
    """A batch of scenes, as the sender sees them.

    `image` (B, 3, H, W) float32 in [0, 1]; `labels` (B, H, W) int64, ids of `label_space`;
    `instances` (B, H, W) int32, 0 where there is none; `depth` (B, H, W) float32 in metres, or None;
    `ids` B strings, unique within the data set.
    """

    image: Tensor
    labels: Tensor
    instances: Tensor
    depth: Tensor | None
    ids: tuple[str, ...]
    label_space: LabelSpace

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class SceneArrays:
    """One scene at the data set's size.

    `image` (H, W, 3) uint8 RGB; `labels` (H, W) uint8, ids of the label space; `instances` (H, W) int32, 0 where none;
    `depth` (H, W) float32 metres, or None.
    """

    id: str
    image: np.ndarray
    labels: np.ndarray
    instances: np.ndarray
    depth: np.ndarray | None = None


class SceneSource(ABC):
    """One data set at one size. `ids(split)` lists scene ids in a fixed order; `load(split, id)` reads one.

    Subclasses are found through the entry-point group `bench.datasets`, and own whatever is known of their data set:
    who needs a fact asks the class (`facts_of`).
    """

    #: Set by the class; an exported data set that is read back sets its own on the instance.
    name: str
    label_space: LabelSpace
    splits: tuple[str, ...]
    #: (height, width) used when none is asked for
    default_size: ClassVar[tuple[int, int]]
    #: What captions print.
    title: ClassVar[str] = ""
    #: Whether the project renders it. Any other data set belongs to the paper's scale.
    rendered: ClassVar[bool] = False
    #: The paper's data set whose values stand beside this one's.
    counterpart: ClassVar[str | None] = None
    #: The paper's guidance scale on it (section 4.1), or on the data set that it stands for.
    guidance: ClassVar[float | None] = None
    #: Scenes that a training takes where nobody says how many; None stands for all.
    training_scenes: ClassVar[int | None] = None
    #: Names of the networks that metrics ask on it (metrics/evaluators/registry.py), the default first, by kind:
    #: "segmenter", "detector" and "depth".
    evaluators: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Label ids by COCO's names of classes, for detectors that were trained on COCO; and true labels that these answer
    #: by another one.
    coco_classes: ClassVar[Mapping[str, int]] = {}
    coco_answers: ClassVar[Mapping[int, int]] = {}
    #: Whether segmentations of it are also published over every label id, evaluated or not.
    counts_every_label: ClassVar[bool] = False

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self.height, self.width = size or self.default_size

    @abstractmethod
    def ids(self, split: str, limit: int | None = None) -> list[str]:
        """The first `limit` scene ids of a split (all, where the split is finite and limit is None)."""

    def evaluation_split(self) -> str:
        """What `--split auto` means: `test` where there is one, else `val`; DataError where there is neither."""
        for split in ("test", "val"):
            if split in self.splits:
                return split
        raise DataError(f"{self.name} has neither a test nor a val split; name one of {', '.join(self.splits)}")

    def notes(self, split: str) -> list[str]:
        """What a user of the split ought to know and what is no error, one line each."""
        return []

    @abstractmethod
    def load(self, split: str, scene_id: str) -> SceneArrays:
        """Read or render one scene at this source's size; DataError names the file that is missing or broken."""

    @abstractmethod
    def fingerprint(self, split: str, ids: Sequence[str]) -> str:
        """Digest of everything that determines these scenes' content (files' bytes or renderer version) and size."""


def facts_of(dataset: str) -> type[SceneSource]:
    """The class of a data set, for what is known of it; of one that is not registered nothing is but the defaults."""
    return DATASETS.load(dataset) if dataset in DATASETS.names() else SceneSource


def stack(scenes: Sequence[SceneArrays], label_space: LabelSpace) -> Scene:
    """Batch scenes of equal size into tensors (see `Scene`)."""
    depths = [s.depth for s in scenes]
    return Scene(
        image=torch.from_numpy(np.stack([s.image for s in scenes])).permute(0, 3, 1, 2).float().div_(255),
        labels=torch.from_numpy(np.stack([s.labels for s in scenes])).long(),
        instances=torch.from_numpy(np.stack([s.instances for s in scenes])),
        depth=None if any(d is None for d in depths) else torch.from_numpy(np.stack(depths)),  # type: ignore[arg-type]
        ids=tuple(s.id for s in scenes),
        label_space=label_space,
    )
