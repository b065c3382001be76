"""What the metric tests share: a context, and pictures to compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.api.metric import Comparison, MetricContext
from bench.data.cityscapes import CITYSCAPES


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def user_weights(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the user's own weights."""
    folder = tmp_path_factory.mktemp("user-weights")
    monkeypatch.setenv("GESCO_BENCH_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def context() -> MetricContext:
    names = tuple(f"label {i}" for i in range(35))
    return MetricContext("streets", replace(CITYSCAPES, names=names))


@pytest.fixture
def in_folder(context: MetricContext) -> Callable[[Path], MetricContext]:
    return lambda folder: replace(context, weights_dir=folder)


@pytest.fixture
def make_comparison() -> Callable[..., Comparison]:
    def make(scenes: int = 4, height: int = 64, width: int = 128, seed: int = 0) -> Comparison:
        generator = torch.Generator().manual_seed(seed)
        original = torch.rand(scenes, 3, height // 8, width // 8, generator=generator)
        original = original.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
        noise = 0.1 * torch.randn(original.shape, generator=generator)
        labels = torch.randint(0, 35, (scenes, height // 8, width // 8), generator=generator)
        return Comparison(
            generated=(original + noise).clamp(0, 1),
            original=original,
            labels=labels.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2),
            instances=torch.zeros(scenes, height, width, dtype=torch.int32),
        )

    return make
