"""LPIPS: the distances published with it, and what the trunk cannot take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metrics.base import Comparison, MetricError
from metrics.lpips import SMALLEST_SIDE, WEIGHTS_FILE, Lpips

DATA = Path(__file__).parent / "data"


@pytest.fixture
def metric(context) -> Lpips:
    return Lpips(context)


def read(name: str) -> torch.Tensor:
    with Image.open(DATA / f"{name}.png") as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255


def compare(generated: torch.Tensor, original: torch.Tensor) -> Comparison:
    nothing = torch.zeros(len(generated), *generated.shape[-2:], dtype=torch.int32)
    return Comparison(generated, original, labels=nothing.long(), instances=nothing)


def test_the_published_distances_of_the_example_pairs(metric):
    """0.7219 and 0.1376: `lpips_2imgs.py -p0 imgs/ex_ref.png -p1 imgs/ex_p0.png` (and `ex_p1`) of the LPIPS project."""
    measured = metric.measure(compare(torch.cat([read("ex_p0"), read("ex_p1")]), read("ex_ref").repeat(2, 1, 1, 1)))
    np.testing.assert_allclose(measured["distance"], [0.7219, 0.1376], atol=1e-4)


def test_scores_are_the_mean_and_the_spread_over_scenes(metric, make_comparison):
    measured = metric.measure(make_comparison(scenes=3))
    (score,) = metric.summarise(measured)
    distances = metric.per_scene(measured)["LPIPS"]
    assert score.metric == "LPIPS"
    assert score.value == pytest.approx(sum(distances) / 3)
    assert score.std == pytest.approx(np.std(distances, ddof=1))
    assert score.scenes == 3
    assert (distances > 0.01).all()


def test_equal_pictures_have_no_distance(metric, make_comparison):
    comparison = make_comparison(scenes=1)
    measured = metric.measure(replace(comparison, generated=comparison.original))
    assert measured["distance"][0] == 0
    assert metric.summarise(measured)[0].std is None


def test_a_scene_has_the_same_distance_in_any_batch(metric, make_comparison):
    comparison = make_comparison(scenes=3)
    together = metric.measure(comparison)["distance"]
    alone = [
        metric.measure(compare(g[None], o[None]))["distance"][0]
        for g, o in zip(comparison.generated, comparison.original, strict=True)
    ]
    np.testing.assert_array_equal(together, alone)


def test_the_smallest_picture_is_measured_and_smaller_ones_are_refused(metric):
    side = SMALLEST_SIDE
    measured = metric.measure(compare(torch.rand(1, 3, side, 40), torch.rand(1, 3, side, 40)))
    assert np.isfinite(measured["distance"]).all()
    with pytest.raises(MetricError, match=f"{side} pixels a side or more, not 40x{side - 1}"):
        metric.measure(compare(torch.rand(1, 3, 40, side - 1), torch.rand(1, 3, 40, side - 1)))


def test_building_it_neither_draws_from_nor_seeds_the_global_generator(context):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Lpips(context)
    torch.testing.assert_close(torch.rand(3), expected)


def test_a_broken_weights_file_is_named(in_folder, tmp_path):
    (tmp_path / WEIGHTS_FILE).write_bytes(b"not safetensors at all")
    with pytest.raises(MetricError, match=WEIGHTS_FILE):
        Lpips(in_folder(tmp_path))


def test_no_scene_has_no_value(metric):
    with pytest.raises(MetricError, match="no scenes"):
        metric.summarise({"distance": np.zeros(0)})
