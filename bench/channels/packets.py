"""Packet loss and symbol erasures: symbols travel in packets, and one arrives whole, with noise, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bench.api.errors import UsageError
from bench.channels.awgn import Noisy

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Packets(Noisy):
    """Packets of `packet` real symbols, each lost with probability `loss`, independently; 1 makes symbol erasures.

    A lost symbol arrives as 0. The receiver's end knows which are lost, as one knows of packets that do not come: a
    link's decoder takes them as erased. Methods that read symbols see the 0.
    """

    packet: int = 128
    loss: float = 0.1

    kind: ClassVar[str] = "packets"
    title: ClassVar[str] = "Erasures"

    def __post_init__(self) -> None:
        """UsageError as for AWGN, and for an empty packet or what is no probability."""
        if self.packet < 1:
            raise UsageError(f"packet {self.packet} of channel {self.kind} is no number of symbols: 1 or more")
        if not 0 <= self.loss <= 1:
            raise UsageError(f"loss {self.loss} of channel {self.kind} is no probability: 0 to 1")
        super().__post_init__()

    @property
    def effects(self) -> tuple[str, ...]:
        """How much is lost, in what pieces, and what is known."""
        what = f"packets of {self.packet} real symbols" if self.packet > 1 else "real symbols"
        return (f"{self.loss:.0%} of {what} lost, which ones known to the receiver",)

    def observe(self, symbols: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """The symbols as they arrive, and 1 where they do, 0 where they are lost, of the same shape."""
        import torch

        clean = symbols.detach().to("cpu", torch.float32)
        noisy = clean + self.noise(clean, clean.shape, generator)
        count = -(-noisy.numel() // self.packet)
        arrives = (torch.rand(count, generator=generator) >= self.loss).float()
        kept = arrives.repeat_interleave(self.packet)[: noisy.numel()].reshape(noisy.shape)
        return noisy * kept, kept

    def transmit(self, symbols: Tensor, generator: torch.Generator) -> Tensor:
        """Noise, then 0 in place of what is lost."""
        return self.observe(symbols, generator)[0]
