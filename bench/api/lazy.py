"""PyTorch, imported when something of it is first used.

Who a method or a metric is, what is cached and what is missing are told without it; importing it takes seconds. So
modules that are read on that way, and define no network, have `torch` and `F` from here, and `Tensor` for annotations.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
    import torch.nn.functional as F
    from torch import Tensor as Tensor
else:

    class _Lazy:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(importlib.import_module(self._name), attribute)

    Tensor = Any
    torch, F = _Lazy("torch"), _Lazy("torch.nn.functional")

__all__ = ["F", "Tensor", "torch"]
