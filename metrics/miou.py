"""mIoU: does the regenerated picture show the same classes in the same places?

A judge (a segmentation network, `metrics/judges/registry.py`) maps the regenerated picture to labels. Two protocols,
both at data-set level (one confusion matrix over all scenes, as in the papers):

- `gt`: the judge's map against the scene's true labels; printed as `mIoU`.
- `judge`: against the judge's map of the original picture, the words of the GESCO paper (section 4.1); `mIoU[judge]`.

`mIoU[original]` is the judge's map of the original picture against the true labels: what a perfect method would get
under `gt`. Pixels whose true label is not evaluated count in none of the three.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from metrics.base import Comparison, Metric, MetricContext, MetricError, Score
from metrics.judges.classes import CLASSES, EVALUATED_IDS, IGNORED, train_ids
from metrics.judges.registry import judge_names, load_judge
from metrics.pictures import PerPicture, check_labels, check_pictures


def confusion_matrix(
    predicted: np.ndarray, truth: np.ndarray, num_classes: int, ignore: int | None = None
) -> np.ndarray:
    """Pixel counts per scene, (B, C, C) int64, [b, t, p] = pixels of class t that were called p.

    `predicted` and `truth` are (B, H, W) integers in 0..C-1; pixels whose truth is `ignore` are left out. ValueError
    for any other value, because a class id that is out of range is an error of the caller's mapping.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted {predicted.shape} and truth {truth.shape} differ in shape")
    scene = np.broadcast_to(np.arange(len(truth))[:, None, None], truth.shape)
    counted = np.ones(truth.shape, dtype=bool) if ignore is None else truth != ignore
    predicted, truth, scene = predicted[counted].astype(np.int64), truth[counted].astype(np.int64), scene[counted]
    for name, values in (("predicted", predicted), ("truth", truth)):
        if values.size and (values.min() < 0 or values.max() >= num_classes):
            raise ValueError(f"{name} holds class ids outside 0..{num_classes - 1}")
    scenes = len(counted)
    cells = (scene * num_classes + truth) * num_classes + predicted
    return np.bincount(cells, minlength=scenes * num_classes**2).reshape(scenes, num_classes, num_classes)


def iou_from_confusion(confusion: np.ndarray) -> np.ndarray:
    """IoU per class (..., C) float64 from pixel counts (..., C, C); NaN for classes in neither truth nor prediction."""
    counts = confusion.astype(np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    union = counts.sum(axis=-1) + counts.sum(axis=-2) - hits
    return np.divide(hits, union, out=np.full(hits.shape, np.nan), where=union > 0)


def mean_iou(confusion: np.ndarray) -> np.ndarray:
    """Mean of the defined IoUs, (...) float64 from (..., C, C); NaN where no class is defined."""
    iou = iou_from_confusion(confusion)
    defined = np.isfinite(iou)
    count = defined.sum(axis=-1)
    total = np.where(defined, iou, 0.0).sum(axis=-1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


class MeanIoU(Metric):
    """mIoU under the data set's judge: the embedded one for `streets`, DRN-D-105 for `cityscapes`."""

    name = "mIoU"
    higher_is_better = True

    def __init__(self, context: MetricContext) -> None:
        """MetricError for a data set without a judge, for another judge than its own, and where weights are missing."""
        super().__init__(context)
        try:
            self._judge = load_judge(context.dataset, context.judge, context.weights_dir, context.device)
        except MetricError as error:
            raise MetricError(f"mIoU is skipped on `{context.dataset}`: {error}") from error
        if tuple(context.evaluated) != EVALUATED_IDS:
            raise MetricError(
                f"mIoU's judge knows the label ids {EVALUATED_IDS}, the data set evaluates {tuple(context.evaluated)}"
            )
        self._maps = PerPicture(self._judge.predict, context.device, gpu_batch=self._judge.gpu_batch)

    @classmethod
    def judges(cls, dataset: str) -> tuple[str, ...]:
        return judge_names(dataset)

    @property
    def protocol(self) -> str:
        return (
            f"truth=labels, for mIoU[judge] the judge's map of the original|judge={self._judge.protocol}|"
            f"{CLASSES} classes"
        )

    def weights_digest(self) -> str:
        return self._judge.sha256

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """Confusion matrices `gt`, `judge` and `original` (see the module), each (B, 19, 19) int64."""
        check_pictures(comparison)
        check_labels(comparison)
        truth = train_ids(comparison.labels)
        generated = train_ids(self._maps(comparison.generated))
        original = train_ids(self._maps.remembered(comparison.original))
        return {
            "gt": confusion_matrix(generated, truth, CLASSES, IGNORED),
            "judge": confusion_matrix(generated, np.where(truth == IGNORED, IGNORED, original), CLASSES, IGNORED),
            "original": confusion_matrix(original, truth, CLASSES, IGNORED),
        }

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """Data-set level values; `std` is the standard deviation of the per-scene mIoU (None for one scene)."""
        if len(measured["gt"]) == 0:
            raise MetricError("mIoU of no scenes is not defined")
        names = {"mIoU": "gt", "mIoU[judge]": "judge", "mIoU[original]": "original"}
        return [_score(name, measured[key]) for name, key in names.items()]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`mIoU[scene]`: mean IoU over the classes in a scene's truth or prediction, protocol `gt`."""
        return {"mIoU[scene]": mean_iou(measured["gt"])}


    @classmethod
    def resampled(cls, measured: Mapping[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
        """`mIoU` and `mIoU[judge]` of every draw's pixel counts."""
        return {name: _resampled(measured[key], counts) for name, key in {"mIoU": "gt", "mIoU[judge]": "judge"}.items()}


def _resampled(confusion: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """mIoU (R,) over the scenes of (B, C, C) pixel counts weighted by (R, B); only what IoU needs is summed, because C
    squared is large for COCO-Stuff."""
    hits = counts @ np.diagonal(confusion, axis1=1, axis2=2)
    union = counts @ (confusion.sum(axis=1) + confusion.sum(axis=2)) - hits
    defined = union > 0
    total = np.divide(hits, union, out=np.zeros(hits.shape), where=defined).sum(axis=1)
    number = defined.sum(axis=1)
    return np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0)


def _score(name: str, confusion: np.ndarray) -> Score:
    scenes = mean_iou(confusion)
    scenes = scenes[np.isfinite(scenes)]
    std = float(scenes.std(ddof=1)) if len(scenes) > 1 else None
    return Score(name, float(mean_iou(confusion.sum(axis=0))), std, len(confusion))
