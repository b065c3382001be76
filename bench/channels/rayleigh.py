"""Rayleigh fading: scattered paths only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bench.channels.fading import Fading

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Rayleigh(Fading):
    """No line of sight: gains are complex normal."""

    kind: ClassVar[str] = "rayleigh"
    title: ClassVar[str] = "Rayleigh fading"

    def draw(self, blocks: int, generator: torch.Generator) -> Tensor:
        """CN(0, 1)."""
        import torch

        return torch.view_as_complex(torch.randn(blocks, 2, generator=generator) / math.sqrt(2))
