"""Layers that the GAN methods share: spectral normalisation (Miyato et al., ICLR 2018), SPADE's layers and block.

Spatially-adaptive normalisation is that of Park et al., CVPR 2019, Eq. 1-2. Groups are a parameter: with one group its
layers are SPADE's, with more they are SMIS's (Zhu et al., CVPR 2020, "group-decreasing network").
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2  # of the leaky ReLUs of all SPADE descendants


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 1x1 convolution without groups, as a matrix product over channels-last pixels.

    PyTorch sends 1x1 convolutions on the CPU to an unoptimised kernel; this is two to three times as fast there.
    """
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, groups: int = 1) -> Tensor:
    """A convolution of stride 1 that keeps the size."""
    if weight.shape[-1] == 1 and groups == 1:
        return pointwise(x, weight, bias)
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=groups)


class SpectralConv2d(nn.Module):
    """A convolution whose weight is divided by (an estimate of) its largest singular value.

    The state holds `bias`, `weight_orig`, `weight_u` and `weight_v`, the layout of PyTorch's hook-based
    `torch.nn.utils.spectral_norm`, in which the published GAN checkpoints are stored. The hook itself keeps the
    normalised weight as a plain attribute and so breaks `copy.deepcopy`, which the moving averages need.

    In training every forward pass takes one power step; in evaluation sigma = u^T W v uses u and v *as stored*, so a
    loaded network computes what the saved one did.

    Args: `in_width`, `out_width` channels; `kernel` side of the square kernel; `stride`, `padding`, `groups` and
    `bias` as in `torch.nn.Conv2d`. Input (B, in_width, H, W), output (B, out_width, H', W').
    """

    bias: Tensor | None
    weight_u: Tensor
    weight_v: Tensor

    def __init__(
        self,
        in_width: int,
        out_width: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.groups = stride, padding, groups
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_width)) if bias else None)
        self.weight_orig = nn.Parameter(torch.empty(out_width, in_width // groups, kernel, kernel))
        nn.init.kaiming_uniform_(self.weight_orig, a=5**0.5)
        self.register_buffer("weight_u", F.normalize(torch.randn(out_width), dim=0))
        self.register_buffer("weight_v", F.normalize(torch.randn(self.weight_orig[0].numel()), dim=0))

    def normalised_weight(self) -> Tensor:
        """The weight over sigma, (out, in / groups, kernel, kernel); takes a power step in training mode.

        In float32 even where autocast is on: in bfloat16 sigma would be off by up to 0.4 %.
        """
        with torch.autocast(self.weight_orig.device.type, enabled=False):
            if self.training:
                with torch.no_grad():
                    matrix = self.weight_orig.flatten(1)
                    self.weight_v.copy_(F.normalize(matrix.T @ self.weight_u, dim=0, eps=1e-12))
                    self.weight_u.copy_(F.normalize(matrix @ self.weight_v, dim=0, eps=1e-12))
            # copies, because a second forward pass before the backward pass would change the saved u and v in place
            u, v = self.weight_u.clone(), self.weight_v.clone()
            sigma = torch.dot(u, torch.mv(self.weight_orig.flatten(1), v))
            return self.weight_orig / sigma

    def forward(self, x: Tensor) -> Tensor:
        """The convolution with the normalised weight."""
        weight = self.normalised_weight()
        if weight.shape[-1] == 1 and self.groups == 1 and self.stride == 1:
            return pointwise(x, weight, self.bias)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, 1, self.groups)


@dataclass(frozen=True)
class ModulationConfig:
    """How the semantic map becomes a scale and a shift.

    `map_width` channels of the (already arranged) map; `hidden` channels of the shared convolution; `map_groups`
    groups of the shared convolution; `groups` groups of the scale and shift convolutions; `kernel` their side.
    `norm` is the name of the normalisation in the state. `stride` of the shared convolution: with more than 1 it reads
    the map at `stride` times the size of what is modulated (not in any paper).
    """

    map_width: int
    hidden: int
    map_groups: int = 1
    groups: int = 1
    kernel: int = 3
    norm: str = "param_free_norm"
    stride: int = 1


class SpadeNorm(nn.Module):
    """Batch normalisation without affine terms, then scaled and shifted pixel by pixel by the semantic map.

    Input (B, width, H, W) and a map (B, map_width, H', W'), which is resized by nearest neighbour. With a `code`
    (B, Z) the map has Z channels less: the code stands for Z channels before it, constant over the pixels (OASIS).
    """

    def __init__(self, width: int, modulation: ModulationConfig) -> None:
        super().__init__()
        pad = modulation.kernel // 2
        self.norm, self.stride = modulation.norm, modulation.stride
        self.add_module(self.norm, nn.BatchNorm2d(width, affine=False))
        shared = nn.Conv2d(
            modulation.map_width, modulation.hidden, 3, self.stride, padding=1, groups=modulation.map_groups
        )
        self.mlp_shared = nn.Sequential(shared, nn.ReLU())
        self.mlp_gamma = nn.Conv2d(modulation.hidden, width, modulation.kernel, padding=pad, groups=modulation.groups)
        self.mlp_beta = nn.Conv2d(modulation.hidden, width, modulation.kernel, padding=pad, groups=modulation.groups)

    def forward(self, x: Tensor, maps: Tensor, code: Tensor | None = None) -> Tensor:
        """Normalise and modulate `x`; the result has its shape."""
        maps = _resized(maps, x, self.stride)
        if code is None:
            hidden = self.mlp_shared(maps)
        else:
            shared = self.mlp_shared[0]
            assert isinstance(shared, nn.Conv2d)
            hidden = F.relu(convolve_with_code(shared, maps, code), inplace=True)
        # x * (1 + gamma) + beta; the 1 is added to the bias of gamma, which saves a pass over the pixels
        scale = _convolve(self.mlp_gamma, hidden, 1.0)
        result: Tensor = (self.get_submodule(self.norm)(x) * scale).add_(_convolve(self.mlp_beta, hidden, 0.0))
        return result


def _resized(maps: Tensor, x: Tensor, stride: int) -> Tensor:
    """`maps` by nearest neighbour at `stride` times the size of `x`."""
    size = (x.shape[-2] * stride, x.shape[-1] * stride)
    return maps if maps.shape[-2:] == size else F.interpolate(maps, size=size, mode="nearest")


def convolve_with_code(layer: nn.Conv2d, maps: Tensor, code: Tensor) -> Tensor:
    """`layer` (3x3, padding 1, no groups) on `code` (B, Z), repeated at every pixel, followed by `maps` (B, C, H, W).

    A constant channel's convolution differs from pixel to pixel only in the kernel's taps that padding cuts off at the
    borders, so the code costs one product with the kernels instead of Z channels of convolution.
    """
    assert layer.bias is not None
    of_code, of_maps = layer.weight.split([code.shape[1], maps.shape[1]], dim=1)  # type: ignore[no-untyped-call]
    kernels = torch.einsum("bz,ozij->boij", code, of_code)
    rows, columns = (_taps(length, layer.stride[0]).to(kernels) for length in maps.shape[-2:])
    constant = torch.einsum("yi,boij,xj->boyx", rows, kernels, columns)
    return F.conv2d(maps, of_maps, layer.bias, layer.stride, layer.padding).add_(constant)


def _taps(length: int, stride: int) -> Tensor:
    """Which of a kernel's three taps lie inside the picture: (positions, 3) of 0 and 1 for `length` pixels."""
    pixels = torch.arange(0, length, stride)[:, None] + torch.arange(-1, 2)
    return (pixels >= 0) & (pixels < length)


def _convolve(layer: nn.Conv2d, x: Tensor, offset: float) -> Tensor:
    """`layer` (stride 1, with bias) applied to `x`, plus a constant."""
    assert layer.bias is not None
    return convolve(x, layer.weight, layer.bias + offset, layer.groups)


class SpadeBlock(nn.Module):
    """The residual block of SPADE: (SpadeNorm, leaky ReLU, conv 3x3) twice, and a learned skip where the width changes.

    The skip is a SpadeNorm and a bias-free 1x1 convolution without activation. The middle width is the smaller one.
    All three convolutions are spectrally normalised and have `groups` groups.
    """

    def __init__(self, in_width: int, out_width: int, modulation: ModulationConfig, groups: int = 1) -> None:
        super().__init__()
        middle = min(in_width, out_width)
        self.learned_skip = in_width != out_width
        self.conv_0 = SpectralConv2d(in_width, middle, 3, padding=1, groups=groups)
        self.conv_1 = SpectralConv2d(middle, out_width, 3, padding=1, groups=groups)
        if self.learned_skip:
            self.conv_s = SpectralConv2d(in_width, out_width, 1, groups=groups, bias=False)
        self.norm_0 = SpadeNorm(in_width, modulation)
        self.norm_1 = SpadeNorm(middle, modulation)
        if self.learned_skip:
            self.norm_s = SpadeNorm(in_width, modulation)

    def forward(self, x: Tensor, maps: Tensor, code: Tensor | None = None) -> Tensor:
        """(B, in_width, H, W), a map (B, map_width, ...) and a code as in `SpadeNorm` to (B, out_width, H, W)."""
        maps = _resized(maps, x, self.norm_0.stride)
        skip = self.conv_s(self.norm_s(x, maps, code)) if self.learned_skip else x
        inner = self.conv_0(F.leaky_relu(self.norm_0(x, maps, code), SLOPE, inplace=True))
        result: Tensor = skip + self.conv_1(F.leaky_relu(self.norm_1(inner, maps, code), SLOPE, inplace=True))
        return result
