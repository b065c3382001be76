"""The embedded detector: true boxes, what it is taught, what is made of its answers, and how good it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.api.weights import METRIC_WEIGHTS
from metrics.evaluators.detectors import MIN_AREA, boxes_from_instances
from metrics.evaluators.detectors.embedded import (
    MAX_DETECTIONS,
    MIN_SCORE,
    DetectorNet,
    box_loss,
    boxes_at,
    decode,
    focal_loss,
    targets_of,
)
from metrics.evaluators.embedded import SPECS, EmbeddedDetector
from tests.metrics.evaluator_scenes import Blocks, Rendered, task_of, trained

CPU = torch.device("cpu")
STREETS = SPECS["detector"]["streets"]
PERSON, RIDER, CAR = 24, 25, 26


def test_boxes_go_around_the_visible_pixels_of_each_instance():
    labels = np.full((8, 12), 7, dtype=np.int64)
    instances = np.zeros((8, 12), dtype=np.int32)
    labels[1:5, 2:6], instances[1:5, 2:6] = CAR, 26001
    labels[4, 5] = PERSON  # a pixel that the labels give to another class does not change the object's
    labels[0, 11], instances[0, 11] = CAR, 26001  # a part that something hides the rest of
    labels[6:8, 0:2], instances[6:8, 0:2] = PERSON, 24000  # 4 pixels
    labels[6:8, 8:12], instances[6:8, 8:12] = CAR, 26  # a group without instances
    labels[5, 8:12], instances[5, 8:12] = 17, 17001  # a pole
    found = boxes_from_instances(labels, instances, (PERSON, CAR), min_area=5)
    assert found.boxes.tolist() == [[0, 6, 2, 8], [2, 0, 12, 5]]
    assert found.boxes.dtype == np.float32
    assert found.labels.tolist() == [PERSON, CAR]
    assert found.small.tolist() == [True, False]
    assert len(found) == 2
    assert boxes_from_instances(labels, instances, (PERSON, CAR), min_area=4).small.tolist() == [False, False]


def test_an_object_of_two_equally_common_labels_has_the_lower_one():
    labels = np.array([[CAR, PERSON], [PERSON, CAR]])
    found = boxes_from_instances(labels, np.full((2, 2), 1000), (PERSON, CAR))
    assert found.labels.tolist() == [PERSON]


def test_a_scene_without_objects_has_no_boxes():
    found = boxes_from_instances(np.zeros((4, 4), np.int64), np.zeros((4, 4), np.int32), (CAR,))
    assert (found.boxes.shape, len(found)) == ((0, 4), 0)
    with pytest.raises(ValueError, match=r"\(4, 4\) and \(4, 5\)"):
        boxes_from_instances(np.zeros((4, 4), np.int64), np.zeros((4, 5), np.int32), (CAR,))


def logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def answer(peaks: list[tuple[int, int, int, float, tuple[float, float, float, float]]], size=(8, 16)):
    """Heat and distances with peaks (class, row, column, score, box in pixels)."""
    heat, distances = torch.full((1, 3, *size), -12.0), torch.ones(1, 4, *size)
    for kind, row, column, score, (x0, y0, x1, y1) in peaks:
        x, y = 2 * column + 1, 2 * row + 1
        heat[0, kind, row, column] = logit(score)
        distances[0, :, row, column] = torch.tensor([x - x0, y - y0, x1 - x, y1 - y])
    return decode(heat, distances, (PERSON, RIDER, CAR))[0]


def test_peaks_become_boxes_in_the_order_of_their_scores():
    found = answer([(0, 1, 2, 0.5, (3.5, 1, 7, 9)), (2, 5, 9, 0.9, (12, 8.25, 28, 15))])
    np.testing.assert_allclose(found.boxes, [[12, 8.25, 28, 15], [3.5, 1, 7, 9]], atol=1e-5)
    np.testing.assert_allclose(found.scores, [0.9, 0.5], atol=1e-6)
    assert found.labels.tolist() == [CAR, PERSON]
    assert (found.boxes.dtype, found.scores.dtype, found.labels.dtype) == (np.float32, np.float32, np.int64)


def test_a_peak_is_hotter_than_its_eight_neighbours_of_the_same_class():
    far, near, other = (0, 0, 4, 4), (6, 2, 12, 8), (6, 4, 12, 10)
    found = answer([(0, 0, 0, 0.6, far), (0, 2, 3, 0.8, near), (0, 3, 4, 0.7, other), (1, 3, 4, 0.4, other)])
    assert found.labels.tolist() == [PERSON, PERSON, RIDER]
    np.testing.assert_allclose(found.boxes, [near, far, other], atol=1e-5)


def test_boxes_are_cut_at_the_pictures_edges_and_overlapping_ones_dropped():
    found = answer([(2, 0, 0, 0.9, (-5, -3, 40, 9)), (2, 6, 12, 0.8, (20, 10, 50, 30))])
    np.testing.assert_allclose(found.boxes, [[0, 0, 32, 9], [20, 10, 32, 16]], atol=1e-5)
    box, nearly = (4, 4, 14, 14), (4, 4, 14, 11)  # IoU 0.7
    assert len(answer([(2, 3, 3, 0.9, box), (2, 5, 5, 0.8, nearly)])) == 1
    assert len(answer([(2, 3, 3, 0.9, box), (0, 5, 5, 0.8, nearly)])) == 2
    assert len(answer([(2, 3, 3, 0.9, box), (2, 5, 5, 0.8, (4, 4, 14, 9))])) == 2  # IoU 0.5


def test_only_the_best_detections_are_kept_and_none_that_are_unlikely():
    peaks = [
        (kind, row, column, 0.9 - 0.005 * (kind * 32 + row * 4 + column // 4), (column, row, column + 2, row + 2))
        for kind in range(2)
        for row in range(0, 16, 2)
        for column in range(0, 16, 2)
        if kind or row
    ]
    found = answer(peaks, size=(16, 16))
    best = sorted((peak[3] for peak in peaks), reverse=True)[:MAX_DETECTIONS]
    np.testing.assert_allclose(found.scores, best, atol=1e-5)
    assert len(answer([(0, 1, 1, MIN_SCORE + 0.001, (0, 0, 4, 4)), (0, 5, 5, MIN_SCORE - 0.001, (8, 8, 12, 12))])) == 1
    nothing = answer([])
    assert (nothing.boxes.shape, nothing.scores.shape, nothing.labels.shape) == ((0, 4), (0,), (0,))


def test_what_is_taught_decodes_to_the_true_boxes():
    """A network that answers exactly what it is taught finds every object where it is, all of them in streets' scenes
    but for two of one class whose middles are neighbours."""
    scenes, spec = Rendered(12).batch(range(12)), STREETS
    objects = missed = 0
    for labels, instances in zip(scenes.labels.numpy(), scenes.instances.numpy(), strict=True):
        true = boxes_from_instances(labels, instances, spec.classes)
        heat, ignored, boxes, weight = targets_of(true, spec)
        assert (weight > 0).sum() > (~true.small).sum()
        middle = boxes_at(torch.zeros(1, 4, *weight.shape))[0, ..., :2].numpy()
        distances = np.concatenate([middle - boxes[..., :2], boxes[..., 2:] - middle], axis=-1)
        found = decode(
            torch.from_numpy(heat)[None].clamp(1e-6, 1 - 1e-6).logit(),
            torch.from_numpy(distances).permute(2, 0, 1)[None],
            spec.classes,
        )[0]
        sure = {(*box, label) for box, score, label in zip(found.boxes.tolist(), found.scores, found.labels, strict=True) if score > 0.99}  # noqa: E501  # fmt: skip
        there = {(*box, label) for box, label in zip(true.boxes[~true.small].tolist(), true.labels[~true.small], strict=True)}  # noqa: E501  # fmt: skip
        assert sure <= there
        objects, missed = objects + len(there), missed + len(there - sure)
        assert not (ignored & (heat > 0)).any()
    assert objects > 40
    assert missed <= 0.05 * objects


def test_objects_that_are_too_small_are_neither_right_nor_wrong():
    labels, instances = np.full((64, 128), 7), np.zeros((64, 128), np.int32)
    labels[10:13, 20:23], instances[10:13, 20:23] = CAR, 26000
    assert MIN_AREA > 9
    heat, ignored, _, weight = targets_of(boxes_from_instances(labels, instances, STREETS.classes), STREETS)
    car = STREETS.classes.index(CAR)
    assert not heat.any()
    assert not weight.any()
    assert ignored[car].nonzero()[0].tolist() == [5, 5, 6, 6]
    assert ignored[car].nonzero()[1].tolist() == [10, 11, 10, 11]
    assert ignored.sum() == 4


def test_the_heat_loss_is_centernets():
    """Eq. 1 of arXiv 1904.07850 with alpha 2 and beta 4, written out."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 3, 4, 5, generator=generator)
    heat = torch.rand(2, 3, 4, 5, generator=generator)
    heat[0, 1, 2, 3] = heat[1, 0, 0, 0] = heat[1, 2, 3, 4] = 1
    ignored = (torch.rand(2, 3, 4, 5, generator=generator) < 0.2) & (heat < 1)
    total = 0.0
    for p, y, skip in zip(logits.sigmoid().flatten().tolist(), heat.flatten().tolist(), ignored.flatten(), strict=True):
        if not skip:
            total -= (1 - p) ** 2 * np.log(p) if y == 1 else (1 - y) ** 4 * p**2 * np.log(1 - p)
    assert focal_loss(logits, heat, ignored).item() == pytest.approx(total / 3, rel=1e-4)
    assert focal_loss(logits, heat * (heat < 1), ignored).isfinite()  # a batch without objects


def test_the_box_loss_is_generalised_iou_where_objects_are():
    weight, boxes = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2, 4)
    weight[0, 1, 0], boxes[0, 1, 0] = 0.5, torch.tensor([0.0, 1.0, 4.0, 5.0])
    exact = torch.ones(1, 4, 2, 2)
    exact[0, :, 1, 0] = torch.tensor([1.0, 2.0, 3.0, 2.0])
    assert box_loss(exact, boxes, weight).item() == pytest.approx(0, abs=1e-6)
    half = exact.clone()
    half[0, 2, 1, 0] = 1.0  # half the box, inside it: GIoU is IoU
    assert box_loss(half, boxes, weight).item() == pytest.approx(0.5 * 0.5)  # weights that sum to 1 or less
    assert box_loss(exact, boxes, torch.zeros(1, 2, 2)).item() == 0


def test_training_finds_bright_blocks(tmp_path):
    spec = replace(STREETS, size=Blocks.size, widths=(12, 16, 16, 16))
    path = trained(spec, tmp_path, 120, Blocks(64, 1), batch_size=8)
    precision = task_of(spec).evaluate(path, Blocks(16, 2))
    assert precision["AP50[car]"] > 0.8
    assert precision["AP50[person]"] > 0.8
    assert {name for name, value in precision.items() if np.isfinite(value)} == {"AP50", "AP50[car]", "AP50[person]"}


@pytest.fixture(scope="module")
def shipped() -> EmbeddedDetector:
    return EmbeddedDetector(STREETS, METRIC_WEIGHTS / STREETS.weights_file, CPU)


def test_the_shipped_detector_finds_cars(shipped):
    precision = task_of(STREETS).evaluate(shipped.weights, Rendered(40))
    assert precision["AP50[car]"] >= 0.5
    assert precision["AP50"] >= 0.5
    card = (METRIC_WEIGHTS / STREETS.weights_file).with_suffix(".md").read_text()
    assert "500 test scenes" in card
    assert (METRIC_WEIGHTS / STREETS.weights_file).stat().st_size <= 1.5e6


def test_a_pictures_detections_are_its_own(shipped):
    """Alone to the last bit, in a batch but for the last bits of its convolutions (`metrics.pictures.PerPicture`)."""
    images = Rendered(6).batch(range(6)).image
    together = shipped.detect(images)
    assert sum((found.scores > 0.5).sum() for found in together) > 12
    for image, found in zip(images, together, strict=True):
        (alone,), (again,) = shipped.detect(image[None]), shipped.detect(image[None].clone())
        for field in ("boxes", "scores", "labels"):
            np.testing.assert_array_equal(getattr(alone, field), getattr(again, field))
            np.testing.assert_allclose(getattr(alone, field), getattr(found, field), rtol=1e-5, atol=1e-4)


def test_pictures_of_another_size_have_boxes_in_their_own_pixels(shipped):
    images = Rendered(2).batch(range(2)).image
    large = torch.nn.functional.interpolate(images, (128, 384), mode="nearest")
    for small, found in zip(shipped.detect(images), shipped.detect(large), strict=True):
        sure = small.scores > 0.5
        np.testing.assert_allclose(found.boxes[: sure.sum()], small.boxes[sure] * [3, 2, 3, 2], atol=3)
        assert found.labels[: sure.sum()].tolist() == small.labels[sure].tolist()


def test_folding_the_normalisation_changes_no_answer():
    torch.manual_seed(0)
    network = DetectorNet(STREETS)
    for _ in range(3):
        network(torch.rand(4, 3, 64, 128))  # moves the running statistics away from 0 and 1
    pictures = torch.rand(2, 3, 64, 128)
    with torch.no_grad():
        expected = network.eval()(pictures)
        for ours, theirs in zip(network.fuse()(pictures), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
