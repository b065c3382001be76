"""Average precision at IoU 0.5: matching detections with objects, and the area under the precision-recall curve.

Matching is COCO's (Lin et al., ECCV 2014; `pycocotools`): in the order of falling scores every detection takes the free
object of its class that it overlaps most, if their IoU is 0.5 or more; objects to be ignored only where no other fits.
The area is that of PASCAL VOC since 2010: under the curve whose precision is the highest at that recall or a larger
one, at all recalls; COCO reads the same curve at 101 of them.
"""

import numpy as np

from bench.api.metric import share

IOU = 0.5
#: What becomes of a detection: right, wrong, or counted neither way (padding too).
HIT, FALSE, IGNORED = 1, 0, -1
#: Draws that `average_precision` works on at once, so that its arrays stay in the cache of a CPU core.
_DRAWS_AT_ONCE = 64


def box_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (N, 4) and (M, 4), x0, y0, x1, y1: (N, M) float64; 0 where both are empty.

    `torchvision.ops.box_iou` gives the same bits, three times as slowly for so few boxes, after an import of 2 s.
    """
    a, b = boxes.astype(np.float64)[:, None], others.astype(np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    overlap = sides.clip(min=0).prod(axis=-1)
    union = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1) - overlap
    result: np.ndarray = np.divide(overlap, union, out=np.zeros_like(union), where=union > 0)
    return result


def match(
    boxes: np.ndarray,
    classes: np.ndarray,
    true_boxes: np.ndarray,
    true_classes: np.ndarray,
    ignored: np.ndarray | None = None,
) -> np.ndarray:
    """What becomes of one picture's detections, in the order of falling scores: (N,) int8 of HIT, FALSE and IGNORED.

    `boxes` (N, 4) and `classes` (N,) are detected, `true_boxes` (M, 4) and `true_classes` (M,) are there; `ignored`
    (M,) bool marks objects that need not be found. Every object is matched once; who comes later is FALSE.
    """
    outcomes = np.full(len(boxes), FALSE, dtype=np.int8)
    if not len(boxes) or not len(true_boxes):
        return outcomes
    ignored = np.zeros(len(true_boxes), dtype=bool) if ignored is None else ignored
    overlap = np.where(classes[:, None] == true_classes[None], box_iou(boxes, true_boxes), 0.0)
    for number in np.flatnonzero(overlap.max(axis=1) >= IOU):
        for kind, outcome in ((~ignored, HIT), (ignored, IGNORED)):
            fitting = np.where(kind, overlap[number], 0.0)
            if fitting.max() >= IOU:
                overlap[:, fitting.argmax()] = 0.0  # taken
                outcomes[number] = outcome
                break
    return outcomes


def average_precision(
    scores: np.ndarray, outcomes: np.ndarray, objects: np.ndarray, counts: np.ndarray | None = None
) -> np.ndarray:
    """AP of one class over scenes, or over draws of scenes: (R,) float64, NaN for a draw without any object.

    `scores` (B, K) and `outcomes` (B, K) of the class's detections, IGNORED elsewhere; `objects` (B,) says how many
    there are to be found. `counts` (R, B) says how often each draw holds each scene, None stands for every scene once.
    Detections of equal score rank as their scenes do. A draw is weighed, not assembled: its copies of a scene rank
    beside each other, which changes no area under the curve.
    """
    counts = np.ones((1, len(objects))) if counts is None else counts
    total = counts @ objects
    areas = np.zeros(len(counts))
    scene, place = np.nonzero(outcomes != IGNORED)
    order = np.argsort(-scores[scene, place], kind="stable")
    scene, hit = scene[order], outcomes[scene, place][order] == HIT
    if hit.any():
        end = int(np.flatnonzero(hit)[-1]) + 1  # what ranks after the last hit is under no part of the curve
        scene, hit = scene[:end], hit[:end]
        for start in range(0, len(counts), _DRAWS_AT_ONCE):
            weights = counts[start : start + _DRAWS_AT_ONCE, scene]
            gained = weights[:, hit]
            found, ranked = gained.cumsum(axis=1), weights.cumsum(axis=1)[:, hit]
            precision = np.divide(found, ranked, out=np.zeros_like(found), where=ranked > 0)
            highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            areas[start : start + _DRAWS_AT_ONCE] = (gained * highest).sum(axis=1)
    return share(areas, total)
