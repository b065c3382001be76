"""The VGG features are converted faithfully and from harmless files only."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from methods.common.gan import import_vgg
from methods.common.gan.vgg import VggFeatures

WIDTHS = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256)]


def convert(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["import_vgg", str(source), "--out", str(out)])
    import_vgg.main()


def test_kernels_are_turned_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    layers = {
        f"Conv_{i}": {
            "kernel": random.standard_normal((3, 3, a, b), dtype=np.float32) * 0.1,
            "bias": random.standard_normal(b, dtype=np.float32),
        }
        for i, (a, b) in enumerate(WIDTHS)
    }
    source, out = tmp_path / "vgg16.ckpt", tmp_path / "features.safetensors"
    # NumPy 1 wrote the name below, NumPy 2 writes numpy._core; the published file is of the first kind
    data = pickle.dumps({"VGG16_0": layers}, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    source.write_bytes(data)
    convert(source, out, monkeypatch)
    features = VggFeatures(out)
    kernel = torch.from_numpy(layers["Conv_3"]["kernel"]).permute(3, 2, 0, 1)
    assert torch.allclose(features.convs["conv4"].weight, kernel, atol=1e-3)
    assert [f.shape[1] for f in features(torch.zeros(1, 3, 8, 8))] == [64, 128, 256]


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def test_a_pickle_that_asks_for_more_than_arrays_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "vgg16.ckpt", tmp_path / "features.safetensors"
    source.write_bytes(pickle.dumps(Harmful(), protocol=2))
    with pytest.raises(pickle.UnpicklingError, match="which no array needs"):
        convert(source, out, monkeypatch)
    assert not out.exists()
    assert not Path("made-by-a-pickle").exists()
