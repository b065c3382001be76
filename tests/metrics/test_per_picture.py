"""A picture's result belongs to it alone, and originals are asked about once."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch

from bench.api.memory import ARRAY, Kept
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


def test_a_later_run_reads_what_an_earlier_one_knew_of_originals_and_makes_anew_what_is_damaged(tmp_path):
    seen = []

    def function(pictures):
        seen.append(len(pictures))
        return pictures.amax(dim=(2, 3))

    def knows(kept, pictures):
        seen.clear()
        found = PerPicture(function, CPU, kept=kept).remembered(pictures)
        np.testing.assert_array_equal(found, pictures.amax(dim=(2, 3)))
        return len(seen)

    kept = Kept(tmp_path, "FID[x]", {"metric": "x"})
    pictures = torch.rand(4, 3, 8, 8)
    assert [knows(kept, pictures), knows(kept, pictures)] == [4, 0]
    # other pictures, another order, another shape of equal bytes, another metric
    assert knows(kept, torch.rand(4, 3, 8, 8)) == 4
    assert knows(kept, pictures.flip(0)) == 4
    assert knows(kept, pictures.reshape(4, 3, 4, 16)) == 4
    assert knows(replace(kept, identity={"metric": "y"}), pictures) == 4
    for damage in (lambda file: file.write_bytes(file.read_bytes()[:-1]), Path.unlink):
        for file in (tmp_path / "originals").rglob(ARRAY):
            damage(file)
        assert [knows(kept, pictures), knows(kept, pictures)] == [4, 0]
    assert not list((tmp_path / "tmp").iterdir())
    shutil.rmtree(tmp_path / "originals")
    assert knows(kept, pictures) == 4


def test_runs_that_leave_the_same_array_at_once_all_have_it_and_one_stays(tmp_path):
    kept, together = Kept(tmp_path, "FID[x]", {"metric": "x"}), Barrier(4)

    def make():
        together.wait()  # all have found nothing before the first one leaves its own
        return np.arange(6.0)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: kept.array("pictures", make), range(4)))
    assert all(np.array_equal(one, np.arange(6.0)) for one in found)
    assert len(list((tmp_path / "originals").rglob(ARRAY))) == 1
    assert not list((tmp_path / "tmp").iterdir())
    np.testing.assert_array_equal(kept.array("pictures", pytest.fail), np.arange(6.0))
