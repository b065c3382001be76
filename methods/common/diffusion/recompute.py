"""Gradient checkpointing: less memory in training for about a third more computation (Chen et al. 2016, 1604.06174)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch.utils.checkpoint import checkpoint

from methods.common.diffusion.layers import Attention, DecoderBlock, EncoderBlock, Modulation, SpadeGroupNorm

if TYPE_CHECKING:
    from torch import Tensor, nn


def recompute_in_backward(network: nn.Module) -> None:
    """From now on the blocks of a `SemanticUNet` keep only their inputs, and the backward pass computes them again.

    That includes SPADE's gamma and beta, the largest part: `prepare` then hands the resized map through, and each layer
    makes its own from it inside its block. For training only, where a map is used once. Parameters, their names and
    what comes out are as before.
    """
    for module in network.modules():
        if isinstance(module, SpadeGroupNorm):
            _modulate_late(module)
        elif isinstance(module, EncoderBlock | DecoderBlock | Attention):
            module.forward = partial(checkpoint, module.forward, use_reentrant=False)  # type: ignore[method-assign]


def _modulate_late(spade: SpadeGroupNorm) -> None:
    modulation, forward = spade.modulation, spade.forward

    def maps_only(maps: Tensor) -> Modulation:
        return maps, maps

    def modulate_and_forward(x: Tensor, prepared: Modulation) -> Tensor:
        return forward(x, modulation(prepared[0]))

    spade.modulation = maps_only  # type: ignore[method-assign]
    spade.forward = modulate_and_forward  # type: ignore[assignment, method-assign]
