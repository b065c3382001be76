"""The channel between sender and receiver. The harness owns it, so no receiver learns its PSNR.

The paper's Eq. 1 is PSNR = 10 log10(P / sigma^2) with P = 1, so sigma = 10^(-PSNR / 20). The paper also lists, for the
same PSNRs, {0.9, 0.6, 0.36, 0.22, 0.13, 0.05, 0.00} and calls them variances; they match standard deviations, and the
authors' code multiplies N(0, 1) by them. Both are here: calibration "paper" is that list as standard deviations (the
default, it reproduces the paper), "eq1" is the equation.

Power: P = 1 is the *peak* power of the 0/1 maps and of images in [0, 1] (power "peak", the paper's). Power "average"
scales a scene's symbols to unit *mean* power before the noise; the receiver's end of the channel scales them back
with the same factor, which travels as an error-free header of one float32 a scene, counted as side information.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bench.api.errors import UsageError, known_name

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: PSNR label -> standard deviation, as listed in the paper (section 4) and used by the authors' code.
PAPER_SIGMAS: dict[float, float] = {100: 0.0, 30: 0.05, 20: 0.13, 15: 0.22, 10: 0.36, 5: 0.6, 1: 0.9}
#: The paper's seven PSNRs, from the best channel to the worst, as its tables print them.
PAPER_PSNRS: tuple[float, ...] = tuple(PAPER_SIGMAS)
CALIBRATIONS = ("paper", "eq1")
POWERS = ("peak", "average")
#: A sender may exceed the peak power by rounding only.
PEAK_TOLERANCE = 1e-5


class Channel(Protocol):
    """What corrupts symbols. Instances are immutable and picklable; all randomness comes from the generator."""

    @property
    def psnr(self) -> float:
        """The nominal PSNR in dB: the label that tables print."""
        ...

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise, relative to symbols of power P = 1."""
        ...

    @property
    def peak_snr_db(self) -> float:
        """10 log10(P / sigma^2) in dB for the sigma really used; infinite without noise. P is the peak power, or with
        power "average" the mean power: only then it is a scene's mean signal-to-noise ratio too."""
        ...

    @property
    def label(self) -> str:
        """Kind, conventions and PSNR in one word, for example `awgn-paper-peak@10`."""
        ...

    @property
    def header_bytes(self) -> int:
        """Bytes a scene that the channel's own ends exchange free of error."""
        ...

    def transmit(self, symbols: Tensor, generator: torch.Generator) -> Tensor:
        """The symbols of one scene (any shape, float32) as they arrive; float32 on the CPU, same shape."""
        ...

    def energy(self, symbols: Tensor) -> float:
        """Sum of squares of what goes over the air for one scene's symbols, in units of P."""
        ...

    def identity(self) -> dict[str, Any]:
        """Everything that determines the channel's output for given symbols and generator, JSON-serialisable."""
        ...


@dataclass(frozen=True)
class Awgn:
    """Additive white Gaussian noise at one of the two calibrations and power conventions described above."""

    psnr: float
    calibration: str = "paper"
    power: str = "peak"

    def __post_init__(self) -> None:
        # the names as they are written in a channel's label and identity, whatever case they were typed in
        object.__setattr__(self, "calibration", known_name(self.calibration, CALIBRATIONS, "calibration"))
        object.__setattr__(self, "power", known_name(self.power, POWERS, "power convention"))
        if not math.isfinite(self.psnr):
            raise UsageError(f"PSNR {self.psnr} is not a number of dB")
        if self.calibration == "paper" and self.psnr not in PAPER_SIGMAS:
            closest = min(PAPER_SIGMAS, key=lambda known: abs(known - self.psnr))
            known = ", ".join(f"{p:g}" for p in PAPER_PSNRS)
            raise UsageError(
                f"unknown PSNR {self.psnr:g}: the paper's calibration lists {known}; did you mean {closest:g}? "
                "For any other value use --calibration eq1"
            )

    @property
    def sigma(self) -> float:
        return PAPER_SIGMAS[self.psnr] if self.calibration == "paper" else 10 ** (-self.psnr / 20)

    @property
    def peak_snr_db(self) -> float:
        return -20 * math.log10(self.sigma) if self.sigma > 0 else math.inf

    @property
    def label(self) -> str:
        return f"awgn-{self.calibration}-{self.power}@{self.psnr:g}"

    @property
    def header_bytes(self) -> int:
        return 4 if self.power == "average" else 0  # the scale, one float32

    def energy(self, symbols: Tensor) -> float:
        energy = float(symbols.double().square().sum())
        return float(symbols.numel()) if self.power == "average" and energy > 0 else energy

    def transmit(self, symbols: Tensor, generator: torch.Generator) -> Tensor:
        import torch

        clean = symbols.detach().to("cpu", torch.float32)
        noise = torch.randn(clean.shape, generator=generator, dtype=torch.float32) * self.sigma
        if self.power == "average" and clean.numel():
            rms = float(clean.double().square().mean().sqrt())
            noise = noise * (rms or 1.0)  # scaling to unit mean power and back leaves the noise scaled by the rms
        return clean + noise

    def identity(self) -> dict[str, Any]:
        return {
            "kind": "awgn",
            "psnr": float(self.psnr),
            "calibration": self.calibration,
            "power": self.power,
            "sigma": self.sigma,
        }


#: kind -> constructor(psnr, calibration, power)
CHANNELS: dict[str, Callable[[float, str, str], Channel]] = {"awgn": Awgn}


def build_channel(kind: str, psnr: float, calibration: str = "paper", power: str = "peak") -> Channel:
    """A channel by name; UsageError names the nearest kind, convention or PSNR."""
    return CHANNELS[known_name(kind, CHANNELS, "channel")](float(psnr), calibration, power)
