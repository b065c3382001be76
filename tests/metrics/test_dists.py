"""DISTS: by the paper's formula on the same features, and what it says where a file is missing or wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import DISTS_pytorch
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.api.errors import MetricError
from bench.api.files import file_digest
from bench.api.metric import Comparison, MetricContext
from bench.data.cityscapes import CITYSCAPES
from metrics import dists as module
from metrics.dists import Dists
from metrics.evaluators.published import VGG16
from tests.metrics.vgg_state import VGG_STAGES, vgg_state


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    """A folder where a random file passes for torchvision's."""
    made = tmp_path_factory.mktemp("vgg")
    torch.save(vgg_state(), made / VGG16.file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "VGG16", replace(VGG16, sha256=file_digest(made / VGG16.file)))
        yield made


def compare(generated: torch.Tensor, original: torch.Tensor) -> Comparison:
    nothing = torch.zeros(len(generated), *generated.shape[-2:], dtype=torch.int32)
    return Comparison(generated, original, labels=nothing.long(), instances=nothing)


def features(picture: torch.Tensor) -> list[torch.Tensor]:
    """The picture (3, H, W) and VGG16's five stages of it, with DISTS's Hanning pooling, (channels, pixels)."""
    weights = vgg_state()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    seen, found, index = ((picture - mean[:, None, None]) / std[:, None, None])[None], [picture.flatten(1)], 0
    window = torch.hann_window(5, periodic=False)[1:-1]
    window = torch.outer(window, window) / window.sum() ** 2
    for number, stage in enumerate(VGG_STAGES):
        if number:
            width = seen.shape[1]
            kernel = window.expand(width, 1, 3, 3)
            seen = (F.conv2d(seen**2, kernel, stride=2, padding=1, groups=width) + 1e-12).sqrt()
            index += 1
        for _ in stage:
            seen = F.conv2d(seen, weights[f"features.{index}.weight"], weights[f"features.{index}.bias"], padding=1)
            seen, index = seen.relu(), index + 2
        found.append(seen[0].flatten(1))
    return found


def test_the_distance_is_the_papers_on_the_same_features(folder):
    published = torch.load(Path(DISTS_pytorch.__file__).parent / "weights.pt", "cpu", weights_only=True)
    alpha, beta = (published[name].flatten().double() for name in ("alpha", "beta"))
    one, other = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    textures, structures = [], []
    for x, y in zip(features(one), features(other), strict=True):
        x, y = x.double(), y.double()
        means = x.mean(1), y.mean(1)
        textures.append((2 * means[0] * means[1] + 1e-6) / (means[0] ** 2 + means[1] ** 2 + 1e-6))
        together = (x * y).mean(1) - means[0] * means[1]
        spreads = x.var(1, correction=0) + y.var(1, correction=0)
        structures.append((2 * together + 1e-6) / (spreads + 1e-6))
    total = (alpha * torch.cat(textures)).sum() + (beta * torch.cat(structures)).sum()
    expected = 1 - total / (alpha.sum() + beta.sum())
    metric = Dists(MetricContext("streets", CITYSCAPES, weights_dir=folder))
    measured = metric.measure(compare(one[None], other[None]))
    np.testing.assert_allclose(measured["distance"], [float(expected)], rtol=1e-4)
    assert metric.summarise(measured)[0].value == measured["distance"][0] > 1e-3


def test_equal_pictures_have_no_distance_and_a_scene_has_its_own_in_any_batch(folder):
    metric = Dists(MetricContext("streets", CITYSCAPES, weights_dir=folder))
    one, other = torch.rand(2, 3, 32, 48), torch.rand(2, 3, 32, 48)
    assert metric.measure(compare(one, one))["distance"] == pytest.approx(0, abs=1e-6)
    together = metric.measure(compare(one, other))["distance"]
    assert metric.measure(compare(one[1:], other[1:]))["distance"][0] == together[1]


def test_what_is_too_small_or_missing_is_named(folder, context, user_weights):
    metric = Dists(MetricContext("streets", CITYSCAPES, weights_dir=folder))
    with pytest.raises(MetricError, match="16 pixels a side or more, not 15x40"):
        metric.measure(compare(torch.rand(1, 3, 15, 40), torch.rand(1, 3, 15, 40)))
    with pytest.raises(MetricError, match=r"vgg16-397923af\.pth"):
        Dists(context)


def test_a_file_that_lacks_a_convolution_is_refused(tmp_path, monkeypatch, in_folder):
    broken = vgg_state()
    del broken["features.28.weight"]
    torch.save(broken, tmp_path / VGG16.file)
    monkeypatch.setattr(module, "VGG16", replace(VGG16, sha256=file_digest(tmp_path / VGG16.file)))
    with pytest.raises(MetricError, match=r"lacks features\.28\.weight"):
        Dists(in_folder(tmp_path)).prepare()
