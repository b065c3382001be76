"""The metric `depth`, with a depth network that answers what the test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.api.errors import MetricError
from bench.api.metric import Comparison, MetricContext
from bench.api.scores import score_info
from bench.data.streets import Streets
from metrics.depth import SCORES, Depth, depth_errors, fit, inverse_errors
from metrics.evaluators.registry import DEPTH, names

HEIGHT, WIDTH = 8, 12


@dataclass
class FakeEstimator:
    """Answers by the number that is coded in a picture's upper left pixel."""

    answers: Mapping[int, np.ndarray]
    inverse: bool
    asked: list[int] = field(default_factory=list)
    protocol = "fake@8x12"
    sha256 = "d" * 64
    gpu_batch = 4

    def estimate(self, images: Tensor) -> Tensor:
        numbers = (images[:, 0, 0, 0] * 255).round().int().tolist()
        self.asked += numbers
        return torch.stack([torch.as_tensor(self.answers[number], dtype=torch.float32) for number in numbers])


def pictures(*numbers: int) -> Tensor:
    images = torch.zeros(len(numbers), 3, HEIGHT, WIDTH)
    images[:, 0, 0, 0] = torch.tensor(numbers) / 255
    return images


def compare(generated: Tensor, original: Tensor, depth: np.ndarray | None) -> Comparison:
    maps = torch.zeros(len(generated), HEIGHT, WIDTH, dtype=torch.int64)
    deep = None if depth is None else torch.as_tensor(depth, dtype=torch.float32)
    return Comparison(generated, original, maps, maps.int(), deep)


def street(seed: int = 0) -> np.ndarray:
    """Depths (H, W) of 4 to 60 m below a sky of 1000 m."""
    depth = np.random.default_rng(seed).uniform(4, 60, (HEIGHT, WIDTH)).astype(np.float32)
    depth[:2] = 1000
    return depth


@pytest.fixture
def make(context: MetricContext, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Depth]:
    def make(answers: Mapping[int, np.ndarray], inverse: bool) -> Depth:
        monkeypatch.setattr(Streets, "evaluators", {"depth": ("fake",)})
        monkeypatch.setitem(DEPTH, "fake", lambda *_: FakeEstimator(answers, inverse))
        return Depth(context)

    return make


def scores(metric: Depth, comparison: Comparison) -> dict[str, float]:
    return {score.metric: score.value for score in metric.summarise(metric.measure(comparison))}


def naive(estimate: np.ndarray, depth: np.ndarray, inverse: bool) -> list[float]:
    """Errors against depth by their definitions, pixel by pixel, with NumPy's least squares."""
    pairs = [(e, d) for e, d in zip(estimate.ravel().tolist(), depth.ravel().tolist(), strict=True) if 0 < d <= 80]
    system = np.array([[e, 1.0] for e, _ in pairs])
    target = np.array([1 / d if inverse else d for _, d in pairs])
    (scale, shift), *_ = np.linalg.lstsq(system, target, rcond=None)
    total = [0.0, 0.0, 0.0]
    for e, d in pairs:
        value = scale * e + shift
        value = (1 / value if value > 1 / 80 else 80.0) if inverse else value
        value = min(max(value, 1e-3), 80.0)
        total[0] += abs(value - d) / d
        total[1] += (value - d) ** 2
        total[2] += max(value / d, d / value) < 1.25
    return [total[0] / len(pairs), (total[1] / len(pairs)) ** 0.5, total[2] / len(pairs)]


@pytest.mark.parametrize("inverse", [False, True])
def test_what_is_right_up_to_scale_and_shift_has_no_error(make, inverse: bool) -> None:
    depth = street()
    right = 3 / depth - 0.7 if inverse else 0.2 * depth + 11
    found = scores(make({1: right, 2: 5 * right + 1}, inverse), compare(pictures(2), pictures(1), depth[None]))
    names = ("", "[original]") if inverse else ("", "[judge]", "[original]")
    for bracket in names:
        assert found[f"AbsRel{bracket}"] == pytest.approx(0, abs=1e-5)
        assert found[f"RMSE{bracket}"] == pytest.approx(0, abs=1e-3)
        assert found[f"delta1{bracket}"] == 1.0
    assert list(found) == [f"{score}{bracket}" for bracket in ("", "[judge]", "[original]") for score in SCORES]


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_errors_equal_their_definition(seed: int, inverse: bool) -> None:
    rng, depth = np.random.default_rng(100 + seed), street(seed)
    valid = (depth > 0) & (depth <= 80)
    exact = 1 / depth if inverse else depth
    estimate = (exact * rng.uniform(0.5, 1.5, depth.shape) * 7 + 2).astype(np.float32)
    found = depth_errors(estimate, depth, valid, inverse)
    np.testing.assert_allclose(found, naive(estimate, depth, inverse), rtol=1e-6)
    assert found[0] > 0.05
    assert 0.1 < found[2] < 1
    # noise: fitted values leave the depths that are possible, and are brought back
    noise = rng.normal(size=depth.shape).astype(np.float32) ** 3
    np.testing.assert_allclose(depth_errors(noise, depth, valid, inverse), naive(noise, depth, inverse), rtol=1e-6)


def test_errors_by_hand() -> None:
    depth = np.full((4, 5), 10.0)
    depth[0] = 20.0
    estimate = np.ones((4, 5))  # nothing known: the mean, 12.5 m, everywhere
    found = depth_errors(estimate, depth, np.ones((4, 5), dtype=bool), False)
    absolute = (5 * 7.5 / 20 + 15 * 2.5 / 10) / 20
    assert found == pytest.approx([absolute, np.sqrt((5 * 7.5**2 + 15 * 2.5**2) / 20), 0.0])
    inverse = depth_errors(estimate, depth, np.ones((4, 5), dtype=bool), True)
    mean = 1 / ((5 / 20 + 15 / 10) / 20)  # the mean of the inverse depths
    assert inverse == pytest.approx(
        [
            (5 * (20 - mean) / 20 + 15 * (mean - 10) / 10) / 20,
            np.sqrt((5 * (20 - mean) ** 2 + 15 * (mean - 10) ** 2) / 20),
            0.75,
        ]
    )


def test_the_fit_is_the_best_one() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(5, 2, 300).astype(np.float32), rng.normal(1, 3, 300)
    best = np.polyfit(x.astype(np.float64), y, 1)
    np.testing.assert_allclose(fit(x, y), np.polyval(best, x.astype(np.float64)), atol=1e-9)
    assert fit(np.full(4, 0.1, np.float32), np.array([1.0, 2, 3, 6])).tolist() == [3.0] * 4
    assert fit(np.array([2.0]), np.array([5.0])).tolist() == [5.0]


def test_sky_and_unknown_depth_take_no_part(make) -> None:
    depth = street()
    unknown = depth.copy()
    unknown[3, :4] = (0, np.nan, np.inf, 80.5)
    wild = 1 / depth
    wild[:2] = 77.0  # nonsense where there is sky
    wild[3, :4] = -50.0
    found = scores(make({1: wild}, True), compare(pictures(1), pictures(1), unknown[None]))
    assert found["AbsRel"] == pytest.approx(0, abs=1e-5)
    assert found["delta1"] == found["delta1[judge]"] == 1.0
    # without true depth nothing tells that the sky is one, and the largest value is there
    blind = scores(make({1: wild, 2: wild + np.eye(HEIGHT, WIDTH)}, True), compare(pictures(2), pictures(1), None))
    assert list(blind) == [f"{score}[judge]" for score in SCORES]


def test_inverse_depth_is_compared_as_such() -> None:
    rng = np.random.default_rng(1)
    reference = rng.uniform(0.2, 4, (HEIGHT, WIDTH))
    reference[0] = (0, -1, 0.04, *[0.06] * 9)  # below 1/80 of the largest, 4, is too far away to say anything
    reference[1, 0] = 4.0
    estimate = reference * rng.uniform(0.8, 1.2, reference.shape)
    everywhere = np.ones(reference.shape, dtype=bool)
    used = reference >= 0.05
    x, y = estimate[used], reference[used] / 4
    fitted = np.polyval(np.polyfit(x, y, 1), x).clip(1 / 80)
    expected = [
        np.mean(np.abs(fitted - y) / y),
        np.sqrt(np.mean((fitted - y) ** 2)),
        np.mean(np.maximum(fitted / y, y / fitted) < 1.25),
    ]
    np.testing.assert_allclose(inverse_errors(estimate, reference, everywhere), expected, rtol=1e-9)
    # scale and shift of the estimate do not matter, nor the reference's scale
    again = inverse_errors(3 * estimate - 8, 10 * reference, everywhere)
    np.testing.assert_allclose(again, expected, rtol=1e-9)
    assert np.isnan(inverse_errors(estimate, -reference, reference > 0.05)).all()
    assert np.isnan(inverse_errors(estimate, np.zeros_like(reference), everywhere)).all()


def test_metres_are_compared_with_the_metres_of_the_original(make) -> None:
    depth = street()
    original = depth + np.random.default_rng(2).normal(0, 1, depth.shape).astype(np.float32)
    generated = depth + np.random.default_rng(3).normal(0, 5, depth.shape).astype(np.float32)
    found = scores(make({1: original, 2: generated}, False), compare(pictures(2), pictures(1), None))
    inside = np.where(original <= 80, original, 0)  # the sky is beyond 80 m in the estimate too
    assert list(found.values()) == pytest.approx(naive(generated, inside, False), rel=1e-6)


def test_undefined_scenes_are_left_out_of_the_mean(make) -> None:
    depth, empty = street(), np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    few = empty.copy()
    few.ravel()[:9] = 10
    estimate = 1 / depth + 0.3 * np.random.default_rng(0).random(depth.shape)
    metric = make({1: estimate, 2: 1 / depth}, True)
    measured = metric.measure(compare(pictures(1, 1, 1), pictures(2, 2, 2), np.stack([depth, empty, few])))
    alone = metric.measure(compare(pictures(1), pictures(2), depth[None]))
    assert np.isnan(measured["gt"][1:]).all()
    for score in metric.summarise(measured):
        assert score.value == {s.metric: s.value for s in metric.summarise(alone)}[score.metric]
        assert (score.std, score.scenes) == (None, 3)
    per_scene = metric.per_scene(measured)
    assert set(per_scene) == {f"{score}{bracket}" for score in SCORES for bracket in ("", "[judge]")}
    assert np.isfinite(per_scene["RMSE"]).tolist() == [True, False, False]
    blind = metric.measure(compare(pictures(1), pictures(2), empty[None]))
    assert [np.isnan(s.value) for s in metric.summarise(blind)] == [True] * 3  # only [judge], and that undefined


def test_spread_is_over_scenes(make) -> None:
    depth = np.stack([street(1), street(2)])
    answers = {k: 1 / depth[k - 1] + 0.1 * np.random.default_rng(k).random((HEIGHT, WIDTH)) for k in (1, 2)}
    metric = make(answers, True)
    measured = metric.measure(compare(pictures(1, 2), pictures(1, 2), depth))
    by_name = {s.metric: s for s in metric.summarise(measured)}
    values = metric.per_scene(measured)["AbsRel"]
    assert by_name["AbsRel"].value == pytest.approx(values.mean())
    assert by_name["AbsRel"].std == pytest.approx(values.std(ddof=1))
    assert metric._network.asked == [1, 2, 1, 2]
    metric.measure(compare(pictures(1, 2), pictures(1, 2), depth))
    assert metric._network.asked == [1, 2, 1, 2, 1, 2]  # originals are remembered


def test_more_is_better_of_delta_alone() -> None:
    better = {name: score_info(name).higher_is_better for name in ("AbsRel", "RMSE[judge]", "delta1", "delta1[judge]")}
    assert better == {"AbsRel": False, "RMSE[judge]": False, "delta1": True, "delta1[judge]": True}


def test_bad_answers_are_refused(make) -> None:
    depth = street()
    metric, good = make({1: depth}, False), compare(pictures(1), pictures(1), depth[None])
    with pytest.raises(MetricError, match=r"depth network fake@8x12 gave estimates \(1, 7, 12\); \(1, 8, 12\)"):
        make({1: depth[1:]}, False).measure(good)
    with pytest.raises(MetricError, match=r"gave NaN or infinity"):
        make({1: np.where(depth > 50, np.nan, depth)}, False).measure(good)
    with pytest.raises(MetricError, match="of no scenes"):
        metric.summarise({name: array[:0] for name, array in metric.measure(good).items()})


def test_what_is_missing_is_said(context: MetricContext) -> None:
    with pytest.raises(MetricError, match=r"depth is skipped on `stuff`: no depth network is known for it"):
        Depth(replace(context, dataset="stuff"))
    with pytest.raises(MetricError, match=r"depth is skipped on `coco_stuff`: .*huggingface.co/Intel/dpt-large"):
        Depth(replace(context, dataset="coco_stuff"))
    with pytest.raises(MetricError, match=r"there is no depth network 'dpt_larg' for it; did you mean 'dpt_large'"):
        Depth(replace(context, dataset="cityscapes", evaluator="dpt_larg"))
    assert names("depth", "cityscapes") == ("dpt_large",)


def test_the_protocol_says_in_which_space(make) -> None:
    assert make({}, True).protocol == (
        "truth=depth up to 80 m, for [judge] inverse depth estimated from the original, its largest value 1|"
        "network=fake@8x12|scale and shift a picture, least squares in inverse depth|mean over pictures"
    )
    assert "least squares in depth|" in make({}, False).protocol
    assert make({}, True).identity()["weights_sha256"] == "d" * 64
