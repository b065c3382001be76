"""Mixed precision: the number format networks run in. Weights, losses and averages are float32 in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch

from bench.api.method import MethodError

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
