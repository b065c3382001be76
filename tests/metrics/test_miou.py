"""mIoU: counts and means against loops written from the definition, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.api.errors import MetricError
from bench.api.tensors import write_weights
from metrics.evaluators.embedded import SPECS, EmbeddedSegmenter
from metrics.evaluators.labels import EVALUATED_IDS, IGNORED, train_ids
from metrics.evaluators.segmenters.embedded import SegmenterNet
from metrics.miou import MeanIoU, class_counts, iou_from_counts, mean_iou


def slow_confusion(predicted, truth, classes, ignore):
    """One pixel after the other."""
    counts = np.zeros((len(truth), classes, classes), dtype=int)
    for scene, row, column in np.ndindex(*truth.shape):
        if truth[scene, row, column] != ignore:
            counts[scene, truth[scene, row, column], predicted[scene, row, column]] += 1
    return counts


def slow_iou(predicted, truth, classes, ignore):
    """Per class, from sets of pixels."""
    counted = truth != ignore
    result = []
    for number in range(classes):
        called, is_one = (predicted == number) & counted, (truth == number) & counted
        union = (called | is_one).sum()
        result.append((called & is_one).sum() / union if union else math.nan)
    return np.array(result)


@pytest.fixture
def judged(tmp_path, in_folder):
    """A metric whose judge is an untrained network, and that judge."""
    torch.manual_seed(3)
    spec = SPECS["segmenter"]["streets"]
    network = SegmenterNet(spec)
    network.head.weight.data.mul_(50)  # spreads the predictions over several classes
    path = tmp_path / spec.weights_file
    write_weights(path, network.fuse().state_dict(), {spec.record: {"model": spec.version}})
    return MeanIoU(in_folder(tmp_path)), EmbeddedSegmenter(spec, path, torch.device("cpu"))


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(2, 6))
def test_counts_and_ious_equal_slow_loops(seed, scenes, height, width, classes):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes + 1, (scenes, height, width))
    truth[truth == classes] = 255
    predicted = rng.integers(0, classes, truth.shape)
    counts = class_counts(predicted, truth, classes, ignore=255)
    slow = slow_confusion(predicted, truth, classes, 255)
    parts = [np.diagonal(slow, axis1=1, axis2=2), slow.sum(axis=2), slow.sum(axis=1)]
    np.testing.assert_array_equal(counts, np.stack(parts, axis=1))
    np.testing.assert_allclose(iou_from_counts(counts.sum(axis=0)), slow_iou(predicted, truth, classes, 255))


def test_a_worked_example():
    truth = np.array([[[0, 0, 1, 1], [0, 0, 1, 255]]])
    predicted = np.array([[[0, 1, 1, 1], [0, 0, 0, 0]]])
    iou = iou_from_counts(class_counts(predicted, truth, 3, ignore=255)[0])
    np.testing.assert_allclose(iou, [3 / 5, 2 / 4, math.nan])
    assert mean_iou(class_counts(predicted, truth, 3, ignore=255))[0] == pytest.approx(0.55)


def test_small_integer_types_do_not_overflow():
    truth = np.full((40, 8, 8), 18, dtype=np.uint8)
    assert class_counts(truth, truth, 19)[39, :, 18].tolist() == [64, 64, 64]


def test_class_ids_out_of_range_are_refused():
    zeros = np.zeros((1, 2, 2), dtype=int)
    with pytest.raises(ValueError, match="predicted"):
        class_counts(zeros + 5, zeros, 5)
    with pytest.raises(ValueError, match="truth"):
        class_counts(zeros, zeros - 1, 5)
    with pytest.raises(ValueError, match="shape"):
        class_counts(zeros, zeros[:, :1], 5)


def test_no_counted_pixel_gives_nan():
    ignored = np.full((2, 3, 3), 255)
    assert np.isnan(mean_iou(class_counts(np.zeros_like(ignored), ignored, 4, ignore=255))).all()


def test_scores_equal_the_definition_under_each_protocol(judged, make_comparison):
    metric, judge = judged
    comparison = make_comparison(scenes=3)
    truth = train_ids(comparison.labels)
    generated, original = (train_ids(judge.predict(p)) for p in (comparison.generated, comparison.original))
    assert len(np.unique(generated)) > 2, "the judge has to say several things for this test to mean anything"
    measured = metric.measure(comparison)
    scores = {score.metric: score for score in metric.summarise(measured)}
    expected = {
        "mIoU": (generated, truth),
        "mIoU[judge]": (generated, np.where(truth == IGNORED, IGNORED, original)),
        "mIoU[original]": (original, truth),
    }
    classes = (f"IoU[{metric.context.label_space.names[label]}]" for label in EVALUATED_IDS)
    iou = dict(zip(classes, slow_iou(generated, truth, 19, IGNORED), strict=True))
    by_class = {name: value for name, value in iou.items() if np.isfinite(value)}
    assert {n: s.value for n, s in scores.items() if n not in expected} == pytest.approx(by_class)
    assert scores["mIoU"].value == pytest.approx(np.mean(list(by_class.values())))
    for name, (predicted, against) in expected.items():
        assert scores[name].value == pytest.approx(np.nanmean(slow_iou(predicted, against, 19, IGNORED)))
        scenes = [np.nanmean(slow_iou(p, a, 19, IGNORED)) for p, a in zip(predicted, against, strict=True)]
        assert scores[name].std == pytest.approx(np.std(scenes, ddof=1))
        assert scores[name].scenes == 3
    scenes = [np.nanmean(slow_iou(p, t, 19, IGNORED)) for p, t in zip(generated, truth, strict=True)]
    np.testing.assert_allclose(metric.per_scene(measured)["mIoU[scene]"], scenes)


def test_a_class_in_neither_map_has_no_value_of_its_own(judged):
    metric, _ = judged
    counts = np.zeros((2, 3, 19), dtype=np.int32)
    counts[:, :, 4], counts[1, 1, 7], counts[0, 2, 9] = 10, 6, 3
    scores = metric.summarise({"gt": counts})
    assert [(s.metric, s.value, s.std) for s in scores[1:]] == [
        (f"IoU[{metric.context.label_space.names[EVALUATED_IDS[place]]}]", value, None)
        for place, value in ((4, 1.0), (7, 0.0), (9, 0.0))
    ]


def test_a_prediction_that_is_no_class_is_missed_and_counts_for_none():
    truth = np.array([[[0, 0, 1, 1]]])
    predicted = np.array([[[0, 255, 1, 255]]])
    counts = class_counts(predicted, truth, 2, ignore=255)
    np.testing.assert_array_equal(counts[0], [[1, 1], [2, 2], [1, 1]])


def test_the_data_set_level_is_not_the_mean_over_scenes(judged, make_comparison):
    metric, _ = judged
    measured = metric.measure(make_comparison(scenes=3))
    assert metric.summarise(measured)[0].value != pytest.approx(metric.per_scene(measured)["mIoU[scene]"].mean())


def test_identical_pictures_agree_perfectly_under_the_judge_protocol(judged, make_comparison):
    metric, _ = judged
    comparison = make_comparison()
    same = metric.measure(replace(comparison, generated=comparison.original))
    scores = {score.metric: score.value for score in metric.summarise(same)}
    assert scores["mIoU[judge]"] == 1.0
    assert scores["mIoU"] == scores["mIoU[original]"]


def test_a_scene_counts_the_same_in_any_batch(judged, make_comparison):
    metric, _ = judged
    comparison = make_comparison(scenes=3)
    together = metric.measure(comparison)
    for scene in range(3):
        one = slice(scene, scene + 1)
        alone = metric.measure(
            replace(
                comparison,
                generated=comparison.generated[one],
                original=comparison.original[one],
                labels=comparison.labels[one],
                instances=comparison.instances[one],
            )
        )
        for key, counts in alone.items():
            np.testing.assert_array_equal(counts[0], together[key][scene])


def test_one_scene_has_no_spread_and_no_scene_no_value(judged, make_comparison):
    metric, _ = judged
    measured = metric.measure(make_comparison(scenes=1))
    assert all(score.std is None for score in metric.summarise(measured))
    with pytest.raises(MetricError, match="no scenes"):
        metric.summarise({key: counts[:0] for key, counts in measured.items()})


@pytest.mark.parametrize(("dataset", "missing"), [("coco_stuff", "maskformer-resnet101"), ("camvid", "hf:FOLDER")])
def test_other_data_sets_are_skipped_with_the_judge_that_is_missing(context, dataset, missing):
    with pytest.raises(MetricError, match=f"skipped on `{dataset}`.*{missing}"):
        MeanIoU(replace(context, dataset=dataset))


def test_other_evaluated_classes_than_the_judges_are_refused(context):
    with pytest.raises(MetricError, match="evaluates"):
        MeanIoU(replace(context, label_space=replace(context.label_space, evaluated=EVALUATED_IDS[:-1])))


def test_the_protocol_names_judge_and_classes(judged):
    metric, judge = judged
    assert "judge=streets-v1@64x128|" in metric.protocol
    assert "19 classes" in metric.protocol
    assert metric.identity()["weights_sha256"] == judge.sha256


def test_resampled_scores_are_those_of_the_repeated_scenes() -> None:
    rng = np.random.default_rng(0)
    measured = {key: rng.integers(0, 40, (5, 3, 19)) for key in ("gt", "judge", "original")}
    for pixels in measured.values():
        pixels[:, 1:] += pixels[:, :1]  # what is right is part of what is true and of what is named
    measured["gt"][:, :, 3] = 0  # a class that occurs nowhere
    counts = rng.multinomial(5, np.full(5, 0.2), size=20).astype(np.float64)
    drawn = MeanIoU.resampled(measured, counts)
    assert set(drawn) == {"mIoU", "mIoU[judge]"}
    for name, key in (("mIoU", "gt"), ("mIoU[judge]", "judge")):
        repeated = [np.repeat(measured[key], row.astype(int), axis=0).sum(axis=0) for row in counts]
        np.testing.assert_allclose(drawn[name], [mean_iou(total) for total in repeated], rtol=1e-12)
    whole = {name: values[0] for name, values in MeanIoU.resampled(measured, np.ones((1, 5))).items()}
    assert whole["mIoU"] == pytest.approx(float(mean_iou(measured["gt"].sum(axis=0))), rel=1e-12)
