"""The golden arrays of the published SDM and GESCO code (`data/diffusion_small.npz`), and the network that made them.

Of the official network at width 64 with the filled weights. Inputs that were drawn are kept as their seeds
(`golden_helper.draws`), one-hot maps as labels and edges, network outputs as every seventh row and third column.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from methods.common.diffusion.profile import UNetConfig
from methods.common.diffusion.unet import SemanticUNet
from tests.methods.golden_helper import draws, noisy_maps
from tests.methods.reference_fill import filled_state

DATA = Path(__file__).parent / "data"
NETWORKS = ("sdm", "gesco")
DATASETS = ("cityscapes", "coco")
#: Label ids a data set, and the seeds behind the random inputs: noise on the maps, state x, losses, samplers.
LABELS = {"cityscapes": 35, "coco": 183}
SEEDS = {("sdm", "cityscapes"): 600, ("sdm", "coco"): 650, ("gesco", "cityscapes"): 700, ("gesco", "coco"): 750}


@cache
def arrays() -> dict[str, np.ndarray]:
    """Every array of the fixture file by its name there."""
    with np.load(DATA / "diffusion_small.npz") as file:
        return {key: file[key] for key in file.files}


@cache
def layout(name: str) -> list[tuple[str, list[int]]]:
    """Rows (key, shape) of a GESCO checkpoint for Cityscapes, at "paper" size or "small"."""
    return [(key, shape) for key, shape in json.loads((DATA / "diffusion_layout.json").read_text())[name]]


def with_map_channels(rows: list[tuple[str, list[int]]], channels: int) -> list[tuple[str, list[int]]]:
    """The same rows for another number of conditioning channels: all manifests differ in nothing else."""
    used = [key.endswith("_norm.mlp_shared.0.weight") and ".spade_norm." not in key for key, _ in rows]
    return [
        (key, [shape[0], channels, *shape[2:]] if changes else shape)
        for (key, shape), changes in zip(rows, used, strict=True)
    ]


def thinned(array: Tensor) -> Tensor:
    """The pixels of a network output that the file keeps."""
    return array[..., ::7, ::3]


class Golden:
    """The fixtures of one network on one data set, `golden(name)` a tensor."""

    def __init__(self, network: str, dataset: str) -> None:
        self.network, self.dataset = network, dataset
        self.seed = SEEDS[network, dataset]
        self.meta: dict[str, Any] = json.loads(str(arrays()[f"{network}.{dataset}.meta"]))
        self.floor: float = self.meta["float32_vs_float64_maxabs"]

    def __call__(self, name: str) -> Tensor:
        return torch.from_numpy(arrays()[f"{self.network}.{self.dataset}.{name}"])

    def names(self, start: str, end: str) -> list[str]:
        """What stands between `start` and `end` in the names of the arrays, in the file's order."""
        start = f"{self.network}.{self.dataset}.{start}"
        return [n[len(start) : -len(end)] for n in arrays() if n.startswith(start) and n.endswith(end)]

    @property
    def labels(self) -> Tensor:
        """Label ids (2, H, W) int64, 255 (unlabelled in COCO-Stuff) as the last one."""
        raw, last = self("label_raw")[:, 0].long(), LABELS[self.dataset] - 1
        return torch.where(raw == 255, last, raw)

    @property
    def semantics_clean(self) -> Tensor:
        """Conditioning maps (2, labels + 1, H, W) as the official code made them: one-hot, then the edges."""
        one_hot = np.eye(LABELS[self.dataset], dtype=np.float32)[self.labels.numpy()].transpose(0, 3, 1, 2)
        return torch.cat([torch.from_numpy(one_hot), self("edge").float()], dim=1)

    def semantics(self, name: str) -> Tensor:
        """The maps of one case (1, labels + 1, H, W): clean, noisy, or all zero (uncond)."""
        clean = self.semantics_clean
        if name == "noisy":
            return torch.from_numpy(noisy_maps(clean.numpy(), self.seed + 3))
        return clean[:1] * float(name == "clean")

    @property
    def small_maps(self) -> Tensor:
        """The maps of the loss and sampler fixtures, (1, 36, 32, 64)."""
        return self.semantics_clean[:1, :, :32, :64]

    @property
    def x(self) -> Tensor:
        """The noisy pictures (2, 3, H, W)."""
        return self.drawn(4, 2, 3, *self("edge").shape[2:])

    def drawn(self, offset: int, *shape: int) -> Tensor:
        """The random input with the `offset`-th seed of this network and data set."""
        return torch.from_numpy(draws(self.seed + offset, *shape))


@cache
def reference_network(dataset: str) -> SemanticUNet:
    """Our network with the filled weights: each tensor is a function of its key, so SDM's and GESCO's are the same."""
    network = SemanticUNet(UNetConfig(width=64, map_channels=LABELS[dataset] + 1)).eval().requires_grad_(False)
    rows = [(k, list(v.shape), "float32") for k, v in network.state_dict().items()]
    network.load_state_dict({k: torch.from_numpy(v) for k, v in filled_state(rows).items()})
    return network
