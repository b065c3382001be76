"""The paper's segmenter for Cityscapes: dilated residual networks (DRN-D-22, DRN-D-105), and how pictures reach them.

Yu, Koltun and Funkhouser, Dilated Residual Networks, CVPR 2017. Names and shapes of the parameters are those of the
files that the authors publish (github.com/fyu/drn, BSD-3-Clause); the networks are written from the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api.errors import MetricError, WeightsError
from bench.api.files import file_digest
from bench.api.tensors import is_finite, read_weights
from bench.api.weights import find_file
from metrics.evaluators.labels import EVALUATED_IDS
from metrics.evaluators.published import check_unchanged, reason

STRIDE = 8  # pixels a side that one position of the logits stands for
#: Mean and standard deviation of Cityscapes's RGB values in [0, 1], with which the published networks were trained.
MEAN = (0.29010095242892997, 0.32808144844279574, 0.28696394422942517)
STD = (0.1829540508368939, 0.18656561047509476, 0.18447508988480435)
#: (height, width) of Cityscapes's own pictures.
FULL_SIZE = (1024, 2048)
#: Pictures that a GPU takes at once, by resize rule: 16 of 256x512 have as many pixels as one of full size.
RESIZE_RULES = {"generated": 16, "full": 1}
_STEM_WIDTHS = (16, 16, 32)
_STAGE_WIDTHS = (64, 128, 256, 512)
_STAGE_STRIDES = (2, 2, 1, 1)
_STAGE_DILATIONS = (1, 1, 2, 4)
_LAST_WIDTH = 512


@dataclass(frozen=True)
class DrnVariant:
    """What tells the networks apart: residual blocks of stages 3 to 6, their kind, and the authors' file."""

    title: str
    blocks: tuple[int, int, int, int]
    bottleneck: bool
    file: str


VARIANTS = {
    "drn_d_22": DrnVariant("DRN-D-22", (2, 2, 2, 2), False, "drn_d_22_cityscapes.pth"),
    "drn_d_105": DrnVariant("DRN-D-105", (3, 4, 23, 3), True, "drn-d-105_ms_cityscapes.pth"),
}


class _Norm(nn.BatchNorm2d):
    """Batch normalisation without `num_batches_tracked`, which files of 2017 lack; a file that holds it loads too."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.register_buffer("num_batches_tracked", None)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        state_dict.pop(f"{prefix}num_batches_tracked", None)
        # past BatchNorm2d's own step, which would put the missing count in
        nn.Module._load_from_state_dict(self, state_dict, prefix, *rest)


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size, but for its stride."""
    return nn.Conv2d(inputs, outputs, size, stride, dilation * (size // 2), dilation, bias=False)


def _layer(inputs: int, outputs: int, size: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, outputs, size, stride, dilation), _Norm(outputs), nn.ReLU())


class _Block(nn.Module):
    """A residual block; where the shape changes, the shortcut is a 1x1 convolution with normalisation."""

    downsample: nn.Module | None

    def _shortcut(self, inputs: int, outputs: int, stride: int) -> nn.Module | None:
        if stride == 1 and inputs == outputs:
            return None
        return nn.Sequential(_conv(inputs, outputs, 1, stride), _Norm(outputs))

    def _residual(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(self._residual(x) + shortcut)


class _Basic(_Block):
    """Two 3x3 convolutions, the stride on the first."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(inputs, width, 3, stride, dilation), _Norm(width)
        self.conv2, self.bn2 = _conv(width, width, 3, 1, dilation), _Norm(width)
        self.downsample = self._shortcut(inputs, width, stride)

    def _residual(self, x: Tensor) -> Tensor:
        result: Tensor = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return result


class _Bottleneck(_Block):
    """1x1, 3x3 with the stride, and 1x1 to four times the width."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1, self.bn1 = _conv(inputs, width, 1), _Norm(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride, dilation), _Norm(width)
        self.conv3, self.bn3 = _conv(width, outputs, 1), _Norm(outputs)
        self.downsample = self._shortcut(inputs, outputs, stride)

    def _residual(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        result: Tensor = self.bn3(self.conv3(x))
        return result


class DrnNet(nn.Module):
    """DRN-D for segmentation: nine stages, a 1x1 classifier at stride 8, and bilinear enlargement.

    Input (B, 3, H, W) float32, (RGB in [0, 1] - `MEAN`) / `STD`, H and W multiples of 8. Output: log-softmax
    (B, 19, H, W) over the train ids, and the logits (B, 19, H/8, W/8) before the enlargement.
    """

    def __init__(self, variant: DrnVariant, classes: int = len(EVALUATED_IDS)) -> None:
        super().__init__()
        block = _Bottleneck if variant.bottleneck else _Basic
        first, second, third = _STEM_WIDTHS
        stages = [_layer(3, first, 7), _layer(first, second, 3), _layer(second, third, 3, stride=2)]
        inputs = third
        for width, count, stride, dilation in zip(
            _STAGE_WIDTHS, variant.blocks, _STAGE_STRIDES, _STAGE_DILATIONS, strict=True
        ):
            blocks: list[nn.Module] = []
            for number in range(count):
                blocks.append(block(inputs, width, stride if number == 0 else 1, dilation))
                inputs = width * block.expansion
            stages.append(nn.Sequential(*blocks))
        stages += [_layer(inputs, _LAST_WIDTH, 3, dilation=2), _layer(_LAST_WIDTH, _LAST_WIDTH, 3)]
        self.base = nn.Sequential(*stages)
        self.seg = nn.Conv2d(_LAST_WIDTH, classes, 1)
        # The authors' files hold the kernel, so it is a parameter here too, though a frozen one.
        self.up = nn.ConvTranspose2d(classes, classes, 2 * STRIDE, STRIDE, STRIDE // 2, groups=classes, bias=False)
        # what each pixel takes from a position of the stride-8 grid under bilinear enlargement
        taken = 1 - ((torch.arange(2 * STRIDE) - (STRIDE - 0.5)) / STRIDE).abs()
        self.up.weight.requires_grad_(False).copy_(torch.outer(taken, taken).expand_as(self.up.weight))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Log-softmax, and logits."""
        logits = self.seg(self.base(pictures))
        return F.log_softmax(self.up(logits), dim=1), logits


def build_drn(name: str) -> DrnNet:
    """`drn_d_22` (15.9 M parameters) or `drn_d_105` (54.3 M) for the 19 classes, randomly initialised."""
    if name not in VARIANTS:
        raise ValueError(f"unknown DRN '{name}'; known: {', '.join(VARIANTS)}")
    return DrnNet(VARIANTS[name])


def weights_file(name: str) -> str:
    """Name of the imported weights file of a variant, for example `drn_d_105-cityscapes.safetensors`."""
    return f"{name}-cityscapes.safetensors"


def how_to_get(name: str) -> str:
    """Where a variant's weights are published and the command that installs them."""
    variant = VARIANTS[name]
    return (
        f"The authors of {variant.title} (github.com/fyu/drn) publish it as {variant.file} at "
        "http://go.yf.io/drn-cityscapes-models; download it and type: "
        f"bench weights import {name} {variant.file} --dataset cityscapes"
    )


class DrnSegmenter:
    """A published DRN as the segmenter of pictures of Cityscapes.

    Resize rules, by name because mIoU depends on them by many points:

    - `generated`: pictures are taken at the size they were made. OASIS, CC-FPSE and CLADE are scored so, with labels
      nearest-downsampled, as the harness's are (boschresearch/OASIS issue 5).
    - `full`: pictures are brought to 1024x2048 first, which reproduced SPADE's published mIoU for one user
      (boschresearch/OASIS issue 18, which does not name the filter: here bicubic). The map is read where the labels'
      pixels lie in the full-size raster, so nothing is interpolated between classes.
    """

    evaluated = EVALUATED_IDS

    def __init__(self, name: str, resize: str, weights: Path, device: torch.device | str) -> None:
        """For a file written by `bench weights import`, which is read with the first picture."""
        self.device, self.sha256 = device, file_digest(weights)
        self._name, self._resize, self._weights = name, resize, weights
        self._title = VARIANTS[name].title
        self._mean = torch.tensor(MEAN, device=device).view(3, 1, 1)
        self._std = torch.tensor(STD, device=device).view(3, 1, 1)
        self._label_ids = torch.tensor(EVALUATED_IDS, dtype=torch.uint8, device=device)

    @classmethod
    def load(cls, name: str, resize: str, weights_dir: Path | None, device: torch.device | str) -> DrnSegmenter:
        """The segmenter from `weights_dir`, else the user's folder; MetricError says what to download and type."""
        return cls(name, resize, find_file(weights_file(name), weights_dir, how_to_get(name)), device)

    @cached_property
    def network(self) -> DrnNet:
        """The network; MetricError where the file holds another one, no numbers, or is not the one it was."""
        network, remedy = build_drn(self._name), how_to_get(self._name)
        try:
            tensors, _ = read_weights(self._weights)
            network.load_state_dict(tensors)
        except (WeightsError, RuntimeError) as error:
            why = reason(error.__cause__ or error)
            raise MetricError(f"{self._weights} does not hold {self._title} ({why}). {remedy}") from error
        # otherwise it would name the same class everywhere, and a number would come out
        if bad := [key for key, value in tensors.items() if not is_finite(value)]:
            raise MetricError(f"{self._weights}: tensor '{bad[0]}' holds NaN or infinity. {remedy}")
        check_unchanged(self._weights, self.sha256)
        return network.eval().requires_grad_(False).to(self.device)

    @property
    def protocol(self) -> str:
        """Network and resize rule, for example `DRN-D-105@generated`."""
        return f"{self._title}@{self._resize}"

    @property
    def gpu_batch(self) -> int:
        """Pictures that a GPU takes at once."""
        return RESIZE_RULES[self._resize]

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> label ids (B, H, W) uint8, on its device.

        MetricError under `generated` unless H and W are multiples of 8.
        """
        size = tuple(images.shape[-2:])
        images = images.to(self.device)
        if self._resize == "full":
            images = F.interpolate(images, FULL_SIZE, mode="bicubic", antialias=True).clamp(0, 1)
        elif size[0] % STRIDE or size[1] % STRIDE:
            raise MetricError(
                f"{self._title} needs pictures whose height and width are multiples of {STRIDE}, these are "
                f"{size[0]}x{size[1]}: set another size in [data.cityscapes] of bench.toml, or take the rule `full`"
            )
        classes = self.network((images - self._mean) / self._std)[0].argmax(dim=1)
        maps = self._label_ids[classes]
        if self._resize == "generated":
            return maps
        rows, columns = (_raster(length, full, maps.device) for length, full in zip(size, FULL_SIZE, strict=True))
        return maps[:, rows[:, None], columns]


def _raster(length: int, full: int, device: torch.device | str) -> Tensor:
    """Where `length` pixels lie among `full`: the indices that Pillow's nearest takes, which made the labels.

    Exact where `length` divides `full`; elsewhere Pillow's rounding takes some neighbours.
    """
    return (2 * torch.arange(length, device=device) + 1) * full // (2 * length)
