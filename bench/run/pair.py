"""A method as two instances: the one that sends, and the one that receives."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.api.lazy import torch
from bench.api.method import Method


@dataclass(frozen=True)
class Pair:
    """Two instances of one method, so that a sender leaves nothing to the receiver on itself: what is to reach it has
    to go through the channel."""

    sender: Method
    receiver: Method

    @classmethod
    def of(cls, build: Callable[[], Method]) -> Pair:
        """Build a method, and copy it before it was used. Copies share the tensors of their weights, so that two take
        little more memory than one; what cannot be copied is built twice."""
        sender = build()
        shared: dict[int, Any] = {id(sender.context): sender.context}
        _share_weights(vars(sender), shared, depth=3)
        try:
            return cls(sender, copy.deepcopy(sender, shared))
        except Exception:  # anyone's classes: locks, files and handles cannot be copied
            return cls(sender, build())


def _share_weights(holder: Any, shared: dict[int, Any], depth: int) -> None:
    """Enter parameters and buffers of the modules in `holder` into a memo of `copy.deepcopy`."""
    if isinstance(holder, torch.nn.Module):
        shared.update((id(tensor), tensor) for tensor in itertools.chain(holder.parameters(), holder.buffers()))
    elif depth:
        parts = holder.values() if isinstance(holder, dict) else holder if isinstance(holder, list | tuple) else ()
        for part in (*parts, *(vars(holder).values() if hasattr(holder, "__dict__") else ())):
            _share_weights(part, shared, depth - 1)
