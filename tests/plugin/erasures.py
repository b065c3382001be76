"""A channel in a package of its own: some symbols are lost, and the others meet white Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.api.channel import Channel
from bench.api.errors import UsageError


@dataclass(frozen=True)
class Erasures(Channel):
    """Each symbol is lost with the probability `erased` and arrives as 0; the noise is that of Eq. 1."""

    erased: float = 0.1

    kind: ClassVar[str] = "erasures"
    title: ClassVar[str] = "Erasures"
    level: ClassVar[str] = "peak SNR of what is kept"

    def __post_init__(self) -> None:
        """UsageError where `erased` is no probability."""
        super().__post_init__()
        if not 0 <= self.erased <= 1:
            raise UsageError(f"erased={self.erased} of the channel erasures is no probability: it is 0 to 1")

    @property
    def sigma(self) -> float:
        """10^(-PSNR/20)."""
        return float(10 ** (-self.psnr / 20))

    def transmit(self, symbols: Tensor, generator: torch.Generator) -> Tensor:
        """What is kept, plus noise."""
        kept = torch.rand(symbols.shape, generator=generator) >= self.erased
        noise = torch.randn(symbols.shape, generator=generator) * self.sigma
        return (symbols.detach().to("cpu", torch.float32) + noise) * kept
