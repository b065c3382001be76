"""FID[inception]: the network equals pytorch-fid's own on the same weights, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api.errors import MetricError
from bench.api.files import file_digest
from bench.api.metric import MetricContext
from bench.data.cityscapes import CITYSCAPES
from metrics import fid
from metrics.evaluators.published import INCEPTION
from metrics.fid import FrechetInception, SmallSampleWarning, load_inception
from tests.metrics.tiny_transformers import write_inception


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A file in the published layout, with random weights and statistics."""
    path = tmp_path_factory.mktemp("weights") / INCEPTION.file
    write_inception(path)
    return path


@pytest.fixture
def context(weights, monkeypatch) -> MetricContext:
    """Where the random file passes for the published one."""
    monkeypatch.setattr(fid, "INCEPTION", replace(INCEPTION, sha256=file_digest(weights)))
    return MetricContext("camvid", CITYSCAPES, weights_dir=weights.parent)


def test_features_equal_those_of_pytorch_fid(weights, context, monkeypatch):
    from pytorch_fid import inception

    state = torch.load(weights, weights_only=True)
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda url, progress: state)
    pictures = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = inception.InceptionV3().eval()(pictures)[0][:, :, 0, 0]
        features = FrechetInception(context)._extract(pictures)
    assert features.shape == (2, 2048)
    assert expected.std() > 1e-3
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)


def test_the_metric_gives_both_distances_under_the_networks_name(context, make_comparison):
    metric = FrechetInception(context)
    measured = metric.measure(make_comparison(scenes=2))
    assert measured["generated"].shape == measured["original"].shape == (2, 2048)
    with pytest.warns(SmallSampleWarning, match=r"FID\[inception\] of 2 scenes, fewer than its 2048 features"):
        scores = metric.summarise(measured)
    assert [score.metric for score in scores] == ["FID[inception]", "KID[inception]"]
    assert np.isfinite(scores[0].value)
    assert metric.weights_digest() == file_digest(context.weights_dir / INCEPTION.file)


def test_without_the_file_the_message_says_which_from_where_and_put_where(user_weights):
    with pytest.raises(MetricError) as caught:
        FrechetInception(MetricContext("streets", CITYSCAPES))
    for part in (INCEPTION.file, INCEPTION.url, str(user_weights)):
        assert part in str(caught.value)


def test_another_file_of_that_name_is_refused(tmp_path):
    (tmp_path / INCEPTION.file).write_bytes(b"cut short")
    with pytest.raises(MetricError, match="is not the published file"):
        FrechetInception(MetricContext("streets", CITYSCAPES, weights_dir=tmp_path))


def test_a_file_that_does_not_fit_is_refused(weights, tmp_path):
    state = torch.load(weights, weights_only=True)
    path = tmp_path / "other.pth"
    torch.save({key: value for key, value in state.items() if key != "fc.bias"}, path)
    with pytest.raises(MetricError, match=r"does not hold pytorch-fid's Inception network .*fc\.bias"):
        load_inception(path)
    torch.save({**state, "fc.bias": state["fc.bias"] * float("inf")}, path)
    with pytest.raises(MetricError, match=r"'fc\.bias' has NaN or infinity"):
        load_inception(path)
    torch.save([1, 2], path)
    with pytest.raises(MetricError, match="no mapping from names to tensors"):
        load_inception(path)
