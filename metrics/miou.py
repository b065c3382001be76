"""mIoU: does the regenerated picture show the same classes in the same places?

A segmenter (a network of `metrics/evaluators/registry.py`) maps the regenerated picture to labels. Two protocols,
both at data-set level (pixels counted over all scenes, as in the papers):

- `gt`: the segmenter's map against the scene's true labels; printed as `mIoU`.
- `judge`: against its map of the original picture, the words of the GESCO paper (section 4.1); `mIoU[judge]`.

`mIoU[original]` is the segmenter's map of the original picture against the true labels: what a perfect method would get
under `gt`. Pixels whose true label is not evaluated count in none of the three.

`cityscapes`, which has 35 label ids and evaluates 19, has `mIoU[35]` too: `gt` with no pixel and no label left out.
Segmenters of the 19 classes get 0 for every other label that the scenes hold (ground, parking, ...), so it is far below
`mIoU` for any method; compare it only with itself, on the same scenes. `streets` shows evaluated labels only: there it
would be `mIoU` again.

`IoU[road]` is the part of `mIoU` that is of one class; their mean over the classes that occur is `mIoU`.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from bench.api.errors import MetricError
from bench.api.metric import Comparison, MetricContext, Score, share, spread
from bench.api.scenes import facts_of
from bench.api.scores import ScoreInfo
from metrics.evaluators.labels import IGNORED, NO_LABEL, train_ids
from metrics.evaluators.registry import SCHEMES, EvaluatorMetric, load_segmenter
from metrics.pictures import PerPicture


def class_counts(predicted: np.ndarray, truth: np.ndarray, num_classes: int, ignore: int | None = None) -> np.ndarray:
    """Pixel counts per scene, (B, 3, C) int32: rightly named, truly of the class, and named so.

    They are the diagonal and the two sums of the scene's confusion matrix, all that IoU needs of it: 182 classes would
    make 33,124 counts a scene, these are 546. `predicted` and `truth` are (B, H, W) integers in 0..C-1. Pixels whose
    truth is `ignore` are left out; a prediction of `ignore` is no class, so the pixel's own class misses it. ValueError
    for any other value, because a class id that is out of range is an error of the caller's mapping.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted {predicted.shape} and truth {truth.shape} differ in shape")
    scene = np.broadcast_to(np.arange(len(truth))[:, None, None], truth.shape)
    counted = np.ones(truth.shape, dtype=bool) if ignore is None else truth != ignore
    predicted, truth, scene = predicted[counted].astype(np.int64), truth[counted].astype(np.int64), scene[counted]
    named = np.ones(predicted.shape, dtype=bool) if ignore is None else predicted != ignore
    for name, values in (("predicted", predicted[named]), ("truth", truth)):
        if values.size and (values.min() < 0 or values.max() >= num_classes):
            raise ValueError(f"{name} holds class ids outside 0..{num_classes - 1}")
    right = predicted == truth
    rows, size = scene * num_classes, len(counted) * num_classes
    cells = (rows[right] + truth[right], rows + truth, (rows + predicted)[named])
    counts = [np.bincount(cell, minlength=size).reshape(-1, num_classes) for cell in cells]
    return np.stack(counts, axis=1).astype(np.int32)


def iou_from_counts(counts: np.ndarray) -> np.ndarray:
    """IoU per class (..., C) float64 from (..., 3, C); NaN for classes in neither truth nor prediction."""
    hits, truth, named = np.moveaxis(counts.astype(np.float64), -2, 0)
    union = truth + named - hits
    return share(hits, union)


def mean_iou(counts: np.ndarray) -> np.ndarray:
    """Mean of the defined IoUs, (...) float64 from (..., 3, C); NaN where no class is defined."""
    iou = iou_from_counts(counts)
    defined = np.isfinite(iou)
    return share(np.where(defined, iou, 0.0).sum(axis=-1), defined.sum(axis=-1))


#: The set-level scores and the arrays of `MeanIoU.measure` that they are made of.
ARRAYS = {"mIoU": "gt", "mIoU[judge]": "judge", "mIoU[original]": "original", "mIoU[35]": "every"}


#: What all scores have in common. 0.01 is a third of the distance of neighbouring ranks (see `metrics/lpips.py`).
_declared = partial(
    ScoreInfo, higher_is_better=True, family="segmentation", low=0.0, high=1.0, floor=0.01, relative=False,
    published="mIoU",
)  # fmt: skip


class MeanIoU(EvaluatorMetric):
    """`mIoU`, and `IoU[...]` of each class, by the data set's segmenter or one that bench.toml names.

    The embedded ones for `streets` and `stuff`, DRN-D-105 for `cityscapes`, MaskFormer for `coco_stuff`.
    """

    name, kind = "mIoU", "segmenter"
    scores = (
        _declared("mIoU", scenes="mIoU[scene]", originals="mIoU[original]", shown="always"),
        _declared("mIoU[judge]"),
        _declared("mIoU[original]", of_originals=True, published=""),
        _declared("mIoU[35]"),
        _declared("mIoU[scene]", published=""),
        _declared("IoU[*]", part_of="mIoU", published=""),
    )
    evaluator_schemes = tuple(SCHEMES)
    code_version = 2  # counts instead of confusion matrices in the cache; the values are the same
    summary_version = 2  # by class, too

    def _load(self, context: MetricContext) -> None:
        segmenter = load_segmenter(context)
        self._network, self._evaluated = segmenter, segmenter.evaluated
        self._counts_every_label = facts_of(context.dataset).counts_every_label
        self._maps = PerPicture(
            segmenter.predict, context.device_name, gpu_batch=segmenter.gpu_batch, kept=context.kept
        )

    @property
    def protocol(self) -> str:
        """What the truth is, the segmenter, and how many classes count."""
        return (
            f"truth=labels, for mIoU[judge] the judge's map of the original|judge={self._network.protocol}|"
            f"{len(self._evaluated)} classes"
            f"{', mIoU[35]: every label and pixel' if self._counts_every_label else ''}"
        )

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """`class_counts` under `gt`, `judge` and `original` (see the module), each (B, 3, C) int32.

        On Cityscapes also `every`, of all labels (B, 3, 35).
        """
        classes = len(self._evaluated)
        truth = train_ids(comparison.labels, self._evaluated)
        named = self._maps(comparison.generated)
        generated = train_ids(named, self._evaluated)
        original = train_ids(self._maps.remembered(comparison.original), self._evaluated)
        counts = {
            "gt": class_counts(generated, truth, classes, IGNORED),
            "judge": class_counts(generated, np.where(truth == IGNORED, IGNORED, original), classes, IGNORED),
            "original": class_counts(original, truth, classes, IGNORED),
        }
        if self._counts_every_label:
            labels = comparison.labels.cpu().numpy()
            counts["every"] = class_counts(named, labels, self.context.label_space.size, NO_LABEL)
        return counts

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """Data-set level values; `std` is the standard deviation of the per-scene mIoU (None for one scene).

        Values by class are of the classes in the truth or a prediction, and have none.
        """
        scenes = len(measured["gt"])
        if scenes == 0:
            raise MetricError("mIoU of no scenes is not defined")
        names = (self.context.label_space.names[label] for label in self._evaluated)
        by_class = zip(names, iou_from_counts(measured["gt"].sum(axis=0)).tolist(), strict=True)
        return [
            *(_score(name, measured[key]) for name, key in ARRAYS.items() if key in measured),
            *(Score(f"IoU[{name}]", value, None, scenes) for name, value in by_class if np.isfinite(value)),
        ]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`mIoU[scene]`: mean IoU over the classes in a scene's truth or prediction, protocol `gt`."""
        return {"mIoU[scene]": mean_iou(measured["gt"])}

    @classmethod
    def resampled(cls, measured: Mapping[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
        """Every mIoU but that of the originals, of every set's pixel counts.

        Classes have none: contributions are most of what results weigh.
        """
        return {
            name: mean_iou(np.tensordot(counts, measured[key], axes=1))
            for name, key in ARRAYS.items()
            if key in measured and key != "original"
        }


def _score(name: str, counts: np.ndarray) -> Score:
    return Score(name, float(mean_iou(counts.sum(axis=0))), spread(mean_iou(counts)), len(counts))
