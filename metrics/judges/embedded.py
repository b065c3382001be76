"""The embedded judges: small segmentation networks for the scenes that the project renders.

A U-Net that works on 2x2 blocks of pixels: the picture enters as 12 channels at half resolution and every block
leaves with 4 logits a class, so thin poles and signs keep their own pixels while no convolution runs at full
resolution (about 4 ms a picture of 64x128 on one CPU core).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from metrics.base import MetricError
from metrics.judges.classes import EVALUATED_IDS, STUFF_IDS
from metrics.weights import find_weights, sha256_of

_BLOCK = 2  # side of the pixel block that is one position of the network


@dataclass(frozen=True)
class JudgeSpec:
    """What one embedded judge is: its data set and version, the (height, width) of the pictures that it is trained on
    and works at, the label ids that it answers with, and the channels of its levels. Under `sparse` every training step
    looks at one pixel of each 2x2 block, drawn anew: of many classes the logits cost more than the rest."""

    dataset: str
    version: str
    size: tuple[int, int]
    evaluated: tuple[int, ...]
    widths: tuple[int, ...]
    sparse: bool

    @property
    def weights_file(self) -> str:
        return f"{self.dataset}_judge.safetensors"


SPECS: dict[str, JudgeSpec] = {
    spec.dataset: spec
    for spec in (
        JudgeSpec("streets", "streets-v1", (64, 128), EVALUATED_IDS, (32, 64, 96, 128), False),
        JudgeSpec("stuff", "stuff-v1", (64, 64), STUFF_IDS, (48, 64, 96, 128), True),
    )
}
"""The embedded judges by data set."""


def to_blocks(pixels: Tensor) -> Tensor:
    """(B, H, W) or (B, C, H, W) -> (B, H/2, W/2, 4) or (B, H/2, W/2, 4 * C): one row per 2x2 block of pixels."""
    batch, *_, height, width = pixels.shape
    blocks = pixels.reshape(batch, -1, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    return blocks.permute(0, 2, 4, 3, 5, 1).reshape(batch, height // _BLOCK, width // _BLOCK, -1)


def from_blocks(blocks: Tensor) -> Tensor:
    """(B, H/2, W/2, 4, C) -> (B, C, H, W): the inverse of `to_blocks` for per-pixel values."""
    batch, height, width, _, channels = blocks.shape
    pixels = blocks.reshape(batch, height, width, _BLOCK, _BLOCK, channels).permute(0, 5, 1, 3, 2, 4)
    return pixels.reshape(batch, channels, height * _BLOCK, width * _BLOCK)


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


class JudgeNet(nn.Module):
    """A judge's network: pictures (B, 3, H, W) in [0, 1] -> logits in blocks (B, H/2, W/2, 4, C).

    H and W must be multiples of 16. `from_blocks` turns the logits into (B, C, H, W). With `corner`, 0..3, only the
    logits of that pixel of each block are made: (B, H/2, W/2, 1, C).
    """

    def __init__(self, spec: JudgeSpec) -> None:
        super().__init__()
        widths = spec.widths
        self.classes = len(spec.evaluated)
        self.stem = ConvNorm(3 * _BLOCK**2, widths[0])
        self.down = nn.ModuleList(Down(a, b) for a, b in pairwise(widths))
        self.middle = ConvNorm(widths[-1], widths[-1])
        self.up = nn.ModuleList(ConvNorm(a + b, a) for a, b in pairwise(widths))
        self.head = nn.Conv2d(widths[0], self.classes * _BLOCK**2, 1)

    def forward(self, images: Tensor, corner: int | None = None) -> Tensor:
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
        if corner is None:
            logits = self.head(x)
        else:
            rows = slice(corner * self.classes, (corner + 1) * self.classes)
            logits = nn.functional.conv2d(x, self.head.weight[rows], self.head.get_parameter("bias")[rows])
        return logits.permute(0, 2, 3, 1).unflatten(3, (-1, self.classes))

    def fuse(self) -> JudgeNet:
        """Fold all normalisations, in place; the result is an evaluation network with the shipped file's keys."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fuse()
        return self.eval()


class EmbeddedJudge:
    """A trained judge. `predict` gives label ids of the data set, restricted to the evaluated ones."""

    gpu_batch = 64

    def __init__(self, spec: JudgeSpec, weights: Path, device: torch.device) -> None:
        """Load a file written by `metrics.judges.train_embedded`; MetricError if it is not one."""
        self.spec = spec
        self.device = device
        self.sha256 = sha256_of(weights)
        network = JudgeNet(spec).fuse()
        try:
            with safe_open(weights, framework="pt") as file:
                network.load_state_dict({key: file.get_tensor(key).float() for key in file.keys()})  # noqa: SIM118
        except (SafetensorError, RuntimeError, OSError) as error:
            raise MetricError(
                f"{weights} does not hold the {spec.dataset} judge ({str(error).splitlines()[0]}); reinstall the "
                f"package, or train it again: bench train judge --dataset {spec.dataset}"
            ) from error
        self._network = network.to(device).to(memory_format=torch.channels_last)
        self._label_ids = torch.tensor(spec.evaluated, dtype=torch.uint8, device=device)

    @property
    def protocol(self) -> str:
        """The judge's version and the size at which it sees pictures."""
        return "{}@{}x{}".format(self.spec.version, *self.spec.size)

    @property
    def evaluated(self) -> tuple[int, ...]:
        """The label ids that it answers with."""
        return self.spec.evaluated

    @classmethod
    def load(cls, dataset: str, weights_dir: Path | None, device: torch.device) -> EmbeddedJudge:
        """A data set's judge from `weights_dir` if it holds one, else the user's, else the package's."""
        spec = SPECS[dataset]
        remedy = f"Train it with: bench train judge --dataset {dataset}"
        return cls(spec, find_weights(spec.weights_file, weights_dir, remedy), device)

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> label ids (B, H, W) uint8, on the judge's device.

        Pictures of another size than the judge's are brought to it with an antialiased bilinear filter, and the logits
        back to the pictures' size, because the network knows its objects at that size only.
        """
        size = tuple(images.shape[-2:])
        images = images.to(self.device)
        if size == self.spec.size:
            # argmax before unpacking: as many times less to move as there are classes
            blocks = self._network(images).argmax(dim=-1, keepdim=True)
            return self._label_ids[from_blocks(blocks).squeeze(1)]
        images = nn.functional.interpolate(images, self.spec.size, mode="bilinear", antialias=True)
        logits = from_blocks(self._network(images))
        return self._label_ids[nn.functional.interpolate(logits, size, mode="bilinear").argmax(dim=1)]
