"""Spectral normalisation of convolutions (Miyato et al., ICLR 2018) with the vectors u and v kept in the state."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 1x1 convolution without groups, as a matrix product over channels-last pixels.

    PyTorch sends 1x1 convolutions on the CPU to an unoptimised kernel; this is two to three times as fast there.
    """
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


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

    def _power_step(self) -> None:
        """One step of the power method on u and v."""
        with torch.no_grad():
            matrix = self.weight_orig.flatten(1)
            self.weight_v.copy_(F.normalize(matrix.T @ self.weight_u, dim=0, eps=1e-12))
            self.weight_u.copy_(F.normalize(matrix @ self.weight_v, dim=0, eps=1e-12))

    def normalised_weight(self) -> Tensor:
        """The weight over sigma, (out, in / groups, kernel, kernel); takes a power step in training mode.

        In float32 even where autocast is on: in bfloat16 sigma would be off by up to 0.4 %.
        """
        with torch.autocast(self.weight_orig.device.type, enabled=False):
            if self.training:
                self._power_step()
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
