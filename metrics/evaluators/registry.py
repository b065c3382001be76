"""The segmentation judges of mIoU by data set and name; the first of a data set is its default.

A judge's name says how pictures reach it where that is a choice (`drn_d_105@generated`, `drn_d_105@full`): values under
different rules must never be compared. Any other published segmenter is named by where it lies: `hf:FOLDER` for one of
`transformers`, `mmseg:CONFIG` for one of `mmsegmentation`; it can judge data sets whose evaluated labels it answers.
`own:NAME` is the embedded judge of a data set with weights of the user's own (`bench train judge`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from bench.api.metric import MetricContext, MetricError
from metrics.evaluators.block_unet import OWN
from metrics.evaluators.choice import chosen
from metrics.evaluators.drn import RESIZE_RULES, DrnJudge
from metrics.evaluators.embedded import SPECS, EmbeddedJudge


class Judge(Protocol):
    """A segmentation network that names the class of every pixel.

    `protocol`: the judge and how pictures reach it; `sha256`: of its weights file, or over all files that determine its
    answers; `evaluated`: the evaluated label ids that it answers with; `gpu_batch`: pictures a GPU takes at once;
    `predict`: pictures (B, 3, H, W) float32 in [0, 1] -> label ids of the data set (B, H, W) uint8, `NO_LABEL` where it
    sees something that the data set has no label for.
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


#: Builds a judge for a data set (the context's), on the context's device.
JudgeLoader = Callable[[MetricContext], Judge]


def _embedded(context: MetricContext) -> Judge:
    return EmbeddedJudge.load(context.dataset, context.weights_dir, context.device)


def _own(named: str, context: MetricContext) -> Judge:
    return EmbeddedJudge.load_own(named, context.dataset, context.weights_dir, context.device)


def _drn(name: str, resize: str) -> JudgeLoader:
    return lambda context: DrnJudge.load(name, resize, context.weights_dir, context.device)


def _maskformer(context: MetricContext) -> Judge:
    from metrics.evaluators.hf_segmenter import HfSegmenter

    return HfSegmenter.maskformer(context)


def _hf(path: str, context: MetricContext) -> Judge:
    from metrics.evaluators.hf_segmenter import HfSegmenter

    return HfSegmenter.load(path, context)


def _mmseg(path: str, context: MetricContext) -> Judge:
    from metrics.evaluators.mmseg_segmenter import MmsegSegmenter

    return MmsegSegmenter.load(path, context)


JUDGES: dict[str, dict[str, JudgeLoader]] = {
    **{dataset: {dataset: _embedded} for dataset in SPECS},
    "cityscapes": {f"{n}@{r}": _drn(n, r) for n in ("drn_d_105", "drn_d_22") for r in RESIZE_RULES},
    "coco_stuff": {"maskformer": _maskformer},
}
#: What a judge's name begins with that says where it lies.
SCHEMES: dict[str, Callable[[str, MetricContext], Judge]] = {"hf:": _hf, "mmseg:": _mmseg, OWN: _own}


def judge_names(dataset: str) -> tuple[str, ...]:
    """Names of a data set's judges, the default first; empty where there is none."""
    return tuple(JUDGES.get(dataset, ()))


def load_judge(context: MetricContext) -> Judge:
    """The judge of the context's name, or its data set's default for None.

    MetricError for a data set without a judge (a judge never judges another data set's classes), for an unknown name,
    where weights are missing or damaged, and where the judge does not answer the labels that the data set evaluates.
    """
    for scheme, load in SCHEMES.items():
        if context.evaluator is not None and context.evaluator.startswith(scheme):
            return load(context.evaluator.removeprefix(scheme), context)
    if context.evaluator is None and not judge_names(context.dataset):
        raise MetricError(
            f"no judge of its {len(context.evaluated)} classes comes with the project. Name one in bench.toml: "
            f'[metrics.mIoU.evaluators], {context.dataset} = "hf:FOLDER" (transformers) or "mmseg:CONFIG" '
            "(mmsegmentation)"
        )
    judge = chosen(JUDGES, context.dataset, context.evaluator, "judge")(context)
    if judge.evaluated != tuple(context.evaluated):
        raise MetricError(
            f"its judge knows the label ids {judge.evaluated}, the data set evaluates {tuple(context.evaluated)}"
        )
    return judge
