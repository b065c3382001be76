"""The conditional convolution is what its definition says, in values, gradients and memory."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from methods.ccfpse import layers
from methods.ccfpse.layers import ConditionalBlock, conditional_depthwise
from methods.ccfpse.method import CcFpseBlockConfig

LAYOUTS = {"rows": torch.contiguous_format, "channels last": torch.channels_last}


def by_unfolding(x: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The definition with all kernels at once: unfold's order of channels and taps, zero padding."""
    batch, width, height, length = x.shape
    kernels = F.conv2d(hidden, weight, bias, padding=weight.shape[-1] // 2)
    patches = F.unfold(x, 3, padding=1).reshape(batch, width, 9, height, length)
    return (kernels.reshape(batch, width, 9, height, length) * patches).sum(2)


def inputs(side: int, layout: torch.memory_format, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(side)
    shapes = [(3, 5, 6, 7), (3, 4, 6, 7), (45, 4, side, side), (45,)]
    x, hidden, weight, bias = (torch.randn(s, generator=generator, dtype=dtype) for s in shapes)
    both = [t.contiguous(memory_format=layout) for t in (x, hidden)]
    return [t.requires_grad_() for t in (*both, weight, bias)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("pixels", [1, 84, 10_000])  # a scene at a time, two, all three
def test_equals_the_definition_in_values_and_gradients(
    side: int, layout: str, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "PIXELS_AT_ONCE", pixels)
    tensors = inputs(side, LAYOUTS[layout])
    ours, theirs = conditional_depthwise(*tensors), by_unfolding(*tensors)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)
    slope = torch.randn(ours.shape, generator=torch.Generator().manual_seed(0), dtype=ours.dtype)
    found, expected = (torch.autograd.grad(y, tensors, slope) for y in (ours, theirs))
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, rtol=0, atol=1e-11)


def test_never_holds_the_kernels_of_all_taps() -> None:
    """No tensor in forward or backward pass is larger than the input with its padding."""
    x = torch.randn(1, 32, 24, 24).contiguous(memory_format=torch.channels_last).requires_grad_()
    hidden = torch.randn(1, 8, 24, 24).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight, bias = torch.randn(288, 8, 1, 1, requires_grad=True), torch.randn(288, requires_grad=True)

    class Sizes(TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):  # type: ignore[no-untyped-def]
            result = function(*arguments, **(keywords or {}))
            for value in result if isinstance(result, tuple | list) else (result,):
                if isinstance(value, Tensor):
                    self.largest = max(self.largest, value.numel())
            return result

    with Sizes() as sizes:
        conditional_depthwise(x, hidden, weight, bias).sum().backward()
    assert sizes.largest <= 32 * 26 * 26  # of the kernels there are 9 * 32 * 24 * 24


def test_a_kernel_acts_where_it_was_predicted() -> None:
    """Only the middle tap of channel 1 is open, and only where the condition is: a masked copy of that channel."""
    x = torch.randn(1, 2, 4, 5)
    hidden = torch.zeros(1, 1, 4, 5)
    hidden[..., 2, 3] = 1
    weight = torch.zeros(18, 1, 1, 1)
    weight[9 + 4] = 1
    expected = torch.zeros_like(x)
    expected[0, 1, 2, 3] = x[0, 1, 2, 3]
    assert torch.equal(conditional_depthwise(x, hidden, weight, torch.zeros(18)), expected)


def test_tap_order_is_row_by_row() -> None:
    """Tap 5 is the pixel to the right; beyond the border there are zeros."""
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    bias = torch.zeros(9)
    bias[5] = 1
    found = conditional_depthwise(x, torch.zeros(1, 1, 2, 3), torch.zeros(9, 1, 1, 1), bias)
    assert found.flatten().tolist() == [1, 2, 0, 4, 5, 0]


def test_a_widening_block_is_refused() -> None:
    with pytest.raises(ValueError, match="up_0 widens from 4 to 8"):
        ConditionalBlock(CcFpseBlockConfig("up_0", 4, 8), 3)


def test_gates_close_a_path() -> None:
    """With a gate biased far below zero nothing but the skip is left (leaky ReLU of zero is zero)."""
    torch.manual_seed(0)
    block = ConditionalBlock(CcFpseBlockConfig("head_0", 4, 4, hidden=3), 2).eval()
    x, condition = torch.randn(1, 4, 3, 3), torch.rand(1, 2, 3, 3)
    with torch.no_grad():
        assert not torch.allclose(block(x, condition), x, atol=1e-3)
        block.gen_se_weights2[2].bias.fill_(-100)
        assert torch.allclose(block(x, condition), x)
