"""The sender's maps, the published training noise and the receiver's FDS block equal GESCO's published code."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from methods.common.semantic.maps import fast_denoise, instance_edges, keep_channels, one_hot, present_labels
from methods.gesco.task import with_broadcast_noise
from tests.methods.diffusion_golden import DATASETS, LABELS, NETWORKS, Golden, arrays, thinned
from tests.methods.golden_helper import check, draws


def stored(name: str) -> Tensor:
    return torch.from_numpy(arrays()[f"channel.{name}"])


@pytest.fixture(scope="module")
def meta() -> dict[str, Any]:
    return json.loads(str(arrays()["channel.meta"]))


@pytest.fixture(scope="module")
def maps() -> Tensor:
    """One-hot maps and edges (1, 36, 32, 64) from the fixture's labels and 8-bit instance picture."""
    pictures = stored("instance_8bit")[:, 0].long()
    return torch.cat([one_hot(stored("label")[:, 0].long(), 35), instance_edges(pictures, pictures)], dim=1)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("network", NETWORKS)
def test_maps_and_edges_of_8_bit_instance_pictures(network: str, dataset: str) -> None:
    golden = Golden(network, dataset)
    pictures = golden("instance_8bit")[:, 0].long()
    ours = torch.cat([one_hot(golden.labels, LABELS[dataset]), instance_edges(pictures, pictures)], dim=1)
    check("GESCO's sender", f"{network} {dataset}", "maps and edges", ours, golden.semantics_clean, limit=0)


@pytest.mark.parametrize("snr", [1, 5, 10, 15, 20, 25, 30, 100])
def test_fds_receiver(maps: Tensor, meta: dict[str, Any], snr: int) -> None:
    kept = (*present_labels(stored("label")[0, 0].long(), 35), 35)
    assert list(kept[:-1]) == meta["present_classes"]
    received = keep_channels(maps[0], kept) + meta["snr_to_std"][str(snr)] * torch.from_numpy(draws(793, 6, 32, 64))
    ours = fast_denoise(received)[None, :, ::3, ::3]
    check("GESCO's receiver", f"SNR {snr}", "FDS", ours, stored(f"fds.snr{snr}"), limit=0)


def test_published_training_noise(maps: Tensor) -> None:
    """One noise map for all channels of a scene, the absent classes and the edges included."""
    ours = with_broadcast_noise(maps, torch.tensor([0.36]), torch.from_numpy(draws(795, 1, 1, 32, 64)))
    check("GESCO's published training", "std 0.36", "maps", thinned(ours), stored("train.y_std0.36"), limit=0)


def test_legacy_receiver_is_pooling_of_the_rescaled_maps(maps: Tensor, meta: dict[str, Any]) -> None:
    """`preprocess_input`, which the published scripts never call, so no option of ours: noise on every channel, the
    whole tensor rescaled to [0, 1], then nothing or a 3x3 mean; its "med" is nothing too, for want of an `else`."""
    received = maps + meta["snr_to_std"]["10"] * torch.from_numpy(draws(794, 1, 36, 32, 64))
    rescaled = (received - received.min()) / (received.max() - received.min())
    pooled = {"None": rescaled, "med": rescaled, "mean": F.avg_pool2d(rescaled, 3, stride=1, padding=1)}
    for name, ours in pooled.items():
        theirs = stored(f"legacy.snr10.pool_{name}")
        check("GESCO's legacy receiver", "SNR 10", f"pool {name}", thinned(ours), theirs, limit=0)
    assert meta["legacy_med_equals_none"]


def test_legacy_median_is_that_of_reflected_neighbourhoods() -> None:
    first = torch.from_numpy(draws(794, 1, 36, 32, 64))[:, :3]
    windows = F.pad(first, (1, 1, 1, 1), mode="reflect").unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2)
    theirs = stored("median3x3_reflect")
    median = thinned(windows.median(dim=-1).values)
    check("GESCO's legacy receiver", "unit noise", "3x3 median", median, theirs, limit=0)
