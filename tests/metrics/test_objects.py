"""The metric `objects`, with a detector that answers what the test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.api.errors import MetricError
from bench.api.metric import Comparison, MetricContext
from bench.data.streets import Streets
from metrics.evaluators.detectors import Detections
from metrics.evaluators.registry import DETECTORS, DetectorChoice, names
from metrics.objects import MOST_DETECTIONS, Objects

PERSON, RIDER, CAR, TRUCK, BICYCLE = 24, 25, 26, 27, 33
NAMES = MappingProxyType({PERSON: "person", RIDER: "rider", CAR: "car", TRUCK: "truck", BICYCLE: "bicycle"})
HEIGHT, WIDTH = 24, 32
#: One detection: label, score, box.
Found = tuple[int, float, tuple[int, int, int, int]]
LEFT, RIGHT, LOW = (0, 0, 8, 8), (16, 0, 28, 8), (4, 12, 10, 22)


@dataclass
class FakeDetector:
    """Answers by the number that is coded in a picture's upper left pixel."""

    answers: Mapping[int, Sequence[Found]]
    classes: tuple[int, ...] = (PERSON, RIDER, CAR, TRUCK, BICYCLE)
    asked: list[int] = field(default_factory=list)
    protocol = "fake@24x32"
    sha256 = "f" * 64
    gpu_batch = 4

    def detect(self, images: Tensor) -> list[Detections]:
        numbers = (images[:, 0, 0, 0] * 255).round().int().tolist()
        self.asked += numbers
        return [self._detections(self.answers.get(number, ())) for number in numbers]

    def _detections(self, found: Sequence[Found]) -> Detections:
        boxes = np.array([f[2] for f in found], dtype=np.float32).reshape(-1, 4)
        return Detections(boxes, np.array([f[1] for f in found], np.float32), np.array([f[0] for f in found], np.int64))


def pictures(numbers: Sequence[int]) -> Tensor:
    images = torch.zeros(len(numbers), 3, HEIGHT, WIDTH)
    images[:, 0, 0, 0] = torch.tensor(numbers) / 255
    return images


def maps(objects: Sequence[tuple[int, tuple[int, int, int, int]]]) -> tuple[Tensor, Tensor]:
    """Labels and instances of a scene of road with rectangles on it."""
    labels, instances = torch.full((HEIGHT, WIDTH), 7), torch.zeros((HEIGHT, WIDTH), dtype=torch.int32)
    for number, (label, (x0, y0, x1, y1)) in enumerate(objects):
        labels[y0:y1, x0:x1], instances[y0:y1, x0:x1] = label, label * 1000 + number
    return labels, instances


def compare(generated: Sequence[int], original: Sequence[int], scenes: Sequence[Sequence[tuple]]) -> Comparison:
    labels, instances = zip(*(maps(objects) for objects in scenes), strict=True)
    return Comparison(pictures(generated), pictures(original), torch.stack(labels), torch.stack(instances))


@pytest.fixture
def make(context: MetricContext, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Objects]:
    def make(
        answers: Mapping[int, Sequence[Found]],
        threshold: float = 0.5,
        answered_as: Mapping[int, int] = MappingProxyType({}),
        names: Mapping[int, str] = NAMES,
    ) -> Objects:
        choice = DetectorChoice(lambda *_: FakeDetector(answers), threshold, answered_as)
        monkeypatch.setitem(DETECTORS, "fake", lambda _: choice)
        monkeypatch.setattr(Streets, "evaluators", {"detector": ("fake",)})
        named = tuple(names.get(k, f"label {k}") for k in range(35))
        return Objects(replace(context, label_space=replace(context.label_space, names=named)))

    return make


def scores(metric: Objects, comparison: Comparison) -> dict[str, float]:
    return {score.metric: score.value for score in metric.summarise(metric.measure(comparison))}


def test_a_picture_as_good_as_the_original_has_its_scores(make) -> None:
    seen = [(CAR, 0.9, LEFT), (PERSON, 0.8, LOW)]
    comparison = compare([1, 1], [1, 1], [[(CAR, LEFT), (PERSON, LOW)]] * 2)
    found = scores(make({1: seen}), comparison)
    assert set(found) == {
        f"{score}[{inside}]".replace("[]", "")
        for score in ("AP50", "recall")
        for inside in (
            "", "car", "person", "judge", "judge:car", "judge:person", "original", "original:car", "original:person",
        )
    }  # fmt: skip
    assert set(found.values()) == {1.0}


def test_scores_by_hand(make) -> None:
    # scene 0: the car is found, the person too but unsurely; scene 1: a car is missed, another one is imagined
    answers = {
        1: [(CAR, 0.9, LEFT), (PERSON, 0.3, LOW)],
        2: [(CAR, 0.95, LOW)],
        3: [(CAR, 0.9, LEFT), (CAR, 0.4, RIGHT)],
        4: [(CAR, 0.6, RIGHT)],
    }
    metric = make(answers)
    comparison = compare([1, 2], [3, 4], [[(CAR, LEFT), (PERSON, LOW)], [(CAR, RIGHT)]])
    found = scores(metric, comparison)
    assert found["AP50[car]"] == pytest.approx(1 / 4)  # false 0.95, hit 0.9, of two cars
    assert found["AP50[person]"] == 1.0  # the curve has every score
    assert found["AP50"] == pytest.approx((1 / 4 + 1) / 2)
    assert found["recall"] == pytest.approx(1 / 3)  # below the threshold nothing is there
    assert found["recall[person]"] == 0.0
    # the original's own: a car in each scene, the unsure one of scene 0 is none; no person to be averaged over
    assert found["AP50[judge]"] == found["AP50[judge:car]"] == pytest.approx(1 / 4)
    assert found["recall[judge]"] == pytest.approx(1 / 2)
    assert "AP50[judge:person]" not in found
    # in the original all sure cars are right, the person is missed
    assert found["AP50[original:car]"] == 1.0
    assert found["AP50[original]"] == pytest.approx(1 / 2)
    assert found["recall[original]"] == pytest.approx(2 / 3)
    measured = metric.measure(comparison)
    assert metric.per_scene(measured)["recall[scene]"].tolist() == [0.5, 0.0]
    assert metric.per_scene(measured)["recall[judge:scene]"].tolist() == [1.0, 0.0]
    spread = {s.metric: s.std for s in metric.summarise(measured)}
    assert spread["recall"] == pytest.approx(np.std([0.5, 0], ddof=1))
    assert spread["AP50"] is None


def test_objects_too_small_to_be_seen_count_neither_way(make) -> None:
    tiny = (20, 16, 23, 19)  # 9 pixels
    comparison = compare([1], [1], [[(CAR, LEFT), (CAR, tiny)]])
    found = scores(make({1: [(CAR, 0.95, tiny), (CAR, 0.9, LEFT)]}), comparison)
    assert found["AP50"] == found["recall"] == found["AP50[original]"] == 1.0
    assert scores(make({1: [(CAR, 0.9, LEFT)]}), comparison)["recall"] == 1.0


def test_a_crowd_excuses_a_detection_of_its_class(make) -> None:
    comparison = compare([1], [1], [[(CAR, LEFT), (PERSON, LOW)]])
    comparison.instances[:, LOW[1] : LOW[3], LOW[0] : LOW[2]] = 0  # persons that nobody told apart
    metric = make({1: [(PERSON, 0.95, LOW), (CAR, 0.9, LEFT)]})
    assert scores(metric, comparison)["AP50"] == 1.0
    assert "AP50[person]" not in scores(metric, comparison)
    wrong = make({1: [(CAR, 0.95, LOW), (CAR, 0.9, LEFT)]})  # cars are not excused by persons
    assert scores(wrong, comparison)["AP50"] == 0.5


def test_true_labels_are_those_that_the_detector_can_answer(make) -> None:
    comparison = compare([1], [1], [[(RIDER, LEFT)]])
    metric = make({1: [(PERSON, 0.9, LEFT)]}, answered_as={RIDER: PERSON})
    assert scores(metric, comparison)["AP50[person]"] == 1.0
    assert "rider counts as person" in metric.protocol
    assert scores(make({1: [(PERSON, 0.9, LEFT)]}), comparison)["AP50[rider]"] == 0.0


def test_data_sets_with_other_words_have_the_same_scores(make) -> None:
    names = {CAR: "car", PERSON: "pedestrian", RIDER: "bicyclist", TRUCK: "truck", BICYCLE: "bear"}
    found = scores(
        make({1: [(PERSON, 0.9, LEFT), (RIDER, 0.9, LOW), (TRUCK, 0.9, RIGHT)]}, names=names),
        compare([1], [1], [[(PERSON, LEFT), (TRUCK, RIGHT), (RIDER, RIGHT)]]),
    )
    assert found["AP50[person]"] == 1.0
    assert found["AP50[bicycle]"] == 0.0
    assert not any(word in name for name in found for word in ("truck", "pedestrian", "bear"))


def test_without_true_boxes_there_is_what_the_detector_says_of_the_original(make) -> None:
    found = scores(make({1: [(CAR, 0.9, LEFT)], 2: []}), compare([2], [1], [[]]))
    assert found == {"AP50[judge]": 0.0, "recall[judge]": 0.0, "AP50[judge:car]": 0.0, "recall[judge:car]": 0.0}
    metric = make({})
    measured = metric.measure(compare([1], [1], [[]]))
    nothing = metric.summarise(measured)
    assert [score.metric for score in nothing] == ["AP50[judge]", "recall[judge]"]
    assert all(np.isnan(score.value) and score.std is None for score in nothing)
    assert list(metric.per_scene(measured)) == ["recall[judge:scene]"]
    assert np.isnan(metric.per_scene(measured)["recall[judge:scene]"]).all()


def random_case(seed: int, scenes: int = 12) -> tuple[dict[int, list[Found]], Comparison]:
    """Scenes with a few objects; detections that miss, shift and imagine some."""
    rng = np.random.default_rng(seed)
    answers: dict[int, list[Found]] = {}
    truths = []
    for scene in range(scenes):
        places = [(x, y, x + 7, y + 7) for x in (0, 8, 16, 24) for y in (0, 8, 16)]
        chosen = rng.permutation(len(places))[: rng.integers(0, 6)]
        truths.append([(int(rng.choice([CAR, PERSON, TRUCK])), places[k]) for k in chosen])
        for number in (scene, 100 + scene):
            answers[number] = []
            for label, (x0, y0, x1, y1) in truths[-1]:
                if rng.random() < 0.7:
                    shift = int(rng.integers(0, 5))
                    answers[number].append((label, float(rng.uniform(0.1, 1)), (x0 + shift, y0, x1 + shift, y1)))
            answers[number].append((CAR, float(rng.uniform(0.1, 1)), places[rng.integers(len(places))]))
    numbers = list(range(scenes))
    return answers, compare(numbers, [100 + k for k in numbers], truths)


def naive_ap(found: list[tuple[int, Found]], truths: list[list[tuple]], label: int) -> float:
    """Average precision of a class, by its definition; `found` are (scene, detection)."""
    left = [[box for kind, box in scene if kind == label] for scene in truths]
    total = sum(map(len, left))
    ranked = sorted((f for f in found if f[1][0] == label), key=lambda f: -f[1][1])
    points, hits = [], 0
    for rank, (scene, (_, _, box)) in enumerate(ranked, start=1):

        def overlap(other: tuple, box: tuple = box) -> float:
            wide = max(0, min(box[2], other[2]) - max(box[0], other[0]))
            high = max(0, min(box[3], other[3]) - max(box[1], other[1]))
            area = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
            return wide * high / (sum(area) - wide * high)

        best = max(left[scene], key=overlap, default=None)
        if best is not None and overlap(best) >= 0.5:
            left[scene].remove(best)
            hits += 1
            points.append((hits, hits / rank))
    return sum(max(p for h, p in points if h >= hit) for hit, _ in points) / total


@pytest.mark.parametrize("seed", [0, 1])
def test_scores_equal_their_definition(make, seed: int) -> None:
    answers, comparison = random_case(seed)
    scenes = range(len(comparison.generated))
    truths = []
    for k in scenes:
        objects = []
        for value in np.unique(comparison.instances[k][comparison.instances[k] > 0]):
            y, x = np.nonzero(comparison.instances[k].numpy() == value)
            objects.append((int(value) // 1000, (x.min(), y.min(), x.max() + 1, y.max() + 1)))
        truths.append(objects)
    sure = [[(label, box) for label, score, box in answers[100 + k] if score >= 0.5] for k in scenes]
    generated = [(k, f) for k in scenes for f in answers[k]]
    found = scores(make(answers), comparison)
    for name, reference in (("", truths), ("judge", sure)):
        kinds = sorted({label for scene in reference for label, _ in scene})
        by_class = {label: naive_ap(generated, reference, label) for label in kinds}
        assert found["AP50" + f"[{name}]" * bool(name)] == pytest.approx(np.mean(list(by_class.values())))
        for label, word in ((CAR, "car"), (PERSON, "person")):
            inside = f"{name}:{word}" if name else word
            assert found[f"AP50[{inside}]"] == pytest.approx(by_class[label])
    assert 0.1 < found["AP50"] < 0.9


def test_resampled_scores_are_those_of_the_scenes_drawn(make) -> None:
    answers, comparison = random_case(5)
    metric = make(answers)
    measured = metric.measure(comparison)
    rng = np.random.default_rng(1)
    counts = rng.multinomial(12, np.full(12, 1 / 12), size=6).astype(float)
    draws = metric.resampled(measured, counts)
    plain = {s.metric for s in metric.summarise(measured)}
    assert set(draws) == {
        "AP50", "recall", "AP50[judge]", "recall[judge]", "AP50[car]", "AP50[person]", "AP50[judge:car]",
        "AP50[judge:person]",
    }  # fmt: skip
    assert set(draws) < plain
    for number, count in enumerate(counts):
        rows = np.repeat(np.arange(12), count.astype(int))
        drawn = {s.metric: s.value for s in metric.summarise({k: v[rows] for k, v in measured.items()})}
        for name, values in draws.items():
            assert values[number] == pytest.approx(drawn.get(name, np.nan), nan_ok=True), name


def test_originals_are_looked_at_once_and_scenes_one_by_one(make) -> None:
    answers, comparison = random_case(2, scenes=3)
    metric = make(answers)
    whole = metric.measure(comparison)
    again = metric.measure(comparison)
    assert metric._network.asked == [0, 1, 2, 100, 101, 102, 0, 1, 2]
    for name, array in whole.items():
        np.testing.assert_array_equal(array, again[name])
        assert len(array) == 3
    single = metric.measure(Comparison(*(getattr(comparison, f)[1:2] for f in ("generated", "original", "labels",
                                                                             "instances"))))  # fmt: skip
    for name, array in single.items():
        np.testing.assert_array_equal(array[0], whole[name][1])
    assert {s.scenes for s in metric.summarise(single)} == {1}


def test_the_most_certain_hundred_count(make) -> None:
    many = [(CAR, 0.4 - 0.001 * k, RIGHT) for k in range(MOST_DETECTIONS)] + [(CAR, 0.2, LEFT), (CAR, 0.04, LEFT)]
    comparison = compare([1], [2], [[(CAR, LEFT)]])
    assert scores(make({1: many[::-1], 2: []}), comparison)["AP50"] == 0.0  # the one that fits comes too late
    assert scores(make({1: many[2:], 2: []}), comparison)["AP50"] == pytest.approx(1 / 99)
    assert scores(make({1: [(CAR, 0.04, LEFT)]}), comparison)["AP50"] == 0.0
    with pytest.raises(MetricError, match=r"fake@24x32 is sure of 101 objects in one picture; at most 100"):
        make({1: [(CAR, 0.9, LEFT)] * 101}).measure(comparison)


def test_no_scenes_are_refused(make) -> None:
    metric, good = make({}), compare([1], [1], [[]])
    with pytest.raises(MetricError, match="objects of no scenes"):
        metric.summarise({name: array[:0] for name, array in metric.measure(good).items()})


def test_what_is_missing_is_said(context: MetricContext, make) -> None:
    with pytest.raises(MetricError, match=r"objects is skipped on `stuff`: no detector is known for it"):
        Objects(replace(context, dataset="stuff"))
    make({})
    with pytest.raises(MetricError, match=r"there is no detector 'fakes' for it; did you mean 'fake'"):
        Objects(replace(context, evaluator="fakes"))
    with pytest.raises(MetricError, match=r"objects is skipped on `cityscapes`: .*facebook/detr-resnet-50"):
        Objects(replace(context, dataset="cityscapes"))
    assert names("detector", "camvid") == ("detr_resnet_50",)
    assert names("detector", "stuff") == ()


def test_protocol_and_identity_name_detector_and_thresholds(make) -> None:
    metric = make({}, threshold=0.4)
    assert metric.protocol == (
        "truth=instances of 12 pixels or more, for [judge] the detections in the original from 0.4 on|"
        "detector=fake@24x32|IoU 0.5|recall from score 0.4 on, AP from 0.05 on over all recalls|5 classes"
    )
    assert metric.identity()["weights_sha256"] == "f" * 64
    assert metric.evaluators("streets") == ("fake",)
