"""The published network's arithmetic, for the side of `bench speed` that ours is compared with.

The same weights and the same function as `methods.common.diffusion`'s, computed operation by operation as in the
published code (the guided-diffusion family, SDM's fork of it): the encoder's normalisation in float32 whatever comes
in, SiLU as a product, SPADE's and the time code's scale and shift as a product and a sum, attention with all its
weights in memory and their softmax in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.diffusion.layers import (
    Attention,
    DecoderBlock,
    EncoderBlock,
    Modulation,
    OwnSiLU,
    SpadeGroupNorm,
)

if TYPE_CHECKING:
    from methods.common.diffusion.unet import SemanticUNet


def in_published_arithmetic(network: SemanticUNet) -> SemanticUNet:
    """`network`, from now on computing as published; its weights and what it returns stay, but for rounding."""
    forwards: dict[type, Callable[..., Tensor]] = {
        nn.SiLU: _silu, OwnSiLU: _silu, SpadeGroupNorm: _spade, Attention: _attention,
    }  # fmt: skip
    for module in network.modules():
        if isinstance(module, nn.GroupNorm) and module.affine:
            module.forward = partial(_group_norm, module)  # type: ignore[method-assign]
        elif type(module) in forwards:
            module.forward = partial(forwards[type(module)], module)
        elif isinstance(module, EncoderBlock | DecoderBlock):
            module.scale_shift = _scale_shift
    return network


def _group_norm(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    weight, bias = norm.weight.float(), norm.bias.float()
    return F.group_norm(x.float(), norm.num_groups, weight, bias, norm.eps).to(x.dtype)


def _silu(_: nn.SiLU, x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def _spade(spade: SpadeGroupNorm, x: Tensor, modulation: Modulation) -> Tensor:
    scale, shift = modulation  # 1 + gamma and beta, made anew at each evaluation as published
    normalised: Tensor = spade.param_free_norm(x)
    return normalised * scale + shift


def _scale_shift(h: Tensor, embedding: Tensor) -> Tensor:
    scale, shift = embedding.to(h.dtype)[:, :, None, None].chunk(2, dim=1)
    return h * (1 + scale) + shift


def _attention(layer: Attention, x: Tensor) -> Tensor:
    b, c, height, width = x.shape
    pixels = x.reshape(b, c, -1)
    q, k, v = layer.qkv(layer.norm(pixels)).reshape(b * layer.heads, 3 * c // layer.heads, -1).chunk(3, dim=1)
    shrink = (c // layer.heads) ** -0.25  # on both sides, which keeps float16 in its range
    weights = torch.einsum("nct,ncs->nts", q * shrink, k * shrink)
    h = torch.einsum("nts,ncs->nct", torch.softmax(weights.float(), dim=-1).to(v.dtype), v)
    attended: Tensor = layer.proj_out(h.reshape(b, c, -1))
    return (pixels + attended).reshape(b, c, height, width)
