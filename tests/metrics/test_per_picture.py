"""A picture's result belongs to it alone, and originals are asked about once."""

from __future__ import annotations

import numpy as np
import torch

from metrics.pictures import PerPicture

CPU = torch.device("cpu")


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


def test_a_function_of_two_tensors_gets_the_same_picture_of_both():
    one, other = torch.rand(3, 3, 8, 8), torch.rand(3, 5)
    run = PerPicture(lambda pictures, values: pictures.mean(dim=(1, 2, 3)) + values.sum(dim=1), CPU)
    expected = [(a.mean() + b.sum()).item() for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(run(one, other), expected, rtol=1e-6)
