"""The embedded evaluators with weights of the user's own: where they are named, and only there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.api.errors import MetricError
from bench.api.metric import Metric, MetricContext
from bench.api.weights import METRIC_WEIGHTS
from bench.data.cityscapes import CITYSCAPES
from metrics.depth import Depth
from metrics.miou import MeanIoU
from metrics.objects import Objects

CONTEXT = MetricContext("streets", CITYSCAPES)
FILES = {MeanIoU: "streets_judge", Objects: "streets_detector", Depth: "streets_depth"}


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "user"
    monkeypatch.setenv("GESCO_BENCH_WEIGHTS", str(folder))
    (folder / "mine").mkdir(parents=True)
    return folder


@pytest.mark.parametrize("kind", FILES)
def test_a_trained_evaluator_among_the_users_weights_is_not_asked_unnamed(kind: type[Metric], user: Path) -> None:
    shipped = kind(CONTEXT).identity()
    (user / f"{FILES[kind]}.safetensors").write_bytes(b"a training that would even be refused")
    assert kind(CONTEXT).identity() == shipped


@pytest.mark.parametrize("kind", FILES)
def test_a_named_evaluator_is_asked_and_its_protocol_says_so(kind: type[Metric], user: Path) -> None:
    shutil.copy(METRIC_WEIGHTS / f"{FILES[kind]}.safetensors", user / "mine")
    for named in ("own:mine", f"own:{user / 'mine'}"):
        metric = kind(MetricContext("streets", CITYSCAPES, evaluator=named))
        assert "streets-v1(weights mine)@64x128" in metric.protocol or "(weights mine)@64x128" in metric.protocol
    with pytest.raises(MetricError, match=f"there are no weights 'yours'; looked for .*{FILES[kind]}"):
        kind(MetricContext("streets", CITYSCAPES, evaluator="own:yours"))
