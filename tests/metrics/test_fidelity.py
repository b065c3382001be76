"""PSNR, SSIM and MS-SSIM: by hand, at their limits, and what is too small for them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from bench.api.errors import MetricError
from bench.api.metric import Comparison, MetricContext
from bench.api.names import metrics_asked
from bench.api.registry import METRICS
from bench.api.scores import score_info
from bench.data.cityscapes import CITYSCAPES
from metrics.fidelity import Fidelity, MultiScaleSimilarity, PeakSignalToNoise, StructuralSimilarity

KINDS = (PeakSignalToNoise, StructuralSimilarity, MultiScaleSimilarity)


def similarities(kind: type[Fidelity], comparison: Comparison) -> np.ndarray:
    return kind(MetricContext("streets", CITYSCAPES)).measure(comparison)["similarity"]


def gaussian(channel: np.ndarray) -> np.ndarray:
    """A channel (H, W) seen through SSIM's window, where the whole of it lies inside."""
    kernel = np.exp(-np.square(np.arange(-5, 6)) / 2 / 1.5**2)
    kernel /= kernel.sum()
    return correlate1d(correlate1d(channel, kernel, axis=0), kernel, axis=1)[5:-5, 5:-5]


def components(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """SSIM and its part of contrast and structure, of channels (H, W), as Wang et al. 2004 define them."""
    first, second = 0.01**2, 0.03**2
    means = gaussian(one), gaussian(other)
    variances = [gaussian(c * c) - m * m for c, m in zip((one, other), means, strict=True)]
    together = gaussian(one * other) - means[0] * means[1]
    structure = (2 * together + second) / (sum(variances) + second)
    light = (2 * means[0] * means[1] + first) / (means[0] ** 2 + means[1] ** 2 + first)
    return float((light * structure).mean()), float(structure.mean())


def channels(comparison: Comparison, scene: int) -> list[tuple[np.ndarray, np.ndarray]]:
    both = (comparison.generated[scene].double().numpy(), comparison.original[scene].double().numpy())
    return list(zip(*both, strict=True))


def test_psnr_is_that_of_the_mean_squared_error_of_each_scene(make_comparison):
    comparison = make_comparison(scenes=3)
    expected = [
        -10 * math.log10(np.mean([np.square(a - b).mean() for a, b in channels(comparison, s)])) for s in range(3)
    ]
    metric = PeakSignalToNoise(MetricContext("streets", CITYSCAPES))
    measured = metric.measure(comparison)
    np.testing.assert_allclose(metric.per_scene(measured)["PSNR[picture]"], expected, rtol=1e-9)
    (score,) = metric.summarise(measured)
    assert (score.metric, score.value) == ("PSNR[picture]", pytest.approx(np.mean(expected)))


def test_equal_pictures_have_the_psnr_of_rounding_and_similarity_one(make_comparison):
    comparison = make_comparison(scenes=1, height=176, width=192)
    equal = replace(comparison, generated=comparison.original)
    assert similarities(PeakSignalToNoise, equal)[0] == pytest.approx(10 * math.log10(12 * 255**2))
    for kind in KINDS[1:]:
        assert similarities(kind, equal)[0] == pytest.approx(1)
        assert score_info(kind.name).holds(similarities(kind, equal)[0])


def test_ssim_by_hand(make_comparison):
    comparison = make_comparison(scenes=2)
    expected = [np.mean([components(*pair)[0] for pair in channels(comparison, scene)]) for scene in range(2)]
    np.testing.assert_allclose(similarities(StructuralSimilarity, comparison), expected, atol=2e-5)


def test_ms_ssim_by_hand(make_comparison):
    comparison = make_comparison(scenes=1, height=176, width=192)
    weights, values = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), []
    for one, other in channels(comparison, 0):
        value = 1.0
        for level, weight in enumerate(weights):
            whole, structure = components(one, other)
            value *= (whole if level == 4 else structure) ** weight
            one, other = (c.reshape(len(c) // 2, 2, -1, 2).mean((1, 3)) if len(c) % 2 == 0 else c for c in (one, other))
        values.append(value)
    np.testing.assert_allclose(similarities(MultiScaleSimilarity, comparison), [np.mean(values)], atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_more_noise_is_less_alike_and_a_scene_has_its_value_in_any_batch(kind, make_comparison):
    comparison = make_comparison(scenes=2, height=176, width=176)
    noise = torch.randn(comparison.original.shape, generator=torch.Generator().manual_seed(1))
    noisy = [
        replace(comparison, generated=(comparison.original + sigma * noise).clamp(0, 1)) for sigma in (0.02, 0.1, 0.3)
    ]
    values = [similarities(kind, one) for one in noisy]
    assert (values[0] > values[1]).all()
    assert (values[1] > values[2]).all()
    alone = Comparison(noisy[1].generated[1:], noisy[1].original[1:], noisy[1].labels[1:], noisy[1].instances[1:])
    assert similarities(kind, alone)[0] == values[1][1]


@pytest.mark.parametrize(("kind", "side"), [(StructuralSimilarity, 11), (MultiScaleSimilarity, 161)])
def test_the_smallest_picture_is_measured_and_smaller_ones_are_refused(kind, side, make_comparison):
    def square(pixels: int) -> Comparison:
        whole = make_comparison(scenes=1, height=176, width=176)
        cut = [t[..., :pixels, :pixels] for t in (whole.generated, whole.original, whole.labels, whole.instances)]
        return Comparison(*cut)

    assert np.isfinite(similarities(kind, square(side))).all()
    with pytest.raises(MetricError, match=f"{kind.name} needs pictures of {side} pixels a side or more, not"):
        similarities(kind, square(side - 1))


def test_a_size_that_is_known_beforehand_is_refused_before_anything_is_drawn():
    context = MetricContext("streets", CITYSCAPES, size=(64, 128))
    with pytest.raises(MetricError, match="MS-SSIM needs pictures of 161 pixels a side or more, not 64x128"):
        MultiScaleSimilarity(context)
    assert StructuralSimilarity(context).measure


def test_they_are_measured_where_they_are_named_and_not_as_part_of_all():
    names = METRICS.names()
    assert not {"PSNR[picture]", "SSIM", "MS-SSIM", "DISTS"} & set(metrics_asked(["all"], names))
    assert {"LPIPS", "mIoU"} <= set(metrics_asked(["all"], names))
    assert list(metrics_asked(["psnr", "ssim", "ms-ssim", "dists"], names)) == [
        "PSNR[picture]", "SSIM", "MS-SSIM", "DISTS",
    ]  # fmt: skip
