"""What the embedded evaluators (judge, detector, depth network) share: their U-Net, and reading their weights.

The U-Net works on 2x2 blocks of pixels: the picture enters as 12 channels at half resolution and a head makes of every
block what it has to say of its four pixels, so thin poles and signs keep their own pixels while no convolution runs at
full resolution.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench.api.files import file_digest
from bench.api.metric import MetricError
from bench.api.weights import find_file, find_named

#: What the name of a judge begins with whose weights are the user's own training.
OWN = "own:"
BLOCK = 2  # side of the pixel block that is one position of the network


@dataclass(frozen=True)
class EvaluatorSpec:
    """What one embedded evaluator is: its data set and version, the (height, width) of the pictures that it is trained
    on and works at, and the channels of its levels. `kind` is its name for `bench train`, `title` that for people,
    `metric` what asks it."""

    kind: ClassVar[str]
    title: ClassVar[str]
    metric: ClassVar[str]

    dataset: str
    version: str
    size: tuple[int, int]
    widths: tuple[int, ...]

    @property
    def weights_file(self) -> str:
        return f"{self.dataset}_{self.kind}.safetensors"

    @property
    def command(self) -> str:
        """What trains it again."""
        return f"bench train {self.kind} --dataset {self.dataset}"

    def find(self, weights_dir: Path | None) -> Path:
        """Its weights from `weights_dir` if it holds them, else the package's, else the user's; else MetricError."""
        return find_file(self.weights_file, weights_dir, f"Train it with: {self.command}")


def to_blocks(pixels: Tensor) -> Tensor:
    """(B, H, W) or (B, C, H, W) -> (B, H/2, W/2, 4) or (B, H/2, W/2, 4 * C): one row per 2x2 block of pixels."""
    batch, *_, height, width = pixels.shape
    blocks = pixels.reshape(batch, -1, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return blocks.permute(0, 2, 4, 3, 5, 1).reshape(batch, height // BLOCK, width // BLOCK, -1)


def from_blocks(blocks: Tensor) -> Tensor:
    """(B, H/2, W/2, 4, C) -> (B, C, H, W): the inverse of `to_blocks` for per-pixel values."""
    batch, height, width, _, channels = blocks.shape
    pixels = blocks.reshape(batch, height, width, BLOCK, BLOCK, channels).permute(0, 5, 1, 3, 2, 4)
    return pixels.reshape(batch, channels, height * BLOCK, width * BLOCK)


class ConvNorm(nn.Module):
    """A convolution with batch normalisation; `fuse()` folds the normalisation into the convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))

    def fuse(self) -> None:
        """Fold the normalisation's running statistics into the convolution (evaluation only, irreversible)."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())
            self.norm = nn.Identity()


class Down(nn.Module):
    """Halve the resolution, then one residual block."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce = ConvNorm(inputs, outputs, stride=2)
        self.first = ConvNorm(outputs, outputs)
        self.second = ConvNorm(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.reduce(x))
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class BlockUNet(nn.Module):
    """The U-Net that all embedded evaluators are made of; each adds a head of its own.

    `features`: pictures (B, 3, H, W) in [0, 1], H and W multiples of 16 -> (B, widths[0], H/2, W/2), one position a
    block. A network that is told more of each pixel has more than 3 `channels`.
    """

    def __init__(self, widths: tuple[int, ...], channels: int = 3) -> None:
        super().__init__()
        self.stem = ConvNorm(channels * BLOCK**2, widths[0])
        self.down = nn.ModuleList(Down(a, b) for a, b in pairwise(widths))
        self.middle = ConvNorm(widths[-1], widths[-1])
        self.up = nn.ModuleList(ConvNorm(a + b, a) for a, b in pairwise(widths))

    def features(self, images: Tensor) -> Tensor:
        # A permuted view of contiguous blocks is a channels-last tensor: the fast layout on CPU and GPU.
        x = torch.relu(self.stem(to_blocks(images * 2 - 1).permute(0, 3, 1, 2)))
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        x = torch.relu(self.middle(x))
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = torch.relu(up(torch.cat([skip, x], dim=1)))
        return x

    def fuse(self) -> Self:
        """Fold all normalisations, in place; the result is an evaluation network with the shipped file's keys."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fuse()
        return self.eval()


S = TypeVar("S", bound=EvaluatorSpec)
N = TypeVar("N", bound=BlockUNet)


def load_network(network: N, spec: EvaluatorSpec, weights: Path, device: torch.device) -> N:
    """Fill a network from a file that `metrics.evaluators.training.export` wrote for the same kind and version; it is
    ready for evaluation. MetricError, with what to do, for a file that is damaged, holds something else, or has
    weights that are no numbers.
    """
    try:
        with safe_open(weights, framework="pt") as file:
            card = json.loads((file.metadata() or {}).get(spec.kind, "{}"))
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        if card.get("model") != spec.version:
            raise ValueError(f"it says that it is {card.get('model', 'something else')}")
        if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
            raise ValueError("some weights are no numbers")
        network.fuse().load_state_dict(tensors)
    except (SafetensorError, RuntimeError, OSError, ValueError, AttributeError, RecursionError) as error:
        raise MetricError(
            f"{weights} does not hold the {spec.dataset} {spec.title}, {spec.version} ({str(error).splitlines()[0]}); "
            f"reinstall the package, or train it again: {spec.command}"
        ) from error
    return network.to(device).to(memory_format=torch.channels_last)


class EmbeddedEvaluator(Generic[S, N]):
    """A trained evaluator: a network with the weights of its file, at the size that it knows."""

    gpu_batch = 64
    #: the evaluators of this kind by data set, and what builds the network of one
    specs: ClassVar[Mapping[str, Any]]
    network: ClassVar[type[Any]]
    own: str | None = None

    def __init__(self, spec: S, weights: Path, device: torch.device) -> None:
        """Load a file that `metrics.evaluators.training.export` wrote; MetricError if it is not one of this kind."""
        self.spec = spec
        self.device = device
        self.sha256 = file_digest(weights)
        self._network: N = load_network(self.network(spec), spec, weights, device)
        if file_digest(weights) != self.sha256:
            raise MetricError(f"{weights} was replaced while it was read; start again")

    @property
    def protocol(self) -> str:
        """Its version, the name of its weights where they are the user's own, and the size that it sees pictures at."""
        own = f"(weights {self.own})" if self.own else ""
        return "{}{}@{}x{}".format(self.spec.version, own, *self.spec.size)

    @classmethod
    def load(cls, dataset: str, weights_dir: Path | None, device: torch.device) -> Self:
        """A data set's evaluator from `weights_dir` if it holds one, else the package's."""
        spec = cls.specs[dataset]
        return cls(spec, spec.find(weights_dir), device)

    @classmethod
    def load_own(cls, named: str, dataset: str, weights_dir: Path | None, device: torch.device) -> Self:
        """The user's own training of a data set's evaluator, named by its folder: `own:NAME`, among the user's weights,
        or `own:PATH`. MetricError where there is none."""
        spec = cls.specs.get(dataset)
        if spec is None:
            raise MetricError(f"no network of this kind is trained for it; there are some for {', '.join(cls.specs)}")
        path = find_named(named.removeprefix(OWN), weights_dir, spec.weights_file)
        evaluator = cls(spec, path, device)
        evaluator.own = path.parent.name
        return evaluator

    def _at_own_size(self, images: Tensor) -> Tensor:
        """Pictures on its device, those of another size brought to its own with an antialiased bilinear filter."""
        images = images.to(self.device)
        if tuple(images.shape[-2:]) == self.spec.size:
            return images
        return nn.functional.interpolate(images, self.spec.size, mode="bilinear", antialias=True)
