"""What an update is made of beside its loss: the number format, the learning rate, the average of the weights.

All of it is a function of the step alone, so that a resumed training equals an uninterrupted one. PyTorch's schedulers
and `swa_utils.AveragedModel` count their own calls instead, and the latter starts with a copy where ours averages from
the first step on: the numbers would be others.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch
from torch import nn

from bench.api.errors import MethodError

#: The number format that networks run in; weights, losses and averages are float32 in all of them.
Precision = Literal["auto", "float32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def resolve(precision: Precision, device: torch.device, supported: Sequence[Precision]) -> Precision:
    """What `precision` means on `device`: `auto` is bfloat16 on CUDA where it is `supported`, float32 otherwise.

    MethodError for a precision that is not supported.
    """
    if precision == "auto":
        return "bfloat16" if device.type == "cuda" and "bfloat16" in supported else "float32"
    if precision not in supported:
        raise MethodError(f"this method does not train in {precision}; it does in: {', '.join(supported)}")
    return precision


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """PyTorch's autocast to `precision` (resolved) on `device`; nothing at all for float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, precision))


def linear_fall(step: int, steps: int, constant: float) -> float:
    """The share of the full rate at `step` of `steps`: 1 for the first `constant` of them, then falling to zero."""
    return min(1.0, max(0.0, (steps - step) / max(1.0, steps - constant * steps)))


@torch.no_grad()
def ema_update(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the average towards the network, in place: d average + (1 - d) network.

    d = min(decay, (1 + step) / (10 + step)), so that the random start is forgotten early. Buffers that are no averages
    (integers) are copied.
    """
    d = min(decay, (1 + step) / (10 + step))
    source = dict(network.state_dict())
    floats = [(a, source[k]) for k, a in average.state_dict().items() if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in floats], [s for _, s in floats], 1 - d)
    for key, value in average.state_dict().items():
        if not value.is_floating_point():
            value.copy_(source[key])
