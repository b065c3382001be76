"""Exponential moving average of network weights."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def ema_update(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """average <- d average + (1 - d) network, with d = min(decay, (1 + step) / (10 + step)) so that the random start is
    forgotten early; buffers that are not averaged (integers) are copied."""
    d = min(decay, (1 + step) / (10 + step))
    source = dict(network.state_dict())
    floats = [(a, source[k]) for k, a in average.state_dict().items() if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in floats], [s for _, s in floats], 1 - d)
    for key, value in average.state_dict().items():
        if not value.is_floating_point():
            value.copy_(source[key])
