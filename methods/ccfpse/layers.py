"""Conditional convolutions (Liu et al., NeurIPS 2019, section 3.1) and the residual block made of them.

A small network predicts from the semantic map, for every pixel and every channel, the 3x3 kernel that filters the
features there (depthwise), and a gate for the channels of the 1x1 convolution behind it. The kernels are nine times as
large as the features, so they never exist as a whole here: each of the nine taps is predicted, multiplied and added
before the next one, and predicted again in the backward pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from methods.common.layers import SLOPE, ModulationConfig, SpadeNorm, SpectralConv2d, convolve, pointwise

if TYPE_CHECKING:
    from methods.ccfpse.method import CcFpseBlockConfig

TAPS = 9  # of a 3x3 kernel, row by row
PIXELS_AT_ONCE = 2048  # on a CPU: what all taps are applied to before the next pixels


def _flat(x: Tensor) -> Tensor:
    """(B, C, H, W) as (B * H * W, C), without a copy where `x` is channels-last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _windows(padded: Tensor) -> list[Tensor]:
    """Views of padded features (B, C, H + 2, W + 2) as each tap sees them, nine of (B, C, H, W)."""
    height, width = padded.shape[-2] - 2, padded.shape[-1] - 2
    return [padded[..., row : row + height, column : column + width] for row in range(3) for column in range(3)]


def _runs(x: Tensor) -> list[slice]:
    """Runs of scenes in a batch (B, C, H, W), of few enough pixels to stay in a processor's cache over all taps."""
    if x.is_cuda:
        return [slice(None)]
    length = max(1, PIXELS_AT_ONCE // (x.shape[-2] * x.shape[-1]))
    return [slice(i, i + length) for i in range(0, len(x), length)]


class _PredictedDepthwise(torch.autograd.Function):
    """`conditional_depthwise` without bias, whose backward pass keeps none of the predicted kernels."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, x: Tensor, hidden: Tensor, weight: Tensor) -> Tensor:
        windows = _windows(F.pad(x, (1, 1, 1, 1)))
        weights = [weight[tap::TAPS].contiguous() for tap in range(TAPS)]
        out = torch.zeros_like(x)
        for run in _runs(x):
            for window, of_tap in zip(windows, weights, strict=True):
                out[run].addcmul_(convolve(hidden[run], of_tap), window[run])
        ctx.save_for_backward(x, hidden, weight)
        return out

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        x, hidden, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        padded = F.pad(x, (1, 1, 1, 1))
        of_padded = torch.zeros_like(padded)
        windows, of_windows = _windows(padded), _windows(of_padded)
        weights = [weight[tap::TAPS].contiguous() for tap in range(TAPS)]
        of_weights = [torch.zeros_like(w) for w in weights]
        of_hidden = torch.zeros_like(hidden, memory_format=torch.channels_last)
        for run in _runs(x):
            part, of_part, slope = hidden[run], of_hidden[run], gradient[run]
            for window, of_window, w, of_w in zip(windows, of_windows, weights, of_weights, strict=True):
                of_window[run].addcmul_(convolve(part, w), slope)
                _convolve_backward(slope * window[run], part, w, of_part, of_w)
        # contiguous: batch normalisation's backward pass is an order of magnitude slower on a view
        of_x = of_padded[..., 1:-1, 1:-1].contiguous(memory_format=torch.channels_last)
        return of_x, of_hidden, torch.stack(of_weights, 1).flatten(0, 1)


def _convolve_backward(gradient: Tensor, x: Tensor, weight: Tensor, of_x: Tensor, of_weight: Tensor) -> None:
    """The backward pass of `convolve` without bias, added to `of_x` (channels-last) and `of_weight`."""
    if weight.shape[-1] == 1:
        flat = _flat(gradient)
        _flat(of_x).addmm_(flat, weight.flatten(1))
        of_weight.flatten(1).addmm_(flat.T, _flat(x))
        return
    side = weight.shape[-1] // 2
    through, to_weight, _ = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [1, 1], [side, side], [1, 1], False, [0, 0], 1, [True, True, False]
    )
    of_x += through
    of_weight += to_weight


def conditional_depthwise(x: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Filter every channel of every pixel with a 3x3 kernel of its own (paper, Eq. 2-3), zeros outside the picture.

    `x` (B, C, H, W); the kernels are the convolution of `hidden` (B, M, H, W) with `weight` (9 C, M, k, k) and `bias`,
    k 1 or 3, where channel 9 c + t is tap t (row by row) of channel c. The result has the shape of `x`. Beyond its
    input and output this takes memory for one tap, a ninth of the kernels.
    """
    width = x.shape[1]
    predicted = _PredictedDepthwise.apply(x, hidden, weight)
    # the bias is the share of the kernels that is the same for every pixel: an ordinary depthwise convolution
    result: Tensor = predicted + F.conv2d(x, bias.reshape(width, 1, 3, 3), padding=1, groups=width)
    return result


class Predictor(nn.Sequential):
    """Two convolutions from the conditioning to kernels or gates; `ConditionalBlock` applies them step by step."""

    def __init__(self, condition: int, out_width: int, config: CcFpseBlockConfig) -> None:
        super().__init__(
            nn.Conv2d(condition, config.hidden, config.look, padding=config.look // 2),
            nn.ReLU(),
            nn.Conv2d(config.hidden, out_width, config.kernel, padding=config.kernel // 2),
        )

    def parameters_of(self, index: int) -> tuple[Tensor, Tensor]:
        """Weight and bias of the first (0) or second (2) convolution."""
        layer = self[index]
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        return layer.weight, layer.bias


class ConditionalBlock(nn.Module):
    """Two conditional convolutions beside a skip (paper, section 3.1 and the published checkpoints).

    (batch norm, conditional depthwise 3x3, 1x1 convolution, gate, leaky ReLU) twice. Where the width changes, the skip
    is a SPADE normalisation and a spectrally normalised 1x1 convolution. Only widths that stay or fall are published,
    for which the middle width is the outgoing one.
    """

    def __init__(self, config: CcFpseBlockConfig, condition: int) -> None:
        super().__init__()
        in_width, out_width = config.in_width, config.out_width
        if out_width > in_width:
            raise ValueError(f"block {config.name} widens from {in_width} to {out_width}: its kernels would not fit")
        self.learned_skip = in_width != out_width
        self.gen_weights1 = Predictor(condition, in_width * TAPS, config)
        self.gen_weights2 = Predictor(condition, out_width * TAPS, config)
        self.gen_se_weights1 = Predictor(condition, out_width, config)
        self.gen_se_weights2 = Predictor(condition, out_width, config)
        self.conv_1 = nn.Conv2d(in_width, out_width, 1)
        self.norm_1 = nn.BatchNorm2d(in_width)
        self.norm_2 = nn.BatchNorm2d(out_width)
        self.conv_3 = nn.Conv2d(out_width, out_width, 1)
        if self.learned_skip:
            self.conv_s = SpectralConv2d(in_width, out_width, 1, bias=False)
            self.norm_s = SpadeNorm(in_width, ModulationConfig(condition, config.hidden, kernel=config.kernel))

    @staticmethod
    def _filter(x: Tensor, hidden: Tensor, kernels: Predictor) -> Tensor:
        return conditional_depthwise(x, hidden, *kernels.parameters_of(2))

    @staticmethod
    def _gated(x: Tensor, convolution: nn.Conv2d, hidden: Tensor, gate: Predictor) -> Tensor:
        opening = torch.sigmoid(convolve(hidden, *gate.parameters_of(2)))
        return F.leaky_relu(pointwise(x, convolution.weight, convolution.bias) * opening, SLOPE)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, in_width, H, W) and a conditioning (B, condition, H, W) to (B, out_width, H, W)."""
        skip = self.conv_s(self.norm_s(x, condition)) if self.learned_skip else x
        # hidden features of the four predictors, computed as one convolution
        predictors = (self.gen_weights1, self.gen_weights2, self.gen_se_weights1, self.gen_se_weights2)
        weights, biases = zip(*(p.parameters_of(0) for p in predictors), strict=True)
        parts = F.relu(convolve(condition, torch.cat(weights), torch.cat(biases))).chunk(4, dim=1)
        of_kernels1, of_kernels2, of_gate1, of_gate2 = (
            part.contiguous(memory_format=torch.channels_last) for part in parts
        )
        x = self._filter(self.norm_1(x), of_kernels1, self.gen_weights1)
        x = self._gated(x, self.conv_1, of_gate1, self.gen_se_weights1)
        x = self._filter(self.norm_2(x), of_kernels2, self.gen_weights2)
        return skip + self._gated(x, self.conv_3, of_gate2, self.gen_se_weights2)
