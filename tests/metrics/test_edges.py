"""Every registered metric on what no metric can measure: a clear error or a documented value, never a wrong number.

Metrics of other packages are asked too; one whose weights are missing on this machine is skipped.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from bench.api.errors import MetricError
from bench.api.metric import Comparison, Metric, MetricContext
from bench.api.registry import METRICS
from bench.api.scenes import stack
from bench.data.registry import open_dataset

KEPT: dict[str, Metric | str] = {}


@pytest.fixture(scope="module")
def streets() -> Comparison:
    """Two streets, and copies of them with noise in the place of generated pictures."""
    source = open_dataset("streets", None, None, None, "spade")
    ids = source.ids("test", 2)
    scene = stack([source.load("test", one) for one in ids], source.label_space)
    noise = torch.randn(scene.image.shape, generator=torch.Generator().manual_seed(0))
    generated = ((scene.image + 0.1 * noise).clamp(0, 1) * 255).round() / 255
    return Comparison(generated, scene.image, scene.labels, scene.instances, scene.depth)


@pytest.fixture(params=METRICS.names())
def metric(request) -> Iterator[Metric]:
    name = request.param
    if name not in KEPT:
        space = open_dataset("streets", None, None, None, "spade").label_space
        context = MetricContext("streets", space)
        try:
            KEPT[name] = METRICS.build(name, context)
        except MetricError as error:
            KEPT[name] = str(error)
    found = KEPT[name]
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture
def scenes(metric, streets) -> Comparison:
    """The streets, in larger pixels for a metric that needs larger pictures."""
    times = -(-getattr(metric, "smallest_side", 1) // min(streets.generated.shape[-2:]))
    parts = (streets.generated, streets.original, streets.labels, streets.instances)
    if times == 1:
        return streets
    return Comparison(*(t.repeat_interleave(times, -1).repeat_interleave(times, -2) for t in parts))


def test_no_scene_is_an_error(metric, scenes):
    measured = metric.measure(scenes)
    with pytest.raises(MetricError, match="no scenes"):
        metric.summarise({name: array[:0] for name, array in measured.items()})


def test_a_single_scene_has_a_value_or_none_and_no_spread(metric, scenes):
    measured = {name: array[:1] for name, array in metric.measure(scenes).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = metric.summarise(measured)
    assert scores
    for score in scores:
        assert score.scenes == 1
        assert score.std is None, f"{score.metric} of one scene has a spread"
        assert math.isnan(score.value) or math.isfinite(score.value)
        if math.isnan(score.value):
            assert score.metric.startswith(("FID", "KID", "objects")), f"{score.metric} of one scene is undefined"


def test_arrays_scores_and_resamples_fit_each_other(metric, scenes):
    measured = metric.measure(scenes)
    assert all(len(array) == 2 for array in measured.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {score.metric for score in metric.summarise(measured)}
    assert all(values.shape == (2,) for values in metric.per_scene(measured).values())
    found = type(metric).resampled(measured, np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
    assert set(found) <= names
    assert all(values.shape == (3,) for values in found.values())
