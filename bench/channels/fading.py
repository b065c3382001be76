"""Fading: what is sent is multiplied by random complex gains before the noise is added.

Two real symbols, one after the other, are I and Q of a complex one. `block` complex symbols share a gain (0: all of a
scene); gains of different blocks are independent. With `interleaved` the symbols of a scene are spread over the blocks
by a fixed permutation, so that a deep fade hits bits that a code can put right. The mean of |h|^2 is 1, so the PSNR is
that of the mean.

What is known to whom is `csi`, without error: with "receiver" its end divides by the gain (zero forcing), so that
methods that know of no channel get symbols in their places, with noise sigma / |h|; with "both" the sender knows the
gains beforehand too, and an adaptive link chooses by them; "none" leaves gain and phase in the symbols. Gains and noise
are the same with "receiver" and "both".
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.api.errors import UsageError, known_name
from bench.channels.awgn import Noisy

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CSI = ("receiver", "both", "none")
#: What captions say of the gains.
CSI_WORDS = {
    "receiver": "known to the receiver, which divides by them",
    "both": "known to sender and receiver, which divides by them",
    "none": "known to nobody",
}
#: Where the interleaver's permutation begins: both ends know it, as they know the scheme.
_INTERLEAVER = 5489


def faded(
    clean: Tensor, gains: Tensor, noise: Tensor, known: Tensor | None, shape: torch.Size
) -> tuple[Tensor, Tensor | None]:
    """Real symbols (n,) as they arrive, in `shape`, and how much power each had as far as the receiver knows.

    `gains` (ceil(n / 2),) and `noise` (2 * len(gains),) are what the channel does, `known` the gains that the receiver
    divides by, if it knows any.
    """
    import torch

    sent = torch.view_as_complex(torch.nn.functional.pad(clean, (0, 2 * len(gains) - len(clean))).view(-1, 2))
    arrived = gains * sent + torch.view_as_complex(noise.view(-1, 2))
    if known is not None:
        arrived = arrived / known
    received = torch.view_as_real(arrived).flatten()[: len(clean)].reshape(shape)
    if known is None:
        return received, None
    return received, known.abs().square().repeat_interleave(2)[: len(clean)].reshape(shape)


class WithGains(Noisy):
    """What channels have that multiply each complex symbol by a gain, which `csi` says who knows."""

    csi: str  # a field of the subclasses, among their own

    @abstractmethod
    def gains(self, uses: int, generator: torch.Generator) -> Tensor:
        """The gain that each complex symbol of `uses` real ones meets, in the order in which they are sent."""

    def transmit(self, symbols: Tensor, generator: torch.Generator) -> Tensor:
        """Gain, noise, and unless `csi` is "none" the division by the gain."""
        return self.observe(symbols, generator)[0]

    @property
    def foreseen(self) -> bool:
        """With `csi` "both"."""
        return self.csi == "both"

    def known_snrs(self, uses: int, power: float, generator: torch.Generator) -> Tensor:
        """With `csi` "both" those of all complex symbols, as their gains make them."""
        nominal = super().known_snrs(uses, power, generator)
        return nominal * self.gains(uses, generator).abs().square() if self.foreseen else nominal


@dataclass(frozen=True)
class Fading(WithGains):
    """Flat fading by blocks, with white Gaussian noise at AWGN's calibrations and power conventions."""

    block: int = 0
    interleaved: bool = False
    csi: str = "receiver"

    def __post_init__(self) -> None:
        """UsageError as for AWGN, and for a negative block length or an unknown `csi`."""
        object.__setattr__(self, "csi", known_name(self.csi, CSI, "channel state information"))
        if self.block < 0:
            raise UsageError(f"block {self.block} of channel {self.kind} is no number of symbols; 0 is the whole scene")
        super().__post_init__()

    @property
    def effects(self) -> tuple[str, ...]:
        """Block length, interleaving, and what is known to whom."""
        over = f"{self.block} complex symbols" if self.block else "the whole scene"
        spread = ("interleaved",) if self.interleaved else ()
        return (f"one gain over {over}", *spread, f"gains {CSI_WORDS[self.csi]}")

    @abstractmethod
    def draw(self, blocks: int, generator: torch.Generator) -> Tensor:
        """Gains of so many blocks, (blocks,) complex64, with a mean square of 1."""

    def gains(self, uses: int, generator: torch.Generator) -> Tensor:
        """Those of the blocks, spread by the interleaver."""
        import torch

        symbols = -(-uses // 2)
        length = self.block or max(symbols, 1)
        gains = self.draw(-(-symbols // length), generator).repeat_interleave(length)[:symbols]
        if self.interleaved:
            gains = gains[torch.randperm(symbols, generator=torch.Generator().manual_seed(_INTERLEAVER))]
        return gains

    def observe(self, symbols: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """The symbols as they arrive, and unless `csi` is "none" how much power each had, |h|^2, of the same shape."""
        import torch

        clean = symbols.detach().to("cpu", torch.float32).flatten()
        gains = self.gains(clean.numel(), generator)
        noise = self.noise(clean, (2 * len(gains),), generator)
        return faded(clean, gains, noise, None if self.csi == "none" else gains, symbols.shape)

    @property
    def realisation(self) -> dict[str, Any]:
        """What the sender knows changes nothing."""
        return (replace(self, csi="receiver") if self.csi == "both" else self).identity()
