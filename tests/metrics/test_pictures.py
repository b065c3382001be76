"""Bad pictures are refused with a message, and a picture's result belongs to it alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.api.metric import MetricError
from metrics.pictures import PerPicture, check_labels, check_pictures

CPU = torch.device("cpu")


def test_good_pictures_pass(make_comparison):
    comparison = make_comparison()
    check_pictures(comparison)
    check_labels(comparison)


@pytest.mark.parametrize("which", ["generated", "original"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_picture_with_nan_or_infinity_is_named(make_comparison, which, value):
    comparison = make_comparison()
    getattr(comparison, which)[2, 0, 5, 5] = value
    with pytest.raises(MetricError, match=f"{which} picture 2 .*NaN or infinity"):
        check_pictures(comparison)


def test_values_outside_the_unit_range_are_named_with_their_range(make_comparison):
    comparison = make_comparison()
    comparison.generated[1] = comparison.generated[1] * 255
    with pytest.raises(MetricError, match=r"picture 1 .*\[.*\], not in \[0, 1\]"):
        check_pictures(comparison)


def test_pictures_of_another_size_than_the_originals_are_refused(make_comparison):
    comparison = make_comparison()
    with pytest.raises(MetricError, match="of the scene's size"):
        check_pictures(replace(comparison, generated=comparison.generated[..., :64]))


def test_an_empty_batch_is_refused(make_comparison):
    comparison = make_comparison()
    with pytest.raises(MetricError, match="empty"):
        check_pictures(replace(comparison, generated=comparison.generated[:0], original=comparison.original[:0]))


@pytest.mark.parametrize(
    "bad", [torch.zeros(4, 64, 64).long(), torch.zeros(3, 64, 128).long(), torch.zeros(4, 64, 128)]
)
def test_labels_that_do_not_fit_the_pictures_are_refused(make_comparison, bad):
    with pytest.raises(MetricError, match="labels"):
        check_labels(replace(make_comparison(), labels=bad))


def test_on_the_cpu_the_function_sees_one_picture_at_a_time():
    sizes = []

    def function(pictures):
        sizes.append(len(pictures))
        return pictures.mean(dim=(1, 2, 3))

    pictures = torch.rand(5, 3, 8, 8)
    np.testing.assert_allclose(PerPicture(function, CPU)(pictures), pictures.mean(dim=(1, 2, 3)))
    assert sizes == [1] * 5


def test_remembered_pictures_are_computed_once_and_results_keep_their_order():
    seen = []

    def function(pictures):
        seen.append(len(pictures))
        return pictures.amax(dim=(2, 3))

    run = PerPicture(function, CPU)
    pictures = torch.rand(6, 3, 8, 8)
    first = run.remembered(pictures[:4])
    order = [5, 0, 3, 3, 4, 1]
    again = run.remembered(pictures[order])
    np.testing.assert_array_equal(first, pictures[:4].amax(dim=(2, 3)))
    np.testing.assert_array_equal(again, pictures[order].amax(dim=(2, 3)))
    assert len(seen) == 6


def test_memory_is_bounded_and_what_was_forgotten_is_computed_anew():
    calls = []

    def function(pictures):
        calls.append(1)
        return pictures.flatten(1)

    pictures = torch.rand(4, 3, 8, 8)
    run = PerPicture(function, CPU, memory_bytes=2 * pictures[0].numel() * 4)
    run.remembered(pictures)
    result = run.remembered(pictures)
    np.testing.assert_array_equal(result, pictures.flatten(1))
    assert len(calls) == 4 + 2
