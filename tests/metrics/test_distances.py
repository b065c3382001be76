"""FID and KID: against scipy's matrix square root, pytorch-fid and loops; influences against weights and repetition."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import linalg

from metrics.stats.distances import frechet, kernel, polynomial_kernel


def features(scenes: int, size: int, seed: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((size, size)) / math.sqrt(size)
    return (rng.standard_normal((scenes, size)) @ mixing * (1 + shift) + shift).astype(np.float32)


def paired(scenes: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of originals and of pictures that resemble them."""
    y = features(scenes, size, seed)
    return 0.7 * y + 0.6 * features(scenes, size, seed + 1000) + 0.1, y


def weighted_frechet(x, y, weights):
    """The formula of Heusel et al. (2017), Eq. 6, with scipy's square root, of scenes with `weights`."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    total = weights.sum()
    mean_x, mean_y = weights @ x / total, weights @ y / total
    # the unbiased covariances of the plain sample, as their weights change
    unbiased = len(x) / (len(x) - 1) / total
    c_x = unbiased * (x - mean_x).T @ (weights[:, None] * (x - mean_x))
    c_y = unbiased * (y - mean_y).T @ (weights[:, None] * (y - mean_y))
    shift = mean_x - mean_y
    return shift @ shift + np.trace(c_x + c_y - 2 * linalg.sqrtm(c_x @ c_y).real)


def slow_kernel(x, y):
    """The standard estimate in loops."""
    n, within, across = len(x), 0.0, 0.0
    for i in range(n):
        for j in range(n):
            across += ((x[i] @ y[j]) / x.shape[1] + 1) ** 3
            if i != j:
                within += ((x[i] @ x[j]) / x.shape[1] + 1) ** 3 + ((y[i] @ y[j]) / x.shape[1] + 1) ** 3
    return within / (n * (n - 1)) - 2 * across / n**2


@pytest.mark.parametrize(("scenes", "size"), [(200, 16), (60, 16)])
def test_frechet_equals_scipys_square_root(scenes, size):
    x, y = features(scenes, size, seed=1), features(scenes, size, seed=2, shift=0.3)
    assert frechet(x, y).value == pytest.approx(weighted_frechet(x, y, np.ones(scenes)), rel=1e-8)


def test_frechet_equals_the_package_pytorch_fid():
    from pytorch_fid.fid_score import calculate_frechet_distance

    x, y = features(300, 12, seed=1).astype(float), features(300, 12, seed=2, shift=0.2).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls scipy's sqrtm in the old way
        expected = calculate_frechet_distance(
            x.mean(axis=0), np.cov(x, rowvar=False), y.mean(axis=0), np.cov(y, rowvar=False)
        )
    assert frechet(x, y).value == pytest.approx(expected, rel=1e-6)


def test_frechet_of_fewer_scenes_than_features_equals_the_eigenvalues_of_the_product():
    """Singular covariances: Tr (AB)^(1/2) is the sum of the roots of AB's eigenvalues, which are real and >= 0."""
    x, y = features(10, 24, seed=1).astype(float), features(10, 24, seed=2, shift=0.3).astype(float)
    c_x, c_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(c_x @ c_y).real.clip(0)).sum()
    shift = x.mean(axis=0) - y.mean(axis=0)
    expected = shift @ shift + np.trace(c_x) + np.trace(c_y) - 2 * roots
    assert frechet(x, y).value == pytest.approx(expected, rel=1e-5)


def test_frechet_of_a_pure_shift_is_its_squared_length():
    x = features(30, 8, seed=1)
    assert frechet(x, x + 0.5).value == pytest.approx(8 * 0.25, rel=1e-5)
    assert frechet(x, x).value == pytest.approx(0, abs=1e-9)


def test_frechet_is_symmetric():
    x, y = features(20, 30, seed=1), features(20, 30, seed=2, shift=0.2)
    assert frechet(x, y).value == pytest.approx(frechet(y, x).value, rel=1e-9)
    np.testing.assert_allclose(frechet(x, y).influence, frechet(y, x).influence, rtol=1e-6, atol=1e-9)


def test_kid_is_the_estimator_of_torch_fidelity():
    """Its `polynomial_mmd` on the whole set, written out from its source (release 0.3.0): unbiased, degree 3,
    gamma 1/d, coefficient 1; k(x_i, y_i) is one of the m^2 pairs across."""

    def polynomial_mmd(features_1, features_2):
        gamma, m = 1.0 / features_1.shape[1], features_1.shape[0]
        k_11 = (features_1 @ features_1.T * gamma + 1.0) ** 3
        k_22 = (features_2 @ features_2.T * gamma + 1.0) ** 3
        k_12 = (features_1 @ features_2.T * gamma + 1.0) ** 3
        kt_11_sum = (k_11.sum(axis=1) - np.diag(k_11)).sum()
        kt_22_sum = (k_22.sum(axis=1) - np.diag(k_22)).sum()
        return (kt_11_sum + kt_22_sum) / (m * (m - 1)) - 2 * k_12.sum(axis=0).sum() / (m * m)

    for scenes, size in ((2, 5), (9, 5), (50, 128)):
        x, y = (z.astype(float) for z in paired(scenes, size, seed=4))
        assert kernel(x, y).value == pytest.approx(polynomial_mmd(x, y), rel=1e-10)


def test_kernel_equals_loops_over_the_definition():
    x, y = features(7, 5, seed=1).astype(float), features(7, 5, seed=2, shift=0.4).astype(float)
    assert kernel(x, y).value == pytest.approx(slow_kernel(x, y), rel=1e-9)
    assert polynomial_kernel(x, y)[2, 3] == pytest.approx((x[2] @ y[3] / 5 + 1) ** 3)


@pytest.mark.parametrize(("scenes", "size"), [(40, 6), (12, 11)])
def test_influence_on_fid_is_the_derivative_by_a_scenes_weight(scenes, size):
    x, y = (z.astype(float) for z in paired(scenes, size, seed=3))
    influence = frechet(x, y).influence
    assert influence.sum() == pytest.approx(0, abs=1e-6)
    for scene in (0, scenes // 2, scenes - 1):
        step = np.full(scenes, -1e-4 / scenes)
        step[scene] += 1e-4
        slope = (weighted_frechet(x, y, 1 + scenes * step) - weighted_frechet(x, y, 1 - scenes * step)) / 2e-4
        assert influence[scene] == pytest.approx(slope, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("scenes", [3, 9])
def test_influence_on_kid_is_what_leaving_the_scene_out_changes(scenes):
    x, y = (z.astype(float) for z in paired(scenes, 5, seed=3))
    found = kernel(x, y)
    without = np.array([slow_kernel(np.delete(x, k, axis=0), np.delete(y, k, axis=0)) for k in range(scenes)])
    np.testing.assert_allclose(found.influence, (scenes - 1) * (without.mean() - without), rtol=1e-9, atol=1e-9)
    assert found.influence.sum() == pytest.approx(0, abs=1e-9)
    assert np.isnan(kernel(x[:2], y[:2]).influence).all()


def test_fewer_scenes_than_features_have_the_influences_of_their_span():
    """Turning features into the six dimensions that they span changes nothing; there are more scenes than those."""
    low_x, low_y = (z.astype(float) for z in paired(10, 6, seed=5))
    basis, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((40, 6)))
    wide, narrow = frechet(low_x @ basis.T, low_y @ basis.T), frechet(low_x, low_y)
    assert narrow.value == pytest.approx(wide.value, rel=1e-9)
    np.testing.assert_allclose(narrow.influence, wide.influence, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("distance", [frechet, kernel])
def test_spreads_are_those_of_repeated_samples_and_a_little_on_the_safe_side(distance):
    """100 data sets of 48 scenes, two methods on the same scenes: standard errors against what the values really do, of
    one method and of the paired difference, on which ranks rest. Measured ratios are 1.1 to 1.3."""
    decay = np.arange(1, 65)[:, None] ** -0.5  # features whose directions differ in importance, as those of networks
    mixing = 3 * decay * np.random.default_rng(99).standard_normal((64, 64)) / 8
    values, errors = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        y, one, other = (rng.standard_normal((48, 64)) @ mixing for _ in range(3))
        first, second = (distance(x, y) for x in (0.7 * y + 0.6 * one + 0.1, 0.6 * y + 0.75 * other + 0.15))
        values.append((first.value, first.value - second.value))
        difference = math.sqrt(((first.influence - second.influence) ** 2).sum()) / 48
        errors.append((math.sqrt((first.influence**2).sum()) / 48, difference))
    ratios = np.mean(errors, axis=0) / np.std(values, axis=0, ddof=1)
    assert ((ratios > 0.9) & (ratios < 1.5)).all()


def test_leaving_scenes_out_or_repeating_them_moves_a_distance_by_their_influence():
    x, y = paired(48, 64, seed=7)
    counts = np.random.default_rng(0).multinomial(48, np.full(48, 1 / 48), size=400).astype(float)
    for distance in (frechet(x, y), kernel(x, y)):
        error = distance.influence.std(ddof=1) / math.sqrt(48)
        drawn = distance.resampled(counts)
        assert drawn.std() == pytest.approx(error, rel=0.1)
        assert drawn.mean() == pytest.approx(distance.value, abs=0.2 * error)
        assert distance.resampled(np.ones((1, 48)))[0] == pytest.approx(distance.value)
        without = distance.resampled(1 - np.eye(48))
        np.testing.assert_allclose(47 * (distance.value - without), distance.influence, rtol=1e-9, atol=1e-12)


def test_kernel_distance_is_unbiased_where_fid_is_not():
    """Two samples of one distribution: KID averages to 0 at 8 scenes as at 64; FID depends on the number of scenes."""

    def over_draws(distance, scenes):
        return np.array(
            [distance(features(scenes, 16, 2 * seed), features(scenes, 16, 2 * seed + 1)).value for seed in range(150)]
        )

    for scenes in (8, 64):
        draws = over_draws(kernel, scenes)
        assert abs(draws.mean()) < 3 * draws.std(ddof=1) / math.sqrt(len(draws))
    assert over_draws(frechet, 8).mean() > 2 * over_draws(frechet, 64).mean()


def test_equal_sets_have_no_frechet_distance_and_a_kernel_distance_below_zero():
    x = features(20, 8, seed=1)
    assert frechet(x, x).value == pytest.approx(0, abs=1e-9)
    assert np.abs(frechet(x, x).influence).max() == pytest.approx(0, abs=1e-6)
    assert kernel(x, x).value < 0  # k(x_i, x_i) is among the pairs across, as if the two sets were independent


def test_sets_that_are_no_pairs_are_refused():
    x, y = paired(4, 8, seed=1)
    for wrong in ((x[:1], y[:1]), (x, y[:3])):
        with pytest.raises(ValueError, match="paired feature sets"):
            frechet(*wrong)
