"""What a channel is: what happens to a sender's symbols on their way to the receiver.

The harness owns the channel, so no receiver learns its PSNR. A channel is a value: its fields say everything about it,
and what the results, the cache's keys and captions call it follows from them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from bench.api.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: The paper's seven PSNRs in dB, from the best channel to the worst, as its tables print them.
PAPER_PSNRS: tuple[float, ...] = (100, 30, 20, 15, 10, 5, 1)
#: A sender may exceed the peak power by rounding only.
PEAK_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Channel(ABC):
    """What corrupts symbols. Subclasses are found through the entry-point group `bench.channels`.

    A subclass is a frozen dataclass too. Its fields beside `psnr`, the nominal PSNR in dB, are the channel's options
    (`[channel]` of bench.toml, `--channel KIND:option=value`): numbers, truth values and words, each with a default.
    Instances are picklable, and all randomness comes from the generator that `transmit` is given. A channel that varies
    from symbol to symbol or block to block draws its gains there, once a scene.
    """

    psnr: float

    #: What people type, the name of the entry point: lower-case letters, digits and `_`.
    kind: ClassVar[str]
    #: What captions print.
    title: ClassVar[str]
    #: What `--psnr all` means.
    psnrs: ClassVar[tuple[float, ...]] = PAPER_PSNRS
    #: What captions call `peak_snr_db`.
    level: ClassVar[str] = "peak SNR"
    #: Bumped whenever the channel's code changes what arrives for equal fields.
    code_version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """UsageError for a PSNR that is no number of dB; subclasses refuse what else they cannot have."""
        if not math.isfinite(self.psnr):
            raise UsageError(f"PSNR {self.psnr} is not a number of dB")

    @property
    @abstractmethod
    def sigma(self) -> float:
        """Standard deviation of the noise, relative to symbols of power P = 1."""

    @abstractmethod
    def transmit(self, symbols: Tensor, generator: torch.Generator) -> Tensor:
        """The symbols of one scene (any shape, float32) as they arrive; float32 on the CPU, same shape."""

    def observe(self, symbols: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """What `transmit` gives, and the power |h|^2 of each symbol where the receiver's end knows it, else None."""
        return self.transmit(symbols, generator), None

    @property
    def peak_snr_db(self) -> float:
        """10 log10(P / sigma^2) in dB for the sigma really used, infinite without noise; P is the peak power."""
        return -20 * math.log10(self.sigma) if self.sigma > 0 else math.inf

    @property
    def foreseen(self) -> bool:
        """Whether a sender knows a scene's realisation before it sends."""
        return False

    def nominal_snr(self, power: float) -> float:
        """The signal-to-noise ratio (linear) of symbols with a mean square, over all realisations."""
        return power * 10 ** (self.peak_snr_db / 10)

    def known_snrs(self, uses: int, power: float, generator: torch.Generator) -> Tensor:
        """The signal-to-noise ratios (linear) that a sender knows, before it sends, of symbols with a mean square.

        One for each complex symbol of `uses` real ones where their realisation is foreseen, which `observe` draws from
        an equal generator; else one, the nominal.
        """
        import torch

        return torch.tensor([self.nominal_snr(power)])

    def uses(self, symbols: Tensor) -> int:
        """Real channel uses that one scene's symbols take, with what the channel's own ends add to them."""
        return symbols.numel()

    @property
    def header_bytes(self) -> int:
        """Bytes a scene that the channel's own ends exchange free of error, counted as side information."""
        return 0

    def energy(self, symbols: Tensor) -> float:
        """Sum of squares of all that goes over the air for one scene's symbols, in units of P."""
        return float(symbols.double().square().sum())

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """The fields beside `psnr`, in their order."""
        return tuple(field.name for field in fields(cls) if field.name != "psnr")

    @property
    def options(self) -> dict[str, Any]:
        """The values of these fields."""
        return {name: getattr(self, name) for name in self.option_names()}

    @property
    def convention(self) -> str:
        """Kind and options in one word, the column `channel` of the results: `KIND:option=value:option=value`."""
        return "".join([self.kind, *(f":{name}={value}" for name, value in self.options.items())])

    @property
    def label(self) -> str:
        """Convention and PSNR, for messages and names of folders."""
        return f"{self.convention}@{self.psnr:g}"

    @property
    def words(self) -> str:
        """The convention for captions."""
        return ", ".join([self.title, *(f"{name} {value}" for name, value in self.options.items())])

    def identity(self) -> dict[str, Any]:
        """Everything that determines the channel's output for given symbols and generator, JSON-serialisable."""
        version = {"code_version": self.code_version} if self.code_version > 1 else {}
        return {"kind": self.kind, "psnr": float(self.psnr), **self.options, "sigma": self.sigma, **version}

    @property
    def realisation(self) -> dict[str, Any]:
        """What a scene's random numbers are keyed by: the identity, without what changes none of them."""
        return self.identity()
