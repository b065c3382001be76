"""DRN computes what the published networks compute, under the published names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from metrics.evaluators.segmenters.drn import MEAN, STD, VARIANTS, build_drn
from tests.methods.golden_helper import check
from tests.methods.reference_fill import checksum
from tests.metrics.drn_data import LAYOUTS, filled, golden

#: Limits on log-softmax and logits. D-105's logits reach 200, and its official float32 is off by 6e-5 itself.
LIMITS = {"drn_d_22": 1e-5, "drn_d_105": 5e-4}


def normalised(image: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) as the networks take it."""
    return torch.from_numpy(((image / np.float32(255) - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)[None])


@pytest.mark.parametrize(("name", "parameters"), [("drn_d_22", 15_895_363), ("drn_d_105", 54_302_915)])
def test_networks_have_the_published_rows(name: str, parameters: int) -> None:
    with torch.device("meta"):
        network = build_drn(name)
    rows = [[k, list(v.shape), str(v.dtype).removeprefix("torch.")] for k, v in network.state_dict().items()]
    assert rows == LAYOUTS[name]
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("name", VARIANTS)
def test_outputs_equal_the_official_ones(name: str) -> None:
    state, reference = filled(name), golden(name)
    assert checksum({k: v.numpy() for k, v in state.items()}) == pytest.approx(tuple(reference["fill_checksum"]), 1e-12)
    network = build_drn(name).eval()
    network.load_state_dict(state)
    with torch.no_grad():
        log_softmax, logits = network(normalised(reference["image_uint8"]))
    title, limit = VARIANTS[name].title, LIMITS[name]
    whole, low = map(float, reference["floor"])
    check(title, "cityscapes", "logits at stride 8", logits, reference["seg_lowres"], limit=limit, floor=low)
    strided = log_softmax[:, :, ::3, ::3]
    check(title, "cityscapes", "log-softmax", strided, reference["log_softmax_strided"], limit=limit, floor=whole)


def test_files_with_and_without_batch_counts_load() -> None:
    """The files of 2017 have no `num_batches_tracked`; any newer PyTorch writes them."""
    network, state = build_drn("drn_d_22"), filled("drn_d_22")
    counts = {k.replace("running_mean", "num_batches_tracked"): torch.tensor(7) for k in state if "running_mean" in k}
    for form in (state, {**state, **counts}):
        network.load_state_dict(form)
        assert list(network.state_dict()) == list(state)
    del state["base.0.1.running_var"]
    with pytest.raises(RuntimeError, match=r"Missing.*base\.0\.1\.running_var"):
        network.load_state_dict(state)
    with pytest.raises(RuntimeError, match=r"Unexpected.*base\.0\.1\.count"):
        network.load_state_dict({**filled("drn_d_22"), "base.0.1.count": torch.tensor(7)})


def test_a_new_network_enlarges_bilinearly_and_never_learns_to_do_otherwise() -> None:
    up = build_drn("drn_d_22").up
    logits = torch.randn(1, 19, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(logits, scale_factor=8, mode="bilinear")
    with torch.no_grad():
        torch.testing.assert_close(up(logits)[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4])
    assert not up.weight.requires_grad


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"drn_d_38.*drn_d_22, drn_d_105"):
        build_drn("drn_d_38")


@pytest.mark.slow
def test_the_large_network_runs_at_the_papers_size() -> None:
    network = build_drn("drn_d_105").eval()
    network.load_state_dict(filled("drn_d_105"))
    image = np.random.default_rng(0).integers(0, 256, (256, 512, 3), dtype=np.uint8)
    with torch.inference_mode():
        log_softmax, logits = network(normalised(image))
    assert log_softmax.shape == (1, 19, 256, 512)
    assert logits.shape == (1, 19, 32, 64)
    torch.testing.assert_close(log_softmax.exp().sum(dim=1), torch.ones(1, 256, 512))
