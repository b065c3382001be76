"""Pictures and maps that are none never reach a metric: a comparison refuses them, with a message."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from bench.api.errors import MetricError
from bench.api.metric import Comparison


def comparison(scenes: int = 4, height: int = 8, width: int = 16) -> Comparison:
    pictures = torch.rand(scenes, 3, height, width, generator=torch.Generator().manual_seed(0))
    maps = torch.zeros(scenes, height, width, dtype=torch.int32)
    return Comparison(pictures, pictures.clone(), maps.long(), maps, maps.float())


@pytest.mark.parametrize("which", ["generated", "original"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_picture_with_nan_or_infinity_is_named(which: str, value: float) -> None:
    pictures = comparison().generated.clone()
    pictures[2, 0, 5, 5] = value
    with pytest.raises(MetricError, match=f"{which} picture 2 .*NaN or infinity"):
        replace(comparison(), **{which: pictures})


@pytest.mark.parametrize("value", [-0.5, 255.0])
def test_values_outside_the_unit_range_are_named_with_their_range(value: float) -> None:
    pictures = comparison().generated.clone()
    pictures[1, 2, 3, 4] = value
    with pytest.raises(MetricError, match=r"picture 1 .*\[.*\], not in \[0, 1\]"):
        replace(comparison(), generated=pictures)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {"generated": c.generated[..., :-8]}, "one picture a scene, of the scene's size"),
        (lambda c: {"generated": c.generated[:1]}, "one picture a scene, of the scene's size"),
        (lambda c: {"generated": c.generated[:, :1], "original": c.original[:, :1]}, r"\(scenes, 3, height, width\)"),
        (lambda c: {"generated": c.generated.double()}, "float32"),
        (lambda c: {name: value[:0] for name, value in vars(c).items()}, "no scene"),
        (lambda c: {"labels": c.labels[:, 1:]}, r"labels of shape \(4, 7, 16\)"),
        (lambda c: {"labels": c.labels[:1]}, "labels of shape"),
        (lambda c: {"labels": c.labels.float()}, "labels must be integers"),
        (lambda c: {"instances": c.instances[:, 1:]}, "instances of shape"),
        (lambda c: {"instances": c.instances.float()}, "instances must be integers"),
        (lambda c: {"depth": c.depth[:, ::2, ::2]}, "depth of shape"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, message: str) -> None:
    good = comparison()
    with pytest.raises(MetricError, match=message):
        replace(good, **change(good))
