"""Objects: can a detector still find what the original showed, in the regenerated picture?

A detector (`metrics/evaluators/registry.py`) looks at both pictures. Under three protocols, named as those of mIoU
are:

- `gt`: its detections in the regenerated picture against the true boxes, those around the visible pixels of the scene's
  instances; printed without a bracket (`AP50`, `recall`). Only where the scenes have instances.
- `judge`: against its own detections in the original picture from its threshold on, "the original's objects" of the
  GESCO paper (section 4.2, Figures 1 and 3); `AP50[judge]`, `recall[judge]`.
- `original`: its detections in the original against the true boxes, what a perfect method would get under `gt`.

`recall` is the share of all objects that a detection from the threshold on fits (same class, IoU 0.5 or more); what is
detected and not there does not lower it. `AP50`, which it does lower, is the average precision at IoU 0.5
(`metrics/average_precision.py`) over all scenes, averaged over the classes that occur. Both have a value for cars,
persons, riders and bicycles alone: `AP50[car]`, `recall[judge:person]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.api.errors import MetricError
from bench.api.lazy import Tensor, torch
from bench.api.metric import Comparison, MetricContext, Score, share, spread
from bench.api.scores import ScoreInfo
from metrics.average_precision import FALSE, HIT, IGNORED, average_precision, match
from metrics.evaluators.detectors import FIRST_INSTANCE, MIN_AREA, Detections, Detector, boxes_from_instances
from metrics.evaluators.registry import EvaluatorMetric, choose_detector
from metrics.pictures import PerPicture

#: Detections of a picture that count, the most certain ones, and the least score; 100 is COCO's number.
MOST_DETECTIONS = 100
LEAST_SCORE = 0.05
#: The classes with scores of their own, and what data sets with other words call them.
SINGLED_OUT = ("car", "person", "rider", "bicycle")
SYNONYMS = {"pedestrian": "person", "bicyclist": "bicycle"}
#: Share of a detection's box above which a crowd of its class without instances excuses it, as in Cityscapes's
#: instance-level evaluation.
_CROWD_SHARE = 0.5
_PROTOCOLS = ("gt", "judge", "original")
SHARES = ("AP50", "recall")


def _name(score: str, protocol: str, of: str = "") -> str:
    """`AP50`, `AP50[car]`, `AP50[judge]`, `AP50[judge:car]`."""
    inside = ":".join(part for part in ("" if protocol == "gt" else protocol, of) if part)
    return f"{score}[{inside}]" if inside else score


def _declared(score: str, protocol: str, of: str = "") -> ScoreInfo:
    name, of_originals = _name(score, protocol, of), protocol == "original"
    whole = not of and not of_originals
    return ScoreInfo(
        name, True, "objects", 0.0, 1.0,
        scenes=_name(score, protocol, "scene") if whole and score == "recall" else None,
        originals=_name(score, "original", of) if protocol == "gt" and of != "scene" else None,
        of_originals=of_originals, shown="family" if whole else "name",
        part_of=_name(score, protocol) if of in SINGLED_OUT and not of_originals else "",
        beside=_name(score, protocol) if score == "AP50" and of and not of_originals else "",
    )  # fmt: skip


class Objects(EvaluatorMetric):
    """`AP50` and `recall`: what a detector finds of the objects; all scores: the module's description.

    Objects of fewer than 12 visible pixels are neither asked for nor held against a detection that fits them.
    """

    name, kind = "objects", "detector"
    scores = (
        *(_declared(s, p, of) for p in ("judge", "gt", "original") for of in ("", *SINGLED_OUT) for s in SHARES),
        *(_declared("recall", protocol, "scene") for protocol in ("judge", "gt")),
    )
    _network: Detector

    def _load(self, context: MetricContext) -> None:
        choice = choose_detector(context.dataset, context.evaluator)
        self._network = choice.load(context.weights_dir, context.device_name)
        self._threshold, self._answered_as = choice.threshold, choice.answered_as
        self._columns = _columns(self._network.classes, context.label_space.names)
        self._width = max(len(SINGLED_OUT), *(column + 1 for column in self._columns.values()))
        self._detections = PerPicture(
            self._detect, context.device_name, gpu_batch=self._network.gpu_batch, kept=context.kept
        )

    @property
    def protocol(self) -> str:
        """What the truth is, the detector, its threshold and classes."""
        names = self.context.label_space.names
        renamed = [f"|{names[true]} counts as {names[answer]}" for true, answer in self._answered_as.items()]
        sure = f"{self._threshold:g}"
        return (
            f"truth=instances of {MIN_AREA} pixels or more, for [judge] the detections in the original from "
            f"{sure} on|detector={self._network.protocol}|IoU 0.5|recall from score {sure} on, "
            f"AP from {LEAST_SCORE:g} on over all recalls|{len(self._network.classes)} classes{''.join(renamed)}"
        )

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """What became of every detection, and how many objects there were and were found.

        Of the `generated` and the `original` pictures: `*_scores` (B, 100) float32, `*_classes` (B, 100) int16, columns
        of the arrays below, padded with NaN and -1. Under `gt`, `judge` and `original`: `*_outcomes` (B, 100) int8 as
        `average_precision.match` gives them, IGNORED in the padding; `*_objects` and `*_found` (B, 4 + C) int32, the
        objects there were and those that were found. Columns 0 to 3 are the classes of `SINGLED_OUT`.
        """
        generated = self._detections(comparison.generated)
        original = self._detections.remembered(comparison.original)
        labels = comparison.labels.cpu().numpy()
        for true, answer in self._answered_as.items():  # labels that the detector answers by another one
            labels = np.where(labels == true, answer, labels)
        instances = comparison.instances.cpu().numpy()
        scenes = [self._scene(*scene) for scene in zip(generated, original, labels, instances, strict=True)]
        return {name: np.stack([scene[name] for scene in scenes]) for name in scenes[0]}

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """Data-set level values; `std`, of `recall` alone, is the standard deviation over the scenes with objects.

        Scores of classes without an object in these scenes are left out, as are those against true boxes where the
        scenes have none. `AP50[judge]` and `recall[judge]` are always there, NaN where the originals show no object.
        """
        scenes = len(measured["generated_scores"])
        if scenes == 0:
            raise MetricError("objects of no scenes is not defined")
        found = []
        for protocol in _PROTOCOLS:
            spreads = {_name("recall", protocol): spread(_scene_recall(measured, protocol))}
            values = _scores(measured, protocol, np.ones((1, scenes)))
            found += [Score(name, float(value[0]), spreads.get(name), scenes) for name, value in values.items()]
        return found

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`recall[scene]` and `recall[judge:scene]`: share of a scene's objects that are found; NaN without any."""
        there = ("judge", "gt") if measured["gt_objects"].any() else ("judge",)
        return {_name("recall", protocol, "scene"): _scene_recall(measured, protocol) for protocol in there}

    @classmethod
    def resampled(cls, measured: Mapping[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
        """Scores under `gt` and `judge`, but for single classes' recall: contributions are most of what results weigh.

        What became of a detection in its scene is the same in every set; only the curve over all scenes is another.
        """
        return {
            name: draws
            for protocol in ("gt", "judge")
            for name, draws in _scores(measured, protocol, counts).items()
            if name.startswith("AP50") or name == _name("recall", protocol)
        }

    def _detect(self, pictures: Tensor) -> Tensor:
        """(B, 100, 6) float32: box, score and column of the detections that count; NaN in the padding."""
        found = torch.full((len(pictures), MOST_DETECTIONS, 6), float("nan"))
        for rows, detections in zip(found, self._network.detect(pictures), strict=True):
            kept = self._that_count(detections)
            columns = [self._columns[int(label)] for label in detections.labels[kept]]
            values = np.column_stack([detections.boxes[kept], detections.scores[kept], columns])
            rows[: len(kept)] = torch.from_numpy(values.astype(np.float32))
        return found

    def _that_count(self, detections: Detections) -> np.ndarray:
        """Positions of the detections that count, the most certain first; MetricError where sure ones are too many."""
        order = np.argsort(-detections.scores, kind="stable")
        order = order[detections.scores[order] >= LEAST_SCORE]
        sure = int((detections.scores >= self._threshold).sum())
        if sure > MOST_DETECTIONS:
            raise MetricError(
                f"the detector {self._network.protocol} is sure of {sure} objects in one picture; at most "
                f"{MOST_DETECTIONS} of a picture count, as in COCO's evaluation"
            )
        return order[:MOST_DETECTIONS]

    def _scene(
        self, generated: np.ndarray, original: np.ndarray, labels: np.ndarray, instances: np.ndarray
    ) -> dict[str, np.ndarray]:
        """One scene's arrays of `measure`, from the detections (100, 6) in its two pictures and its maps (H, W)."""
        arrays: dict[str, np.ndarray] = {}
        for name, rows in (("generated", generated), ("original", original)):
            arrays[f"{name}_scores"] = rows[:, 4]
            arrays[f"{name}_classes"] = np.nan_to_num(rows[:, 5], nan=-1).astype(np.int16)
        true = boxes_from_instances(labels, instances, self._network.classes)
        true_columns = np.array([self._columns[int(label)] for label in true.labels], dtype=np.int64)
        sure = original[original[:, 4] >= self._threshold]
        crowd = np.where(instances < FIRST_INSTANCE, labels, -1)
        for protocol, rows, boxes, columns, small in (
            ("gt", generated, true.boxes, true_columns, true.small),
            ("judge", generated, sure[:, :4], sure[:, 5].astype(np.int64), np.zeros(len(sure), dtype=bool)),
            ("original", original, true.boxes, true_columns, true.small),
        ):
            real = rows[np.isfinite(rows[:, 4])]
            outcomes = match(real[:, :4], real[:, 5], boxes, columns, small)
            if protocol != "judge":
                outcomes = self._without_crowds(outcomes, real, crowd)
            hits = real[(outcomes == HIT) & (real[:, 4] >= self._threshold), 5].astype(np.int64)
            arrays[f"{protocol}_outcomes"] = np.pad(
                outcomes, (0, MOST_DETECTIONS - len(outcomes)), constant_values=IGNORED
            )
            arrays[f"{protocol}_objects"] = np.bincount(columns[~small], minlength=self._width).astype(np.int32)
            arrays[f"{protocol}_found"] = np.bincount(hits, minlength=self._width).astype(np.int32)
        return arrays

    def _without_crowds(self, outcomes: np.ndarray, detected: np.ndarray, crowd: np.ndarray) -> np.ndarray:
        """Outcomes where a wrong detection on things of its class that nobody told apart counts neither way.

        `crowd` (H, W) has the label of pixels without an instance, -1 elsewhere.
        """
        outcomes = outcomes.copy()
        label_of = {column: label for label, column in self._columns.items()}
        wrong = np.flatnonzero(outcomes == FALSE)
        boxes = detected[wrong, :4].round().astype(int).clip(min=0)
        for number, (x0, y0, x1, y1) in zip(wrong, boxes.tolist(), strict=True):
            pixels = crowd[y0:y1, x0:x1] == label_of[int(detected[number, 5])]
            if np.count_nonzero(pixels) > _CROWD_SHARE * pixels.size:
                outcomes[number] = IGNORED
        return outcomes


def _columns(classes: Sequence[int], names: Sequence[str]) -> dict[int, int]:
    """Column of every label id that the detector answers with; those of singled-out classes are always the same."""
    columns, later = {}, len(SINGLED_OUT)
    for label in classes:
        name = SYNONYMS.get(names[label], names[label])
        if name in SINGLED_OUT:
            columns[label] = SINGLED_OUT.index(name)
        else:
            columns[label], later = later, later + 1
    return columns


def _scores(measured: Mapping[str, np.ndarray], protocol: str, counts: np.ndarray) -> dict[str, np.ndarray]:
    """All scores under a protocol over draws of scenes: name -> (R,) float64; `counts` as in `Metric.resampled`."""
    side = "original" if protocol == "original" else "generated"
    scores, classes = measured[f"{side}_scores"], measured[f"{side}_classes"]
    outcomes, objects = measured[f"{protocol}_outcomes"], measured[f"{protocol}_objects"]
    there, found = counts @ objects, counts @ measured[f"{protocol}_found"]
    occurring = np.flatnonzero(objects.any(axis=0))
    if not len(occurring):
        nothing = np.full(len(counts), np.nan)
        return {_name(score, protocol): nothing for score in SHARES} if protocol == "judge" else {}
    precision = {
        column: average_precision(scores, np.where(classes == column, outcomes, IGNORED), objects[:, column], counts)
        for column in occurring.tolist()
    }
    by_class = np.stack(list(precision.values()))
    defined = np.isfinite(by_class)
    values = {
        _name("AP50", protocol): share(np.where(defined, by_class, 0.0).sum(axis=0), defined.sum(axis=0)),
        _name("recall", protocol): share(found.sum(axis=1), there.sum(axis=1)),
    }
    for column in (c for c in occurring.tolist() if c < len(SINGLED_OUT)):
        values[_name("AP50", protocol, SINGLED_OUT[column])] = precision[column]
        values[_name("recall", protocol, SINGLED_OUT[column])] = share(found[:, column], there[:, column])
    return values


def _scene_recall(measured: Mapping[str, np.ndarray], protocol: str) -> np.ndarray:
    return share(measured[f"{protocol}_found"].sum(axis=1), measured[f"{protocol}_objects"].sum(axis=1))
