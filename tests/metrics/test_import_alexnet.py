"""The converter reads arrays and nothing else from a pickle, and turns kernels the right way round."""

from __future__ import annotations

import os
import pickle
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from bench.api.weights import METRIC_WEIGHTS
from metrics import import_alexnet
from metrics.lpips import WEIGHTS_FILE


def checkpoint() -> dict:
    rng = np.random.default_rng(0)
    sizes = [(11, 3, 64), (5, 64, 192), (3, 192, 384), (3, 384, 256), (3, 256, 256)]
    layers = {
        f"Conv_{number}": {
            "kernel": rng.standard_normal((side, side, inputs, outputs), np.float32),
            "bias": rng.standard_normal(outputs, np.float32),
        }
        for number, (side, inputs, outputs) in enumerate(sizes)
    }
    return {"AlexNet_0": layers, "NetLinLayer_0": {"Conv_0": {"kernel": np.zeros((1, 1, 64, 1), np.float32)}}}


class Malicious:
    def __reduce__(self):
        return os.getcwd, ()


def test_a_pickle_that_asks_for_a_function_is_refused():
    with pytest.raises(pickle.UnpicklingError, match="getcwd"):
        import_alexnet.read_numpy_pickle(pickle.dumps({"AlexNet_0": Malicious()}))


def test_kernels_become_those_of_the_same_convolution():
    layer = checkpoint()["AlexNet_0"]["Conv_1"]
    tensors = import_alexnet.trunk_tensors(checkpoint())
    picture = torch.rand(1, 64, 5, 5)
    result = torch.nn.functional.conv2d(picture, torch.from_numpy(tensors["conv2.weight"]))[0, :, 0, 0]
    # the convolution at its only position, from the (H, W, I, O) kernel itself
    expected = np.einsum("ihw,hwio->o", picture[0].numpy(), layer["kernel"])
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-3, atol=1e-3)


def test_the_command_writes_the_trunk_and_the_digest_of_its_source(tmp_path, monkeypatch):
    source, out = tmp_path / "alexnet.ckpt", tmp_path / "out.safetensors"
    # protocol 3 under NumPy 1's module name, as in the published file
    source.write_bytes(
        pickle.dumps(checkpoint(), protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    )
    monkeypatch.setattr(sys, "argv", ["import_alexnet", str(source), "--out", str(out)])
    import_alexnet.main()
    assert {path.name for path in tmp_path.iterdir()} == {"alexnet.ckpt", "out.safetensors"}
    np.testing.assert_array_equal(load_file(out)["conv5.bias"], checkpoint()["AlexNet_0"]["Conv_4"]["bias"])
    with safe_open(out, "np") as file:
        assert len(file.metadata()["source_sha256"]) == 64


def test_the_shipped_file_says_where_it_comes_from():
    with safe_open(METRIC_WEIGHTS / WEIGHTS_FILE, "np") as file:
        assert file.metadata()["source_sha256"] == "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"
