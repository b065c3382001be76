"""Matching and average precision against pycocotools, against their definitions, and under resampling."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from metrics.average_precision import FALSE, HIT, IGNORED, average_precision, box_iou, match

#: Area by which COCO's evaluation is told which objects to ignore; every box of the tests is larger.
SMALL, LARGE = 1, 1e6


def picture(rng: np.random.Generator, objects: int, extra: int) -> tuple[np.ndarray, ...]:
    """A crowded picture: true boxes, classes and ignored flags; detections, most of them near an object."""
    corner, size = rng.uniform(0, 40, (objects, 2)), rng.uniform(6, 20, (objects, 2))
    truth = np.concatenate([corner, corner + size], axis=1)
    classes = rng.integers(0, 3, objects)
    which = rng.integers(0, max(objects, 1), 2 * objects)
    near = truth[which] + rng.normal(0, 1.5, (2 * objects, 4))
    corner, size = rng.uniform(0, 40, (extra, 2)), rng.uniform(6, 20, (extra, 2))
    boxes = np.concatenate([near, np.concatenate([corner, corner + size], axis=1)])
    scores = np.sort(rng.uniform(0.05, 1, len(boxes)))[::-1].astype(np.float32)
    kinds = rng.integers(0, 3, len(boxes))
    kinds[: len(which)] = np.where(rng.random(len(which)) < 0.8, classes[which], kinds[: len(which)])
    order = rng.permutation(len(boxes))
    return truth, classes, rng.random(objects) < 0.2, boxes[order], kinds[order], scores


@pytest.fixture(scope="module")
def pictures() -> list[tuple[np.ndarray, ...]]:
    rng = np.random.default_rng(3)
    return [picture(rng, int(rng.integers(0, 9)), int(rng.integers(0, 6))) for _ in range(40)]


@pytest.fixture(scope="module")
def coco(pictures):
    """pycocotools on the same pictures, after matching at IoU 0.5."""

    def xywh(box: np.ndarray) -> list[float]:
        return [*map(float, box[:2]), *map(float, box[2:] - box[:2])]

    truths, found = [], []
    for image, (truth, classes, ignored, boxes, kinds, scores) in enumerate(pictures):
        for box, kind, small in zip(truth, classes, ignored, strict=True):
            truths.append(
                {
                    "id": len(truths) + 1, "image_id": image, "category_id": int(kind), "bbox": xywh(box),
                    "area": SMALL if small else LARGE, "iscrowd": 0,
                }
            )  # fmt: skip
        for box, kind, score in zip(boxes, kinds, scores, strict=True):
            found.append({"image_id": image, "category_id": int(kind), "bbox": xywh(box), "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "images": [{"id": k} for k in range(len(pictures))],
            "categories": [{"id": k} for k in range(3)],
            "annotations": truths,
        }
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(found), "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[SMALL + 1, 1e10]], ["all"]
        for detection in evaluation.cocoDt.anns.values():
            detection["area"] = LARGE
        evaluation.evaluate()
    return evaluation


def outcomes(pictures) -> list[np.ndarray]:
    return [match(boxes, kinds, truth, classes, ignored) for truth, classes, ignored, boxes, kinds, _ in pictures]


def padded(pictures, kind: int, width: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, outcomes and objects of one class, as `average_precision` takes them."""
    scores = np.full((len(pictures), width), np.nan, dtype=np.float32)
    results = np.full((len(pictures), width), IGNORED, dtype=np.int8)
    objects = np.zeros(len(pictures), dtype=np.int32)
    for row, (each, (_, classes, ignored, _, kinds, values)) in enumerate(
        zip(outcomes(pictures), pictures, strict=True)
    ):
        scores[row, : len(values)] = values
        results[row, : len(values)] = np.where(kinds == kind, each, IGNORED)
        objects[row] = ((classes == kind) & ~ignored).sum()
    return scores, results, objects


def test_every_detection_fares_as_in_pycocotools(pictures, coco) -> None:
    compared, fared = 0, outcomes(pictures)
    for result in (r for r in coco.evalImgs if r is not None):
        matched, left_out = result["dtMatches"][0] > 0, result["dtIgnore"][0].astype(bool)
        expected = np.where(left_out, IGNORED, np.where(matched, HIT, FALSE))
        kinds = pictures[result["image_id"]][4]
        mine = fared[result["image_id"]][kinds == result["category_id"]]
        np.testing.assert_array_equal(mine, expected)
        compared += len(mine)
    assert compared > 300


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_the_area_is_that_of_pycocotools_at_every_recall(pictures, coco, kind: int) -> None:
    scores, results, objects = padded(pictures, kind)
    total = objects.sum()
    # COCO's thresholds put onto the recalls that the curve can have make its mean the whole area
    coco.params.recThrs = (np.arange(total) + 1) / total - 1e-9
    with contextlib.redirect_stdout(io.StringIO()):
        coco.accumulate()
    precision = coco.eval["precision"][0, :, kind, 0, -1]
    assert average_precision(scores, results, objects)[0] == pytest.approx(precision.mean(), abs=1e-12)
    assert 0.2 < precision.mean() < 0.9


def test_by_hand() -> None:
    # ranks: hit, false, hit, false, and an object that nobody found: precision 1 then 2/3, of three objects
    scores = np.array([[0.9, 0.8, 0.7, 0.6]])
    results = np.array([[HIT, FALSE, HIT, FALSE]])
    assert average_precision(scores, results, np.array([3]))[0] == pytest.approx((1 + 2 / 3) / 3)
    # a later hit lifts the precision of earlier recalls: false, hit, hit
    assert average_precision(scores[:, :3], np.array([[FALSE, HIT, HIT]]), np.array([2]))[0] == pytest.approx(2 / 3)
    ignored = np.array([[HIT, IGNORED, HIT, FALSE]])
    assert average_precision(scores, ignored, np.array([2]))[0] == 1.0


def test_scenes_rank_together() -> None:
    scores, results = np.array([[0.9, 0.2], [0.8, np.nan]]), np.array([[FALSE, HIT], [HIT, IGNORED]])
    # false 0.9, hit 0.8, hit 0.2
    assert average_precision(scores, results, np.array([1, 1]))[0] == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_nothing_found_is_zero_and_nothing_there_undefined() -> None:
    empty = np.zeros((2, 0))
    assert average_precision(empty, empty, np.array([1, 0]))[0] == 0.0
    assert average_precision(np.array([[0.5]]), np.array([[FALSE]]), np.array([1]))[0] == 0.0
    assert np.isnan(average_precision(np.array([[0.5]]), np.array([[FALSE]]), np.array([0]))[0])
    assert np.isnan(average_precision(np.zeros((0, 5)), np.zeros((0, 5)), np.zeros(0))[0])


def test_a_draw_of_scenes_is_worth_what_the_assembled_scenes_are(pictures) -> None:
    rng = np.random.default_rng(0)
    scores, results, objects = padded(pictures, 1)
    counts = rng.multinomial(len(pictures), np.full(len(pictures), 1 / len(pictures)), size=130).astype(float)
    counts[7] = 0
    draws = average_precision(scores, results, objects, counts)
    for number in (0, 1, 63, 64, 129):
        rows = np.repeat(np.arange(len(pictures)), counts[number].astype(int))
        assembled = average_precision(scores[rows], results[rows], objects[rows])[0]
        assert draws[number] == pytest.approx(assembled, abs=1e-12)
    assert np.isnan(draws[7])
    assert np.nanstd(draws) > 0.01


def test_iou_of_boxes() -> None:
    boxes = np.array([[0, 0, 2, 2], [0, 0, 0, 0]])
    others = np.array([[1, 0, 3, 2], [5, 5, 6, 6], [0, 0, 2, 2], [0, 0, 0, 0]])
    np.testing.assert_allclose(box_iou(boxes, others), [[1 / 3, 0, 1, 0], [0, 0, 0, 0]])


def test_an_object_is_taken_once_and_only_by_its_class() -> None:
    box = np.array([[0.0, 0, 10, 10]])
    one = np.array([0])
    twice = match(np.repeat(box, 2, axis=0), np.array([0, 0]), box, one)
    assert twice.tolist() == [HIT, FALSE]
    assert match(box, np.array([1]), box, one).tolist() == [FALSE]
    assert match(box, one, box, one, np.array([True])).tolist() == [IGNORED]
    assert match(box, one, np.array([[0.0, 0, 10, 5]]), one).tolist() == [HIT]  # IoU exactly 0.5
    assert match(box, one, np.array([[0.0, 0, 10, 4.9]]), one).tolist() == [FALSE]
    # the second object is only ignored: the sure detection leaves it to the other one
    pair = np.array([[0.0, 0, 10, 10], [0, 1, 10, 11]])
    assert match(pair, np.array([0, 0]), pair, np.array([0, 0]), np.array([False, True])).tolist() == [HIT, IGNORED]
    assert match(np.zeros((0, 4)), np.zeros(0), box, one).shape == (0,)
