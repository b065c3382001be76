"""The segmentation judges of mIoU by data set and name; the first of a data set is its default.

A judge's name says how pictures reach it where that is a choice (`drn_d_105@generated`, `drn_d_105@full`): values under
different rules must never be compared.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from metrics.base import MetricError
from metrics.judges.drn import RESIZE_RULES, DrnJudge
from metrics.judges.embedded import SPECS, EmbeddedJudge


class Judge(Protocol):
    """A segmentation network that names the class of every pixel.

    `protocol`: the judge and how pictures reach it; `sha256`: of its weights file; `evaluated`: the label ids that it
    answers with; `gpu_batch`: pictures a GPU takes at once; `predict`: pictures (B, 3, H, W) float32 in [0, 1] -> label
    ids of the data set (B, H, W) uint8.
    """

    @property
    def protocol(self) -> str: ...
    @property
    def gpu_batch(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def evaluated(self) -> tuple[int, ...]: ...
    def predict(self, images: Tensor) -> Tensor: ...


#: Builds a judge from the folder of weights that is looked at first, or None, and the device.
JudgeLoader = Callable[[Path | None, torch.device], Judge]


def _embedded(dataset: str) -> JudgeLoader:
    return lambda weights_dir, device: EmbeddedJudge.load(dataset, weights_dir, device)


def _drn(name: str, resize: str) -> JudgeLoader:
    return lambda weights_dir, device: DrnJudge.load(name, resize, weights_dir, device)


JUDGES: dict[str, dict[str, JudgeLoader]] = {
    **{dataset: {dataset: _embedded(dataset)} for dataset in SPECS},
    "cityscapes": {f"{n}@{r}": _drn(n, r) for n in ("drn_d_105", "drn_d_22") for r in RESIZE_RULES},
}
_MISSING = {
    "coco_stuff": "its judge is MaskFormer, which comes later",
    "camvid": "no judge of CamVid's 11 classes is available",
}


def judge_names(dataset: str) -> tuple[str, ...]:
    """Names of a data set's judges, the default first; empty where there is none."""
    return tuple(JUDGES.get(dataset, ()))


def load_judge(dataset: str, name: str | None, weights_dir: Path | None, device: torch.device) -> Judge:
    """The judge of that name, or the data set's default for None.

    MetricError for a data set without a judge (a judge never judges another data set's classes), for an unknown name,
    and where weights are missing or damaged.
    """
    judges = JUDGES.get(dataset)
    if judges is None:
        raise MetricError(_MISSING.get(dataset, f"no judge is known for it; there are judges for {', '.join(JUDGES)}"))
    chosen = name or next(iter(judges))
    if chosen not in judges:
        near = difflib.get_close_matches(chosen, judges, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise MetricError(f"there is no judge '{chosen}' for it; {hint}known: {', '.join(judges)}")
    return judges[chosen](weights_dir, device)
