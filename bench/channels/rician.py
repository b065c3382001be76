"""Rician fading: a line of sight and scattered paths."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bench.api.errors import UsageError
from bench.channels.fading import Fading

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Rician(Fading):
    """A line of sight `k` times as strong as all scattered paths together (K factor, linear); its phase is 0."""

    k: float = 4.0

    kind: ClassVar[str] = "rician"
    title: ClassVar[str] = "Rician fading"

    def __post_init__(self) -> None:
        """UsageError as for `Fading`, and for a negative or infinite `k`."""
        if not 0 <= self.k < math.inf:
            raise UsageError(f"k {self.k} of channel {self.kind} is no ratio of powers: 0 or more")
        super().__post_init__()

    def draw(self, blocks: int, generator: torch.Generator) -> Tensor:
        """sqrt(k / (k + 1)) + CN(0, 1 / (k + 1))."""
        import torch

        scattered = torch.view_as_complex(torch.randn(blocks, 2, generator=generator) / math.sqrt(2))
        return math.sqrt(self.k / (self.k + 1)) + scattered / math.sqrt(self.k + 1)
